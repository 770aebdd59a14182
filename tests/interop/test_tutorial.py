"""The tutorial's messages work as its clients send them: no ids, no acks asked for."""


def test_sign_in_by_name(connect, name):
    alice = connect()
    alice.send(type="auth", username=name("alice"))
    answer = alice.expect("authenticated", user=name("alice"), session=..., heartbeat=25000, time=..., limits=...)
    assert answer["limits"] == {"messageSize": 32768, "websocketMessageSize": 65536}
    assert list(answer) == ["type", "user", "session", "heartbeat", "time", "limits"]


def test_message_to_a_user(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    alice.send(type="message", to=bob.user, message="hello")
    bob.expect(
        "message", from_=alice.user, to=bob.user, message="hello",
        conversation=f"u:{alice.user}:{bob.user}", seq=..., prev=..., time=...,
    )
    alice.expect_nothing()


def test_message_to_a_group(signed_in, name):
    members = [signed_in(stem) for stem in ("alice", "bob", "carol")]
    group = name("garden")
    for number, member in enumerate(members, start=1):
        member.join(group, number)
        for earlier in members[: number - 1]:
            earlier.expect("groupEvent", group=group, event="joined", user=member.user, members=number)
    members[0].send(type="message", group=group, message="hello all")
    for receiver in members[1:]:
        receiver.expect(
            "message", from_=members[0].user, group=group, message="hello all",
            conversation=f"g:{group}", seq=..., prev=..., time=...,
        )
    members[1].send(type="message", group=group, message="and you")
    # Had the first message come back to its sender, it would have come before the second.
    members[0].expect("message", ..., from_=members[1].user, message="and you")


def test_message_to_everyone(signed_in):
    clients = [signed_in(stem) for stem in ("alice", "bob", "carol", "dave")]
    clients[0].send(type="message", message="hello world")
    for client in clients[1:]:
        client.expect("message", from_=clients[0].user, message="hello world", time=...)
    clients[0].expect_nothing()


def test_message_to_everyone_with_an_id_is_acked_as_not_kept(signed_in):
    alice = signed_in("alice")
    alice.ask({"type": "message", "message": 1, "id": "x"}, "ack", id="x", time=..., durability="none")
