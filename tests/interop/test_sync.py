"""What was missed comes by `sync`, in one exchange however much there is; and how far everyone has got is told."""


def sync(client, cursors=None, next=None, **fields):
    """One `sync`, answered with these conversations by name, and the `next` that came if any did."""
    command = {"type": "sync", "id": "s"} | ({"cursors": cursors} if cursors else {}) | ({"next": next} if next else {})
    client.send(command)
    answer = client.expect("sync", ..., id="s", **fields)
    assert answer.keys() <= {"type", "id", "conversations", "next"}
    conversations = {one["conversation"]: one for one in answer["conversations"]}
    assert list(conversations) == sorted(one["conversation"] for one in answer["conversations"])
    return conversations, answer.get("next")


def the_only(client, **options):
    """How the only conversation stands that a `sync` tells of."""
    conversations, more = sync(client, **options)
    assert len(conversations) == 1 and more is None, conversations
    return next(iter(conversations.values()))


def say(client, messages, **target):
    """Sends each message, and returns the acks."""
    for number, message in enumerate(messages):
        client.send({"type": "message", "message": message, "id": f"{message}-{number}"} | target)
    return [client.expect("ack", ..., id=f"{message}-{number}") for number, message in enumerate(messages)]


def contents(conversation):
    return [message["message"] for message in conversation["messages"]]


def unbroken(messages, held=None):
    """Each message names the one before it, the first of them what was held."""
    chain = [held] * (held is not None) + [message["seq"] for message in messages]
    return [message["prev"] for message in messages[held is None :]] == chain[:-1]


def test_what_was_said_to_someone_offline_waits(signed_in, name):
    alice = signed_in("alice")
    acks = say(alice, ["one", {"two": 2}, None], to=name("bob"))
    bob = signed_in("bob")
    conversation = the_only(bob)
    assert contents(conversation) == ["one", {"two": 2}, None]
    for message, ack in zip(conversation["messages"], acks, strict=True):
        place = {key: ack[key] for key in ("id", "conversation", "seq", "prev", "time")}
        shown = {"type": "message", "from": alice.user, "to": bob.user, "message": message["message"]}
        assert message == shown | place
    head, first = acks[-1]["seq"], acks[0]["seq"]
    state = {key: conversation[key] for key in ("head", "first", "read", "unread", "more")}
    assert state == {"head": head, "first": first, "read": 0, "unread": 3, "more": False}
    bob.expect_nothing()


def test_a_member_who_was_away_gets_what_the_group_said(signed_in, name):
    alice, bob, eve = signed_in("alice"), signed_in("bob"), signed_in("eve")
    group = name("garden")
    alice.join(group, 1)
    say(alice, ["before bob"], group=group)
    bob.join(group, 2)
    bob.close()
    alice.expect("groupEvent", ..., event="joined")
    acks = say(alice, ["while bob is away"], group=group)
    bob = signed_in("bob")
    conversation = the_only(bob)
    assert conversation["conversation"] == f"g:{group}"
    assert "while bob is away" in contents(conversation)
    assert (conversation["head"], conversation["unread"]) == (acks[-1]["seq"], 1)
    assert sync(eve) == ({}, None)
    for command in ("received", "read"):
        eve.send(type=command, conversation=f"g:{group}", seq=acks[-1]["seq"], id=command)
        eve.expect_error(403, **{"for": command, "id": command})


def test_a_new_device_has_a_thousand_conversations_by_one_answer(signed_in, name):
    alice = signed_in("alice")
    people = [f"{number:04}-{name('friend')}" for number in range(1050)]
    for person in people:
        alice.send(type="message", to=person, message=person, id=person)
    # Between conversations acks come in any order.
    newest = {ack["conversation"]: ack["seq"] for ack in (alice.expect("ack", ...) for _ in people)}
    phone = signed_in("alice", device="phone")
    first, more = sync(phone)
    assert len(first) == 1000 and more
    rest, none = sync(phone, next=more)
    assert len(rest) == 50 and none is None
    assert {name: one["head"] for name, one in (first | rest).items()} == newest
    for one in (first | rest).values():
        # Each can be shown: with its newest message, if not with all.
        assert one["messages"][-1]["seq"] == one["head"] and one["unread"] == 0
    # All of it is held now, and nothing comes again.
    held = {name: one["head"] for name, one in first.items()}
    again, more = sync(phone, cursors=held)
    assert set(again) | set(sync(phone, cursors=held, next=more)[0] if more else {}) == set(rest)


