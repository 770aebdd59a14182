"""Groups: membership belongs to the user, its changes are told, outsiders are kept out; and typing."""


def joined(members, group):
    """Lets everyone join, in turn, and takes what the others are told."""
    for number, member in enumerate(members, start=1):
        member.join(group, number)
        for earlier in members[: number - 1]:
            earlier.expect("groupEvent", group=group, event="joined", user=member.user, members=number)


def test_joining_again_is_answered_and_not_told(signed_in, name):
    alice, bob = signed_in("alice"), signed_in("bob")
    joined([alice, bob], name("garden"))
    bob.join(name("garden"), 2)
    alice.expect_nothing()


def test_leaving_is_told_and_ends_sending_and_reading(signed_in, name):
    alice, bob = signed_in("alice"), signed_in("bob")
    group = name("garden")
    joined([alice, bob], group)
    bob.ask({"type": "leaveGroup", "group": group, "id": "l"}, "left", id="l", group=group)
    alice.expect("groupEvent", group=group, event="left", user=bob.user, members=1)
    refused = {
        "message": {"message": 1},
        "members": {},
        "typing": {},
    }
    for command, fields in refused.items():
        bob.send({"type": command, "group": group, "id": command} | fields)
        bob.expect_error(403, **{"for": command, "id": command})
    bob.send(type="history", conversation=f"g:{group}")
    bob.expect_error(403, **{"for": "history"})
    bob.ask({"type": "leaveGroup", "group": group}, "left", group=group)
    alice.ask({"type": "message", "group": group, "message": "gone?", "id": "1"}, "ack", ..., id="1")
    bob.expect_nothing()


def test_a_group_nobody_is_in_cannot_be_told_from_one_that_is_not_ones_own(signed_in, name):
    alice, bob = signed_in("alice"), signed_in("bob")
    alice.join(name("real"), 1)
    errors = []
    for group in (name("real"), name("none")):
        bob.send(type="message", group=group, message=1)
        errors.append(bob.expect_error(403, **{"for": "message"}))
    assert errors[0] == errors[1]


def test_membership_outlives_the_connection(signed_in, name):
    alice, bob = signed_in("alice"), signed_in("bob")
    group = name("garden")
    joined([alice, bob], group)
    bob.close()
    missed = alice.ask({"type": "message", "group": group, "message": "missed", "id": "1"}, "ack", ..., id="1")
    bob = signed_in("bob")
    next_one = alice.ask({"type": "message", "group": group, "message": "back?", "id": "2"}, "ack", ..., id="2")
    bob.expect("message", ..., group=group, message="back?", seq=next_one["seq"], prev=missed["seq"])
    page = bob.ask(
        {"type": "history", "conversation": f"g:{group}", "before": next_one["seq"]}, "history", ..., more=False
    )
    assert [message["message"] for message in page["messages"]] == ["missed"]


def test_members_are_listed_in_byte_order_from_where_one_asks(signed_in, name):
    group = name("garden")
    members = [signed_in(stem) for stem in ("Zoe", "bob", "alice", "émile")]
    joined(members, group)
    names = sorted((member.user for member in members), key=str.encode)
    bob = members[1]
    bob.ask({"type": "members", "group": group}, "members", group=group, users=names, more=False)
    bob.ask(
        {"type": "members", "group": group, "after": names[1], "id": "m"},
        "members", id="m", group=group, users=names[2:], more=False,
    )


def test_typing_reaches_the_other_side_and_the_members(signed_in, name):
    alice, bob, carol = signed_in("alice"), signed_in("bob"), signed_in("carol")
    alice.send(type="typing", to=bob.user)
    bob.expect("typing", from_=alice.user, to=bob.user)
    joined([alice, bob, carol], name("garden"))
    alice.send(type="typing", group=name("garden"))
    for receiver in (bob, carol):
        receiver.expect("typing", from_=alice.user, group=name("garden"))
    alice.expect_nothing()
