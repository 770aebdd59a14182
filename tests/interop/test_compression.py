"""permessage-deflate as other implementations speak it: Python's websockets, Chromium; Node's ws is in chat.test.mjs."""

import json
import re
import urllib.request

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

# Repeats itself, with a few bytes of UTF-8, and is longer than the smallest window.
CONTENT = {"text": "say it again, grüße 😀; " * 400, "n": [1, None]}


def counted(server, family):
    with urllib.request.urlopen(f"{server.admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(int(n) for n in re.findall(rf"^longwire_{family}_total(?:{{.*}})? (\d+)$", text, re.MULTILINE))


@pytest.mark.parametrize("bits", [None, 9, 12, 15])
def test_a_client_of_any_window_is_compressed_for_and_may_compress(server, connect, signed_in, name, bits):
    deflate = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits or True)
    alice = connect(extensions=[deflate])
    (agreed,) = alice.socket.protocol.extensions
    assert (agreed.name, agreed.remote_no_context_takeover, agreed.local_no_context_takeover) == (
        "permessage-deflate",
        True,
        True,
    )
    assert agreed.remote_max_window_bits == (bits or 15)
    alice.sign_in(name("alice"))
    plain = signed_in("bob")
    before = [counted(server, family) for family in ("frames_deflated", "frames_inflated")]
    for id in ("1", "2", "3"):
        ack = alice.ask({"type": "message", "to": plain.user, "message": CONTENT, "id": id}, "ack", ..., id=id)
        plain.expect("message", ..., message=CONTENT, seq=ack["seq"])
        plain.send(type="message", to=name("alice"), message=CONTENT)
        alice.expect("message", ..., from_=plain.user, message=CONTENT)
    after = [counted(server, family) for family in ("frames_deflated", "frames_inflated")]
    assert after[0] - before[0] >= 3 and after[1] - before[1] >= 3, (before, after)
    alice.ask({"type": "history", "conversation": f"u:{':'.join(sorted([name('alice'), plain.user]))}"}, "history", ...)


def test_what_has_no_window_here_is_declined_and_the_next_offer_taken(server, connect, encoding):
    eight = ClientPerMessageDeflateFactory(server_max_window_bits=8)
    client = connect(extensions=[eight])
    assert client.socket.protocol.extensions == []
    client.expect_nothing()
    client = connect(extensions=[eight, ClientPerMessageDeflateFactory(server_max_window_bits=10)])
    assert [agreed.remote_max_window_bits for agreed in client.socket.protocol.extensions] == [10]
    client.expect_nothing()


def test_a_message_that_inflates_past_the_limit_closes(connect):
    client = connect(compression="deflate")
    client.send_text(" " * 65537)
    client.expect_closed(1009)


def test_a_page_in_a_browser_is_compressed_for(server, browser, signed_in, name):
    page = browser.page()
    page.open(server.url.replace("ws:", "http:"))
    before = [counted(server, family) for family in ("frames_deflated", "frames_inflated")]
    opened = page.evaluate("""new Promise((opened, failed) => {
        const socket = new WebSocket(location.origin.replace("http", "ws"));
        window.next = () => new Promise((taken) => { socket.onmessage = ({ data }) => taken(data); });
        window.say = (text) => { const answer = next(); socket.send(text); return answer; };
        socket.onopen = () => opened(socket.extensions);
        socket.onerror = failed;
    })""")
    assert opened.split("; ")[0] == "permessage-deflate", opened
    say = lambda command: json.loads(page.evaluate(f"say({json.dumps(json.dumps(command))})"))
    assert say({"type": "auth", "username": name("page")})["type"] == "authenticated"
    alice = signed_in("alice")
    ack = say({"type": "message", "to": alice.user, "message": CONTENT, "id": "1"})
    alice.expect("message", ..., message=CONTENT, seq=ack["seq"])
    page.evaluate("void (window.answer = next())")
    alice.send(type="message", to=name("page"), message=CONTENT)
    assert json.loads(page.evaluate("answer"))["message"] == CONTENT
    assert page.complaints == []
    after = [counted(server, family) for family in ("frames_deflated", "frames_inflated")]
    assert after[0] > before[0] and after[1] > before[1], (before, after)
