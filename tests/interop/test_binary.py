"""Binary frames by clients that others' Protobuf wrote: which encoding is spoken, what passes between the two, and
what no client may send."""

import base64
from contextlib import ExitStack, closing

import pytest

import raw
from binary import SUBPROTOCOL, ClientFrame, ServerFrame, from_frame, to_frame
from longwire import Client, Server, token
from raw import Raw
from test_vectors import each

JSON = "longwire.json.v1"
BYTES = bytes(range(256))
# Content of each kind that is so many bytes.
CONTENT = {
    "json": lambda size: "x" * (size - 2),
    "text": lambda size: "x" * size,
    "bytes": lambda size: base64.b64encode(b"x" * size).decode(),
}


@pytest.fixture
def encoding():
    return "proto"


@pytest.fixture
def pair(signed_in):
    """The two encodings in one conversation, both ways."""
    return signed_in("alice", encoding="json"), signed_in("bob")


def frame(client):
    return ServerFrame.FromString(client.recv_text())


@pytest.mark.parametrize(
    "offered, selected",
    [
        ([SUBPROTOCOL], SUBPROTOCOL),
        (["mqtt", SUBPROTOCOL], SUBPROTOCOL),
        ([SUBPROTOCOL, JSON], SUBPROTOCOL),
        ([JSON, SUBPROTOCOL], JSON),
        (["longwire.proto.v2"], None),
        (None, None),
    ],
)
def test_the_first_subprotocol_that_is_known_is_spoken(connect, offered, selected):
    client = connect(encoding="proto" if selected == SUBPROTOCOL else "json", subprotocols=offered)
    assert client.socket.subprotocol == selected
    client.expect_nothing()


PAYLOADS = ["null", "-0.0", "1.50e+3", "12345678901234567890123", '"\\u00e9\\ud83d\\ude00 \\/"', '{ "a" :\t[1 ], "a":0 }']


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_json_value_passes_as_it_was_written(pair, payload):
    spoken, binary = pair
    spoken.send_text(f'{{"type":"message","to":"{binary.user}","message":{payload},"id":"1"}}')
    message = frame(binary).message
    assert (message.WhichOneof("content"), message.json, message.id) == ("json", payload, "1")
    answer = ClientFrame(id="2")
    answer.message.to, answer.message.json = spoken.user, payload
    binary.socket.send(answer.SerializeToString())
    assert spoken.expect("ack", ...)["id"] == "1"
    assert f'"message":{payload},"id":"2"' in spoken.recv_text()
    binary.expect("ack", ..., id="2")


def test_text_and_bytes_reach_everyone_in_their_own_way(pair, signed_in):
    spoken, binary = pair
    phone = signed_in("bob")
    content = {"text": 'say "hé"\\\n😀', "bytes": base64.b64encode(BYTES).decode()}
    for number, (kind, value) in enumerate(content.items()):
        place = binary.ask(
            {"type": "message", "to": spoken.user, "message": value, "kind": kind, "id": kind}, "ack", ..., id=kind
        )
        shown = {"message": value} | ({"kind": "bytes"} if kind == "bytes" else {})
        place = {field: place[field] for field in ("conversation", "seq", "prev", "time")}
        event = {"from": binary.user, "to": spoken.user, "id": kind} | shown | place
        assert spoken.recv() == {"type": "message"} | event
        assert phone.recv() == {"type": "message"} | event
    conversation = place["conversation"]
    for client in (spoken, binary):
        client.send(type="history", conversation=conversation)
    kept = frame(binary).history.messages
    assert [message.WhichOneof("content") for message in kept] == ["text", "bytes"]
    assert (kept[0].text, kept[1].bytes) == (content["text"], BYTES)
    page = spoken.expect("history", ...)["messages"]
    assert [message["message"] for message in page] == list(content.values())
    assert [message.get("kind") for message in page] == [None, "bytes"]


def test_a_group_of_both(signed_in, name):
    members = [signed_in(f"member{number}", encoding=["json", "proto"][number % 2]) for number in range(6)]
    for number, member in enumerate(members, start=1):
        member.join(name("both"), number)
        for earlier in members[: number - 1]:
            earlier.expect("groupEvent", group=name("both"), event="joined", user=member.user, members=number)
    for number, sender in enumerate(members):
        sender.send(type="message", group=name("both"), message={"n": number})
        seen = [one.expect("message", ..., message={"n": number}) for one in members if one is not sender]
        assert all(one == seen[0] for one in seen)
        sender.send(type="typing", group=name("both"))
        for one in members:
            if one is not sender:
                one.expect("typing", from_=sender.user, group=name("both"))


