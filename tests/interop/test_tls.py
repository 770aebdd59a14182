"""wss:// as other implementations speak it: Python's websockets over OpenSSL, openssl itself, Chromium; Node's ws is in tls.test.mjs."""

import itertools
import json
import re
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

from longwire import PATIENCE, Server

# Of messages: one that is sent twice is one message.
ids = map(str, itertools.count())
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture
def encoding():
    """What is inside TLS is the same bytes."""
    return "json"


def make(folder, key=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """A certificate for this machine and its key, as files."""
    certificate, secret = folder / "fullchain.pem", folder / "privkey.pem"
    command = ["openssl", "req", "-x509", *key, "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", secret, "-out", certificate], check=True, capture_output=True)
    return certificate, secret


class SecureServer(Server):
    """`wss` on a free port beside `ws`; `secure` is its URL."""

    def __init__(self, certificate, key):
        super().__init__(
            "--listen", "wss://127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key
        )
        self.certificate = certificate
        self.port = int(self.secure.rstrip("/").rsplit(":")[-1])

    def context(self, version=None):
        context = ssl.create_default_context(cafile=self.certificate)
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        return context

    def metrics(self, pattern):
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=PATIENCE) as answer:
            return sum(map(float, re.findall(rf"^longwire_{pattern} (\S+)$", answer.read().decode(), re.MULTILINE)))


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    with SecureServer(*make(tmp_path_factory.mktemp("tls"))) as server:
        yield server


@pytest.fixture
def over_tls(secure, name, connect):
    def open(stem, version=None, **options):
        client = connect(secure, ssl=secure.context(version), **options)
        client.user = name(stem)
        client.sign_in(client.user)
        return client

    # The fixture opens what `url` names.
    plain, secure.url = secure.url, secure.secure
    yield open
    secure.url = plain


def talk(alice, bob, content):
    ack = alice.ask({"type": "message", "to": bob.user, "message": content, "id": next(ids)}, "ack", ...)
    bob.expect("message", ..., from_=alice.user, message=content, seq=ack["seq"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_people_talk_over_tls(over_tls, version, compression):
    alice = over_tls("alice", version, compression=compression)
    bob = over_tls("bob", version, compression=compression)
    for content in ("hello", {"text": "grüße 😀 " * 300}):
        talk(alice, bob, content)
        talk(bob, alice, content)
    assert alice.socket.socket.version() == f"TLSv{version}"
    alice.socket.close(1000)
    assert alice.socket.close_code == 1000
    bob.expect_nothing()


def test_a_client_that_does_not_know_the_certificate_does_not_connect(secure, over_tls, connect):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(secure, ssl=ssl.create_default_context())
    over_tls("alice").expect_nothing()


@pytest.mark.parametrize("version", VERSIONS)
def test_openssl_resumes_by_its_ticket(secure, version, tmp_path):
    session = tmp_path / "session"
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", f"-tls{version.replace('.', '_')}"]
    request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    run = lambda *more: subprocess.run(
        [*client, "-ign_eof", *more], input=request, capture_output=True, text=True, timeout=PATIENCE
    ).stdout
    first = run("-sess_out", session)
    assert "<title>Longwire</title>" in first and "\nNew, TLSv" in first
    assert "\nReused, TLSv" in run("-sess_in", session)


def test_openssl_may_not_renegotiate(secure, over_tls):
    alice, bob = over_tls("alice"), over_tls("bob")
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-tls1_2"]
    done = subprocess.run(client, input="R\n", capture_output=True, text=True, timeout=PATIENCE)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr, done.stderr
    talk(alice, bob, "unmoved")


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_old_versions_are_refused_with_an_alert(secure, version):
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", f"-{version}"]
    # Its own policy would not even offer them.
    client += ["-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(client, input="", capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0 and re.search("alert (protocol version|handshake failure)", done.stderr), done.stderr


def test_plain_http_is_told_what_is_spoken_here(secure):
    with socket.create_connection(("127.0.0.1", secure.port), PATIENCE) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"wss://" in answer


def test_a_page_in_a_browser_talks_over_tls(secure, browser, over_tls, name):
    page = browser.page()
    page.call("Security.setIgnoreCertificateErrors", ignore=True)
    page.open(secure.secure.replace("wss:", "https:"))
    page.evaluate("""new Promise((opened, failed) => {
        const socket = new WebSocket(location.origin.replace("http", "ws"));
        window.next = () => new Promise((taken) => { socket.onmessage = ({ data }) => taken(data); });
        window.say = (text) => { const answer = next(); socket.send(text); return answer; };
        window.bye = () => new Promise((gone) => { socket.onclose = (event) => gone(event.wasClean); socket.close(1000); });
        socket.onopen = () => opened();
        socket.onerror = failed;
    })""")
    say = lambda command: json.loads(page.evaluate(f"say({json.dumps(json.dumps(command))})"))
    assert say({"type": "auth", "username": name("page")})["type"] == "authenticated"
    alice = over_tls("alice")
    ack = say({"type": "message", "to": alice.user, "message": "hello", "id": next(ids)})
    alice.expect("message", ..., message="hello", seq=ack["seq"])
    assert page.evaluate("bye()") is True


def test_a_renewed_certificate_is_used_after_sighup(tmp_path):
    rsa = ("-newkey", "rsa:2048")
    certificate, key = make(tmp_path)
    with SecureServer(certificate, key) as server:
        shown = lambda: ssl.get_server_certificate(("127.0.0.1", server.port))
        before = shown()
        assert before in certificate.read_text()
        make(tmp_path, rsa)
        server.signal(signal.SIGHUP)
        while not server.metrics(r'tls_reloads_total\{outcome="done"\}'):
            assert server.process.poll() is None
        assert shown() != before and shown() in certificate.read_text()
        assert server.metrics("tls_certificate_expires_seconds") > 0


def test_a_start_with_files_that_do_not_go_together_says_so(tmp_path):
    (tmp_path / "other").mkdir()
    certificate, _ = make(tmp_path)
    _, other = make(tmp_path / "other")
    with pytest.raises(AssertionError, match="the server ended with 1"):
        SecureServer(certificate, other)
