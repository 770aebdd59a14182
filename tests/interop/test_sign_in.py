"""Who may sign in, how, and what is answered before."""

import subprocess

import pytest

from longwire import BINARY, token


def test_before_signing_in_only_auth_and_ping_are_answered(connect):
    client = connect()
    client.ask({"type": "ping"}, "pong", time=...)
    client.ask({"type": "ping", "id": "p"}, "pong", id="p", time=...)
    commands = [
        {"type": "message", "to": "bob", "message": 1},
        {"type": "message", "message": 1},
        {"type": "joinGroup", "group": "garden"},
        {"type": "leaveGroup", "group": "garden"},
        {"type": "members", "group": "garden"},
        {"type": "typing", "to": "bob"},
        {"type": "history", "conversation": "g:garden"},
    ]
    for command in commands:
        client.send(command | {"id": "early"})
        client.expect_error(401, **{"for": command["type"], "id": "early"})


def test_the_same_device_replaces_its_older_connection(signed_in):
    first, other = signed_in("alice", device="phone"), signed_in("alice", device="laptop")
    second = signed_in("alice", device="phone")
    first.expect_closed(3503)
    other.expect_nothing()
    second.expect_nothing()


def test_bad_names_are_400(connect, encoding):
    client = connect()
    # Binary frames cannot say a name that is no string.
    for bad in ["", "a b", "a:b", "x" * 65, "tab\t"] + [5, None] * (encoding == "json"):
        client.send(type="auth", username=bad, id="1")
        client.expect_error(400, **{"for": "auth", "id": "1"})
    client.sign_in("名前-" + "x" * 57)


def test_another_user_on_the_same_connection_is_403(signed_in, name):
    alice = signed_in("alice")
    alice.send(type="auth", username=name("bob"), id="1")
    alice.expect_error(403, **{"for": "auth", "id": "1"})
    alice.sign_in(name("alice"))


def by_header(connect, server, credential):
    return connect(server, additional_headers={"Authorization": f"Bearer {credential}"})


def by_query(connect, server, credential):
    return connect(server, path=f"?token={credential}")


def by_message(connect, server, credential):
    client = connect(server)
    client.send(type="auth", token=credential)
    return client


WAYS = pytest.mark.parametrize("way", [by_header, by_query, by_message])


@WAYS
def test_a_token_of_gentoken_signs_in(connect, strict, key_file, way):
    command = [BINARY, "gentoken", "--user", "alice", "--ttl", "1h", "--token-key", key_file]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    client = way(connect, strict, made)
    client.expect("authenticated", user="alice", session=..., heartbeat=..., time=..., limits=...)
    client.expect_nothing()


@WAYS
def test_a_token_of_another_issuer_signs_in(connect, strict, key, way):
    way(connect, strict, token(key, "alice", name="Alice", iat=0)).expect("authenticated", ..., user="alice")


def bad_tokens(key):
    return {
        "nonsense": "nonsense",
        "expired": token(key, "alice", ttl=-3600),
        "other key": token(b"another secret of 32 bytes or more", "alice"),
        "no signature": token(key, "alice", algorithm="none"),
        "wrong algorithm": token(key, "alice", algorithm="HS512"),
        "no expiry": token(key, "alice", exp=None),
        "not yet": token(key, "alice", nbf=4102444800),
        "bad name": token(key, "a:b"),
    }


@WAYS
@pytest.mark.parametrize("kind", bad_tokens(b""))
def test_a_bad_token_closes_with_3500(connect, strict, key, way, kind):
    way(connect, strict, bad_tokens(key)[kind]).expect_closed(3500)


def test_rights_come_from_the_token(connect, strict, key):
    groups = by_header(connect, strict, token(key, "carol", groups=["garden"]))
    groups.expect("authenticated", ..., user="carol")
    groups.join("garden", 1)
    groups.send(type="joinGroup", group="cellar")
    groups.expect_error(403, **{"for": "joinGroup"})
    groups.send(type="message", message="to all", id="1")
    groups.expect_error(403, **{"for": "message", "id": "1"})
    speaker = by_header(connect, strict, token(key, "dave", broadcast=True))
    speaker.expect("authenticated", ..., user="dave")
    speaker.ask({"type": "message", "message": "to all", "id": "1"}, "ack", id="1", time=..., durability="none")
    groups.expect("message", from_="dave", message="to all", time=...)


def test_a_newer_token_refreshes(connect, strict, key):
    client = by_header(connect, strict, token(key, "erin", ttl=60))
    client.expect("authenticated", ..., user="erin")
    newer = {"type": "auth", "token": token(key, "erin"), "id": "r"}
    client.ask(newer, "authenticated", ..., id="r", user="erin")
    client.send(type="auth", token=token(key, "frank"), id="f")
    client.expect_error(403, **{"for": "auth", "id": "f"})
    client.expect_nothing()
