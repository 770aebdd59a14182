"""Private messages: acks, order, sending again, several devices, payloads as they were sent."""

import json

import pytest

JSON_ONLY = pytest.mark.parametrize("encoding", ["json"])


def sent(sender, to, message, id):
    """Sends to a user, and returns the ack."""
    command = {"type": "message", "to": to, "message": message, "id": id}
    pair = sorted([sender.user, to], key=str.encode)
    return sender.ask(
        command, "ack", id=id, conversation=f"u:{pair[0]}:{pair[1]}", seq=..., prev=..., time=..., durability="memory"
    )


def test_the_ack_and_the_message_say_the_same(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    ack = sent(alice, bob.user, "hello", "m1")
    assert list(ack) == ["type", "id", "conversation", "seq", "prev", "time", "durability"]
    place = {field: ack[field] for field in ("conversation", "seq", "prev", "time")}
    message = bob.expect("message", from_=alice.user, to=bob.user, message="hello", id="m1", **place)
    assert list(message) == ["type", "from", "to", "message", "id", "conversation", "seq", "prev", "time"]


def test_seq_grows_and_prev_leaves_no_gap_for_either_side(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    held = {alice: [], bob: []}
    for number in range(20):
        sender, other = (alice, bob) if number % 3 else (bob, alice)
        held[sender].append(sent(sender, other.user, number, f"n{number}"))
        held[other].append(other.expect("message", ..., message=number))
    for seen in held.values():
        for before, after in zip(seen, seen[1:]):
            assert before["seq"] == after["prev"] < after["seq"] < 2**53
    assert [one["seq"] for one in held[alice]] == [one["seq"] for one in held[bob]]


def test_many_messages_in_flight_stay_in_order(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    for number in range(500):
        alice.send(type="message", to=bob.user, message=number, id=f"n{number}")
    acks = [alice.expect("ack", ..., id=f"n{number}") for number in range(500)]
    messages = [bob.expect("message", ..., message=number) for number in range(500)]
    assert [ack["seq"] for ack in acks] == [message["seq"] for message in messages]


def test_sending_again_is_acked_again_and_delivered_once(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    first = sent(alice, bob.user, {"a": 1}, "same")
    again = signed_in("alice").ask(
        {"type": "message", "to": bob.user, "message": {"a": 1}, "id": "same"}, "ack", ..., id="same", duplicate=True
    )
    assert again == first | {"duplicate": True}
    next_one = sent(alice, bob.user, "next", "other")
    assert next_one["prev"] == first["seq"]
    bob.expect("message", ..., id="same")
    bob.expect("message", ..., id="other")
    bob.expect_nothing()


def test_the_same_id_with_another_message_is_409(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    sent(alice, bob.user, "one", "same")
    alice.send(type="message", to=bob.user, message="two", id="same")
    alice.expect_error(409, **{"for": "message", "id": "same"})
    # Another conversation, and another sender in this one, have ids of their own.
    sent(alice, alice.user, "two", "same")
    bob.expect("message", ..., message="one")
    sent(bob, alice.user, "two", "same")


def test_every_device_gets_a_message_but_not_the_one_that_sent_it(signed_in):
    laptop, phone = signed_in("alice", device="laptop"), signed_in("alice", device="phone")
    bob = signed_in("bob")
    ack = sent(laptop, bob.user, "from the laptop", "1")
    for receiver in (phone, bob):
        receiver.expect("message", ..., from_=laptop.user, message="from the laptop", seq=ack["seq"])
    bob.send(type="message", to=laptop.user, message="to both")
    for receiver in (laptop, phone):
        receiver.expect("message", ..., from_=bob.user, message="to both", prev=ack["seq"])
    laptop.expect_nothing()


def test_to_oneself_reaches_the_other_devices_only(signed_in):
    laptop, phone = signed_in("alice"), signed_in("alice")
    sent(laptop, laptop.user, "note", "1")
    phone.expect("message", ..., from_=laptop.user, to=laptop.user, message="note")
    laptop.expect_nothing()


def test_a_message_to_someone_never_seen_waits(signed_in, name):
    alice = signed_in("alice")
    ack = sent(alice, name("zoe"), "later", "1")
    zoe = signed_in("zoe")
    zoe.expect_nothing()
    page = zoe.ask({"type": "history", "conversation": ack["conversation"]}, "history", ..., more=False)
    assert [message["message"] for message in page["messages"]] == ["later"]


PAYLOADS = [
    "null",
    "true",
    "-0.0",
    "1.50e+3",
    "12345678901234567890123",
    '""',
    '"\\u00e9\\ud83d\\ude00 \\"q\\" \\/ \\\\"',
    '"é😀\u2028"',
    "[ 1,\t2 ]",
    '{ "a" : {"type":"auth"}, "a" : [] }',
    "[" * 64 + "]" * 64,
    '"' + "x" * 30000 + '"',
]


@JSON_ONLY
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload[:20])
def test_a_payload_comes_out_as_it_went_in(signed_in, payload):
    alice, bob = signed_in("alice"), signed_in("bob")
    alice.send_text(f'{{"message":{payload},"to":{json.dumps(bob.user)},"type":"message"}}')
    assert f'"message":{payload},"conversation":' in bob.recv_text()


BAD_PAYLOADS = ["1e999", "[" * 65 + "]" * 65, '"\\ud83d"', '{"\\ude00":1}']


@JSON_ONLY
@pytest.mark.parametrize("payload", BAD_PAYLOADS, ids=lambda payload: payload[:20])
def test_a_payload_that_receivers_would_choke_on_is_400(signed_in, payload):
    alice, bob = signed_in("alice"), signed_in("bob")
    alice.send_text(f'{{"type":"message","id":"1","to":{json.dumps(bob.user)},"message":{payload}}}')
    alice.expect_error(400, **{"for": "message", "id": "1"})
    bob.expect_nothing()


def test_a_payload_over_the_limit_is_413(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    alice.send(type="message", to=bob.user, message="x" * 32767, id="big")
    alice.expect_error(413, **{"for": "message", "id": "big"})
    sent(alice, bob.user, "x" * 32766, "fits")
    bob.expect("message", ..., id="fits")