def test_a_user_s_devices_share_what_is_read(signed_in, name):
    alice, laptop, phone = signed_in("alice"), signed_in("bob", device="laptop"), signed_in("bob", device="phone")
    acks = say(alice, ["one", "two", "three"], to=laptop.user)
    for device in (laptop, phone):
        for message in ("one", "two", "three"):
            device.expect("message", ..., message=message)
    conversation = acks[0]["conversation"]
    assert the_only(phone)["unread"] == 3
    laptop.send(type="read", conversation=conversation, seq=acks[1]["seq"])
    alice.expect("receipt", ..., **{"from": laptop.user}, read=acks[1]["seq"])
    held = {conversation: acks[-1]["seq"]}
    one = the_only(phone, cursors=held)
    assert (one["read"], one["unread"], one["messages"], one["more"]) == (acks[1]["seq"], 1, [], False)
    # What is told twice, or too late, or of what is not there yet, takes nothing back.
    phone.send(type="read", conversation=conversation, seq=acks[0]["seq"])
    assert the_only(phone, cursors=held)["read"] == acks[1]["seq"]
    phone.send(type="read", conversation=conversation, seq=2**53 - 1)
    alice.expect("receipt", ..., read=acks[2]["seq"])
    assert sync(laptop, cursors=held) == ({}, None)


def test_sending_reads_and_own_messages_are_not_unread(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    say(alice, ["one", "two"], to=bob.user)
    bob.expect("message", ..., message="one")
    bob.expect("message", ..., message="two")
    assert the_only(alice)["unread"] == 0
    assert the_only(bob)["unread"] == 2
    (ack,) = say(bob, ["three"], to=alice.user)
    one = the_only(bob)
    assert (one["unread"], one["read"], one["head"]) == (0, ack["seq"], ack["seq"])


def test_receipts_of_one_moment_are_one(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    acks = say(alice, list(range(100)), to=bob.user)
    for number in range(100):
        bob.expect("message", ..., message=number)
    for ack in acks:
        bob.send(type="received", conversation=ack["conversation"], seq=ack["seq"])
        bob.send(type="read", conversation=ack["conversation"], seq=ack["seq"])
    told, read = [], 0
    while read < acks[-1]["seq"]:
        receipt = alice.expect("receipt", ..., conversation=acks[0]["conversation"], **{"from": bob.user})
        assert receipt.get("read", read) >= read
        read = receipt.get("read", read)
        told.append(receipt)
    assert len(told) < 100, "as many receipts as there were marks"
    bob.expect_nothing()


def test_a_gap_shows_by_prev_and_history_fills_it(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    (ack,) = say(alice, ["held"], to=bob.user)
    held = bob.expect("message", ..., message="held")["seq"]
    bob.close()
    say(alice, list(range(50)), to=bob.user)
    bob = signed_in("bob")
    conversation = ack["conversation"]
    one = the_only(bob, cursors={conversation: held})
    page = one["messages"]
    assert contents(one) == list(range(30, 50)) and one["more"] and page[0]["prev"] > held
    filled = []
    while not unbroken(filled + page, held):
        bound = {"after": filled[-1]["seq"] if filled else held, "before": page[0]["seq"]}
        answer = bob.ask({"type": "history", "conversation": conversation} | bound, "history", ...)
        assert answer["messages"], "the gap is not filled"
        filled += answer["messages"]
    assert [message["message"] for message in filled + page] == list(range(50))


def test_what_no_server_gave_is_no_next(signed_in):
    alice = signed_in("alice")
    alice.send(type="sync", next="not a token", id="s")
    alice.expect_error(400, **{"for": "sync", "id": "s"})
    alice.send(type="sync", cursors={"u:b:a": 1}, id="s")
    alice.expect_error(400, **{"for": "sync", "id": "s"})
    # Of what one takes no part in nothing is said, and nothing is wrong.
    assert sync(alice, cursors={"g:nobodys": 7, "u:b:c": 5}) == ({}, None)
