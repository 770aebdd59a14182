"""History pages both ways, shows messages as they were live, and only to those who took part."""

import pytest


@pytest.fixture
def talk(signed_in):
    """Alice, and the 45 messages that she wrote to Bob as he got them."""
    alice, bob = signed_in("alice"), signed_in("bob")
    for number in range(45):
        alice.send(type="message", to=bob.user, message=number, id=f"n{number}")
    for number in range(45):
        alice.expect("ack", ..., id=f"n{number}")
    return alice, [bob.expect("message", ..., message=number) for number in range(45)]


def ask(client, conversation, **fields):
    command = {"type": "history", "conversation": conversation} | fields
    return client.ask(command, "history", conversation=conversation, messages=..., first=..., more=...)


def test_back_from_the_newest(talk):
    alice, live = talk
    conversation, read, bound = live[0]["conversation"], [], {}
    for expected in (20, 20, 5):
        page = ask(alice, conversation, **bound)
        assert len(page["messages"]) == expected
        assert page["first"] == live[0]["seq"]
        assert page["more"] == (expected == 20)
        read = page["messages"] + read
        bound = {"before": read[0]["seq"]}
    assert read == live


def test_forward_after_what_one_holds(talk):
    alice, live = talk
    conversation, read = live[0]["conversation"], []
    bound = 0
    for expected in (30, 15):
        page = ask(alice, conversation, after=bound, limit=30)
        assert len(page["messages"]) == expected
        assert page["more"] == (expected == 30)
        read += page["messages"]
        bound = read[-1]["seq"]
    assert read == live
    assert ask(alice, conversation, after=bound)["messages"] == []


@pytest.mark.parametrize("encoding, limit", [("json", 5_000_000_000), ("proto", 4_294_967_295)])
def test_a_limit_above_the_page_is_a_page(talk, limit):
    alice, live = talk
    assert ask(alice, live[0]["conversation"], limit=limit)["messages"] == live


def test_an_empty_conversation(signed_in, name):
    alice = signed_in("alice")
    page = ask(alice, f"u:{alice.user}:{name('zoe')}")
    assert (page["messages"], page["more"]) == ([], False)


def test_others_may_not_read(signed_in, talk):
    _, live = talk
    eve = signed_in("eve")
    eve.send(type="history", conversation=live[0]["conversation"], id="h")
    eve.expect_error(403, **{"for": "history", "id": "h"})


def test_large_messages_are_all_read_page_by_page(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    for number in range(60):
        message = f"{number} " + "x" * 30000
        ack = alice.ask({"type": "message", "to": bob.user, "message": message, "id": f"n{number}"}, "ack", ...)
        bob.expect("message", ..., message=message)
    read, bound, more = [], 0, True
    while more:
        page = ask(bob, ack["conversation"], after=bound, limit=100)
        read += [int(message["message"].split()[0]) for message in page["messages"]]
        bound, more = page["messages"][-1]["seq"], page["more"]
    assert read == list(range(60))
    bob.expect_nothing()
