"""The connection itself: upgrade, subprotocol, origin, frames, closing."""

import contextlib
import http.client
import struct

import pytest
import websockets.exceptions

import raw
from raw import Raw

PING = b'{"type":"ping"}'


@pytest.fixture
def encoding():
    """Frames and JSON; binary frames have test_binary.py."""
    return "json"


def test_a_known_subprotocol_is_selected_and_unknown_ones_are_not(connect):
    for offered, selected in [
        (["longwire.json.v1"], "longwire.json.v1"),
        (["mqtt", "longwire.json.v1"], "longwire.json.v1"),
        (["mqtt"], None),
        (None, None),
    ]:
        client = connect(subprotocols=offered)
        assert client.socket.subprotocol == selected
        client.expect_nothing()


def test_ws_is_the_same_as_the_root(connect):
    connect(path="ws").expect_nothing()


def test_only_its_own_web_pages_may_connect(server, connect):
    host = server.url.removeprefix("ws://").rstrip("/")
    connect(origin=f"http://{host}").expect_nothing()
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            connect(origin=origin)
        assert refused.value.response.status_code == 403


def test_a_server_for_trying_out_answers_to_loopback_names_only(server):
    port = server.address[1]
    for host in ("localhost", "127.0.0.1", "[::1]"):
        with Raw(server, Host=f"{host}:{port}") as client:
            assert client.status == 101, host
    # A name that resolves to 127.0.0.1 would let any web page in.
    with Raw(server, Host=f"evil.example:{port}", Origin=f"http://evil.example:{port}") as client:
        assert client.status == 403


def test_a_plain_get_says_what_this_is(strict):
    connection = http.client.HTTPConnection(*strict.address, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    assert (answer.status, "Longwire" in page, "WebSocket" in page) == (200, True, True), page
    connection.close()


def test_another_version_is_told_which_one_is_spoken(server):
    with Raw(server, Sec_WebSocket_Version="8") as client:
        assert client.status == 426
        assert client.headers["sec-websocket-version"] == "13"


def test_the_upgrade_answers_the_key_of_the_standard(server):
    with Raw(server) as client:
        assert client.status == 101
        assert client.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_fragments_are_put_together(signed_in):
    alice, bob = signed_in("alice"), signed_in("bob")
    text = '{"type":"message","to":"%s","message":"in pieces é","id":"1"}' % bob.user
    alice.socket.send(iter([text[:1], text[1:30], "", text[30:]]))
    alice.expect("ack", ..., id="1")
    bob.expect("message", ..., message="in pieces é")


def test_control_frames_come_between_fragments(server):
    with Raw(server) as client:
        client.send(raw.TEXT, PING[:5], fin=False)
        client.send(raw.PING, b"between")
        assert client.recv() == (raw.PONG, b"between")
        client.send(raw.CONTINUATION, PING[5:-1], fin=False)
        client.send(raw.PONG, b"unasked")
        client.send(raw.CONTINUATION, PING[-1:])
        opcode, answer = client.recv()
        assert opcode == raw.TEXT and answer.startswith(b'{"type":"pong"')


@pytest.mark.parametrize("payload", [b"", b"payload", b"x" * 125])
def test_a_ping_is_answered_with_its_payload(connect, payload):
    assert connect().socket.ping(payload).wait(timeout=10)


def test_the_close_handshake_repeats_the_code(server):
    with Raw(server) as client:
        client.send_close(1000)
        opcode, payload = client.recv()
        assert (opcode, payload[:2]) == (raw.CLOSE, struct.pack(">H", 1000))
        assert client.recv() is None


def test_a_client_that_closes_is_let_go(connect):
    client = connect()
    client.socket.close(4001, "bye")
    assert client.socket.close_code == 4001


@pytest.mark.parametrize("text", ["hello", "{", '{"type":"ping"} x', '{"type":"ping",}', "", "[1,"])
def test_what_is_not_json_closes_with_1007(signed_in, text):
    client = signed_in("alice")
    client.send_text(text)
    client.expect_closed(1007)


def test_what_is_not_utf_8_closes_with_1007(server):
    with Raw(server) as client:
        client.send(raw.TEXT, b'{"type":"ping","id":"\xff"}')
        client.expect_close(1007)


@pytest.mark.parametrize("text", ["null", "5", '"ping"', "[]"])
def test_json_that_is_no_object_is_400(signed_in, text):
    client = signed_in("alice")
    client.send_text(text)
    client.expect_error(400)
    client.expect_nothing()


def test_binary_closes_with_1003(signed_in):
    client = signed_in("alice")
    client.socket.send(PING)
    client.expect_closed(1003)


def test_over_size_closes_with_1009(signed_in):
    client = signed_in("alice")
    padded = '{"type":"ping","x":"%s"}'
    fits = padded % ("x" * (65536 - len(padded) + 2))
    client.send_text(fits)
    client.expect("pong", time=...)
    client.send_text(fits + " ")
    client.expect_closed(1009)


def test_over_size_in_fragments_closes_with_1009(signed_in):
    client = signed_in("alice")
    # The server need not wait for the second fragment's end before it closes.
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        client.socket.send(iter(["x" * 40000, "x" * 40000]))
    client.expect_closed(1009)


@pytest.mark.parametrize("later", ["subscribe", "unsubscribe", "dance"])
def test_an_unknown_type_is_400(signed_in, later):
    client = signed_in("alice")
    client.send(type=later, id="1")
    client.expect_error(400, **{"for": later, "id": "1"})


VIOLATIONS = {
    "unmasked": lambda client: client.send(raw.TEXT, PING, masked=False),
    "reserved bit": lambda client: client.send(raw.TEXT, PING, rsv=4),
    "reserved opcode": lambda client: client.send(3, PING),
    "long control frame": lambda client: client.send(raw.PING, b"x" * 126),
    "fragmented control frame": lambda client: client.send(raw.PING, fin=False),
    "continuation of nothing": lambda client: client.send(raw.CONTINUATION, PING),
    "message within a message": lambda client: (
        client.send(raw.TEXT, b"{", fin=False), client.send(raw.TEXT, PING)
    ),
    "close of one byte": lambda client: client.send(raw.CLOSE, b"x"),
    "close with a code of nobody's": lambda client: client.send_close(1005),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_broken_frame_closes_with_1002(server, violation):
    with Raw(server) as client:
        VIOLATIONS[violation](client)
        client.expect_close(1002)
