"""Behind HAProxy, which says by the PROXY protocol from where a client came: in front of a TCP port, and of a Unix socket."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest
import websockets.exceptions

from longwire import PATIENCE, Client, Server

HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"

CONFIG = """
defaults
    mode {mode}
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend clients
    bind 127.0.0.1:{port}
    default_backend chat
backend chat
    server longwire {target} send-proxy-v2 check
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def haproxy(tmp_path, target, mode):
    """HAProxy on a free port in front of `target`."""
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(port=port, target=target, mode=mode))
    process = subprocess.Popen([HAPROXY, "-db", "-f", config])
    try:
        until = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None and time.monotonic() < until, "HAProxy does not serve"
            # 503 until its check has found the server.
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).close()
                break
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("mode", ["tcp", "http"])
@pytest.mark.parametrize("place", ["tcp", "unix"])
def test_clients_chat_through_haproxy_and_are_limited_by_their_own_address(tmp_path, mode, place):
    port = free_port()
    path = tmp_path / "ws"
    target = f"127.0.0.1:{port}" if place == "tcp" else f"unix@{path}"
    listen = f"{target}?proxy=v2" if place == "tcp" else f"unix:{path}?proxy=v2"
    limit = ("--client-address-connection-limit", "2")
    with (
        Server("--listen", listen, *limit) as server,
        haproxy(tmp_path, target, mode) as front,
        contextlib.ExitStack() as clients,
    ):

        def sign_in(name, source):
            client = Client(f"ws://127.0.0.1:{front}/", source_address=(source, 0))
            clients.callback(client.close)
            client.sign_in(name)
            return client

        alice, bob, carol = sign_in("alice", "127.0.0.1"), sign_in("bob", "127.0.0.5"), sign_in("carol", "127.0.0.5")
        alice.ask({"type": "message", "to": "bob", "message": "hello", "id": "1"}, "ack", ...)
        bob.expect("message", ..., message="hello")
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            sign_in("dave", "127.0.0.5")
        assert refused.value.response.status_code == 429
        for client in (alice, bob, carol):
            client.expect_nothing()
        with urllib.request.urlopen(f"{server.admin}/metrics", timeout=PATIENCE) as answer:
            metrics = answer.read().decode()
        refusals = re.findall(r"^longwire_connections_proxy_refused_total{.*} (\d+)$", metrics, re.MULTILINE)
        assert refusals and set(refusals) == {"0"}, metrics