def test_a_message_to_everyone_reaches_both(strict, key, connect):
    speaker, listener, hearer = connect(strict), connect(strict), connect(strict, encoding="json")
    for place, client in enumerate((speaker, listener, hearer)):
        client.ask({"type": "auth", "token": token(key, f"both{place}", broadcast=True)}, "authenticated", ...)
    speaker.ask({"type": "message", "message": "all", "kind": "text", "id": "e"}, "ack", id="e", time=..., durability="none")
    shown = hearer.expect("message", from_="both0", message="all", time=...)
    assert listener.recv() == shown
    hearer.send(type="message", message=[1])
    event = frame(listener).message
    assert (event.WhichOneof("target"), event.json, event.conversation, event.seq) == ("everyone", "[1]", "", 0)
    speaker.expect("message", from_="both2", message=[1], time=...)


def test_sending_again_by_the_other_encoding_is_a_duplicate_if_the_bytes_are_the_same(signed_in):
    alice, phone = signed_in("alice", encoding="json"), signed_in("alice")
    bob = signed_in("bob")
    message = {"type": "message", "to": bob.user, "message": "same", "id": "s"}
    first = alice.ask(message, "ack", ..., id="s")
    phone.expect("message", ..., id="s")
    assert phone.ask(message, "ack", ..., id="s", duplicate=True) == first | {"duplicate": True}
    # The same letters as another kind, and the same bytes as another kind.
    for kind, content in {"text": "same", "bytes": base64.b64encode(b'"same"').decode()}.items():
        phone.send(message | {"kind": kind, "message": content})
        phone.expect_error(409, **{"for": "message", "id": "s"})
    bob.expect("message", ..., id="s")
    bob.expect_nothing()


@pytest.mark.parametrize("kind", CONTENT)
def test_the_limit_is_on_the_content_of_each_kind(pair, kind):
    spoken, binary = pair
    command = {"type": "message", "to": spoken.user, "kind": kind}
    binary.send(command | {"message": CONTENT[kind](32769), "id": "over"})
    binary.expect_error(413, **{"for": "message", "id": "over"})
    fits = CONTENT[kind](32768)
    binary.ask(command | {"message": fits, "id": "fits"}, "ack", ..., id="fits")
    spoken.expect("message", ..., message=fits)


def test_text_that_grows_in_json_reaches_its_reader_through_a_small_queue():
    content = "\x01" * 32000
    with Server("--client-queue-max-size", "64KiB") as server:
        with closing(Client(server.url)) as alice, closing(Client(server.url, encoding="proto")) as bob:
            alice.sign_in("alice")
            bob.sign_in("bob")
            for id in ("1", "2"):
                bob.ask({"type": "message", "to": "alice", "message": content, "kind": "text", "id": id}, "ack", ..., id=id)
                alice.expect("message", ..., message=content, id=id)
            # Both are too much for one page in JSON.
            alice.send(type="history", conversation="u:alice:bob")
            page = alice.expect("history", ..., more=True)["messages"]
            assert [(message["id"], message["message"]) for message in page] == [("2", content)]


def test_nothing_is_larger_than_the_page_says():
    """The longest names, ids and contents, to clients that take no more: 194 KiB in JSON, 64 KiB in binary frames."""
    most = {"json": 194 * 1024, "proto": 64 * 1024}
    users = {"alice": '"' * 64, "bob": '"' * 63 + "\\"}
    conversation = "u:{alice}:{bob}".format(**users)
    texts = ["\x01" * 32768] * 2 + ["x" * 16384] * 4
    with Server() as server, ExitStack() as stack:
        readers = [stack.enter_context(closing(Client(server.url, one, max_size=most[one]))) for one in most]
        bob = stack.enter_context(closing(Client(server.url, "proto")))
        for client, user in zip((*readers, bob), ("alice", "alice", "bob"), strict=True):
            client.sign_in(users[user])
        for number, text in enumerate(texts):
            message = {"type": "message", "to": users["alice"], "message": text, "kind": "text"}
            bob.ask(message | {"id": "\x01" * 63 + chr(number + 1)}, "ack", ..., durability="memory")
            for reader in readers:
                reader.expect("message", ..., message=text)
        for reader in readers:
            after, pages = 0, []
            while after is not None:
                reader.send(type="history", conversation=conversation, after=after, limit=100, id="\x02" * 64)
                page = reader.expect("history", ...)
                pages.append(len(page["messages"]))
                after = page["messages"][-1]["seq"] if page["more"] else None
            assert pages == [1, 1, 3, 1]


def test_text_closes_with_1003(signed_in):
    client = signed_in("alice")
    client.send_text('{"type":"ping"}')
    client.expect_closed(1003)


def test_over_size_closes_with_1009(signed_in):
    client = signed_in("alice")

    def send(size):
        frame = ClientFrame()
        frame.message.to, frame.message.text = client.user, "x" * 60000
        frame.message.text += "x" * (size - frame.ByteSize())
        assert frame.ByteSize() == size
        client.socket.send(frame.SerializeToString())

    send(65536)
    client.expect_error(413, **{"for": "message"})
    send(65537)
    client.expect_closed(1009)


def test_fragments_are_put_together(server):
    ping = to_frame({"type": "ping", "id": "in pieces"})
    with Raw(server, Sec_WebSocket_Protocol=SUBPROTOCOL) as client:
        assert client.headers["sec-websocket-protocol"] == SUBPROTOCOL
        client.send(raw.BINARY, ping[:3], fin=False)
        client.send(raw.PING, b"between")
        assert client.recv() == (raw.PONG, b"between")
        client.send(raw.CONTINUATION, ping[3:])
        opcode, answer = client.recv()
        assert (opcode, ServerFrame.FromString(answer).id) == (raw.BINARY, "in pieces")


@each("refused")
def test_what_is_refused_says_why_and_the_connection_lives_on(signed_in, vector):
    client = signed_in("alice")
    client.socket.send(bytes.fromhex(vector["hex"]))
    error = client.expect_error(vector["code"])
    assert (error.get("for"), error.get("id")) == (vector.get("command"), vector.get("id"))
    client.expect_nothing()


@each("malformed")
def test_what_is_malformed_closes_with_1007(signed_in, vector):
    client = signed_in("alice")
    client.socket.send(bytes.fromhex(vector["hex"]))
    client.expect_closed(1007)


def test_a_known_field_of_another_wire_type_is_malformed(signed_in):
    # Protobuf's own libraries do not agree: some take it for a field that they do not know.
    client = signed_in("alice")
    client.socket.send(to_frame({"type": "ping"}) + b"\x78\x01")
    client.expect_closed(1007)


def test_unknown_groups_may_be_a_hundred_deep(signed_in):
    client = signed_in("alice")
    for depth in (100, 101):
        client.socket.send(b"\xc3\x3e" * depth + b"\xc4\x3e" * depth + to_frame({"type": "ping"}))
        client.expect("pong", ...) if depth == 100 else client.expect_closed(1007)


# What a page does: `say` sends a frame, and gives the next one that comes. Frames are lists of bytes here.
PAGE = """new Promise((opened, failed) => {
    const socket = new WebSocket(location.origin.replace("http", "ws"), "%s");
    socket.binaryType = "arraybuffer";
    window.next = () => new Promise((taken) => {
        socket.onmessage = ({ data }) => taken([...new Uint8Array(data)]);
    });
    window.say = (frame) => {
        const answer = next();
        socket.send(Uint8Array.from(frame));
        return answer;
    };
    socket.onopen = () => opened(socket.protocol);
    socket.onerror = failed;
})"""


def test_a_page_gives_up_when_none_of_its_offers_is_known_and_falls_back_to_json_if_it_offers_that(server, browser):
    page = browser.page()
    page.open(server.url.replace("ws:", "http:"))
    offer = """new Promise((told) => {
        const socket = new WebSocket(location.origin.replace("http", "ws"), %s);
        socket.onopen = () => told(socket.protocol);
        socket.onclose = () => told(null);
    })"""
    assert page.evaluate(offer % ["longwire.proto.v2"]) is None
    assert page.evaluate(offer % ["longwire.proto.v2", JSON]) == JSON
    (complaint,) = page.complaints
    assert "Sec-WebSocket-Protocol" in complaint["entry"]["text"]


def test_a_page_in_a_browser_chats(server, browser, signed_in, name):
    page = browser.page()
    page.open(server.url.replace("ws:", "http:"))
    assert page.evaluate(PAGE % SUBPROTOCOL) == SUBPROTOCOL

    def say(**command):
        return from_frame(bytes(page.evaluate(f"say({list(to_frame(command))})")))

    signed_in_page = say(type="auth", username=name("page"))
    assert (signed_in_page["type"], signed_in_page["user"]) == ("authenticated", name("page"))
    alice = signed_in("alice")
    ack = say(type="message", to=alice.user, message="from a page", kind="text", id="1")
    assert ack["id"] == "1"
    alice.expect("message", ..., from_=name("page"), message="from a page", seq=ack["seq"])
    page.evaluate("void (window.answer = next())")
    alice.send(type="message", to=name("page"), message=base64.b64encode(BYTES).decode(), kind="bytes")
    answer = ServerFrame.FromString(bytes(page.evaluate("answer")))
    assert answer.message.bytes == BYTES
    assert page.complaints == []
