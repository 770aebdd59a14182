"""A longwire server as a child process, and clients that say what they expect of it."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

import websockets.exceptions
from websockets.sync.client import connect

import binary

# How long anything may take before the test fails (seconds): a bound, never a wait.
PATIENCE = 10

BINARY = os.environ.get("LONGWIRE_BIN", "longwire")


def cores():
    """Two of the cores this process may use, or the only one."""
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:2])


class Server:
    """`longwire serve` on free ports; `url`, `secure` and `admin` are what its banner says."""

    def __init__(self, *arguments, dev=True):
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cores", cores()]
        command += ["--durability", "memory"] * ("--durability" not in arguments)
        command += ["--dev"] * dev + [str(argument) for argument in arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._await_banner()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _await_banner(self):
        banner, self.url, self.secure, self.admin = "", None, None, None
        while not (self.url and self.admin):
            line = self.lines.get(timeout=PATIENCE)
            assert line is not None, f"the server ended with {self.process.wait()} after:\n{banner}"
            banner += line
            if found := re.search(r"\bws://[^\s/]+:\d+", line):
                self.url = found[0] + "/"
            if found := re.search(r"\bwss://[^\s/]+:\d+", line):
                self.secure = found[0] + "/"
            if found := re.search(r"\bhttp://[^\s/]+:\d+", line):
                self.admin = found[0]

    @property
    def address(self):
        """Host and port."""
        host, port = re.fullmatch(r"ws://(.+):(\d+)/", self.url).groups()
        return host, int(port)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Asks the server to end, and returns its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def matches(expected, actual):
    """Whether `actual` is `expected`, where `...` stands for any value and a key `...` for any further fields."""
    if expected is ...:
        return True
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return False
        named = expected.keys() - {...}
        if not (named <= actual.keys() if ... in expected else named == actual.keys()):
            return False
        return all(matches(expected[key], actual[key]) for key in named)
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(map(matches, expected, actual))
        )
    return type(expected) is type(actual) and expected == actual


class Client:
    """One connection. What it receives is taken in order: a message nobody expected fails the next expectation.

    With the encoding `proto` commands and events look the same here, and are binary frames on the wire.
    """

    def __init__(self, url, encoding="json", **options):
        self.encoding = encoding
        if encoding == "proto":
            options = {"subprotocols": [binary.SUBPROTOCOL]} | options
        options = {"compression": None, "proxy": None, "ping_interval": None, "max_size": None} | options
        self.stack = contextlib.ExitStack()
        connection = connect(url, open_timeout=PATIENCE, close_timeout=PATIENCE, **options)
        self.socket = self.stack.enter_context(connection)

    def send(self, command=None, /, **fields):
        command = command if command is not None else fields
        self.socket.send(json.dumps(command) if self.encoding == "json" else binary.to_frame(command))

    def send_text(self, text):
        self.socket.send(text)

    def recv_text(self):
        """The next message as it came."""
        return self.socket.recv(timeout=PATIENCE)

    def recv(self):
        message = self.recv_text()
        assert isinstance(message, str) == (self.encoding == "json"), "a frame of the other kind"
        return json.loads(message) if self.encoding == "json" else binary.from_frame(message)

    def expect(self, type, more=None, /, **fields):
        """Takes the next message, which must have exactly these fields (`...` after the type: at least these)."""
        actual = self.recv()
        expected = {"type": type} | fields | ({...: ...} if more is ... else {})
        # "from" is a word of Python, so it is written from_ here.
        expected = {"from" if key == "from_" else key: value for key, value in expected.items()}
        assert matches(expected, actual), f"expected {expected}\n     got {actual}"
        return actual

    def ask(self, command, answer, more=None, /, **fields):
        """Sends a command and takes its answer."""
        self.send(command)
        return self.expect(answer, more, **fields)

    def expect_error(self, code, **fields):
        error = self.expect("error", ..., code=code, **fields)
        assert error["reason"], "an error says why"
        return error

    def expect_nothing(self):
        """Nothing is waiting: the next thing to come is the answer to this ping."""
        self.ask({"type": "ping", "id": "nothing"}, "pong", id="nothing", time=...)

    def expect_closed(self, code, reason=None):
        """The server closes with `code`, and nothing comes before."""
        try:
            text = self.recv_text()
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd is not None, f"no close frame: {closed}"
            assert closed.rcvd.code == code, f"{closed.rcvd}"
            assert reason is None or re.fullmatch(reason, closed.rcvd.reason), f"{closed.rcvd}"
        else:
            raise AssertionError(f"expected a close with {code}, got {text}")

    def sign_in(self, user, **fields):
        return self.ask({"type": "auth", "username": user} | fields, "authenticated", ..., user=user)

    def join(self, group, members):
        return self.ask({"type": "joinGroup", "group": group}, "joined", group=group, members=members, seq=...)

    def close(self):
        with contextlib.suppress(OSError, websockets.exceptions.WebSocketException):
            self.stack.close()


def token(key, user, ttl=3600, algorithm="HS256", **claims):
    """A JWT as any issuer would make it."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    header = part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": user, "exp": int(time.time()) + ttl} | claims).encode())
    signed = header + b"." + body
    signature = b"" if algorithm == "none" else hmac.new(key, signed, hashlib.sha256).digest()
    return (signed + b"." + part(signature)).decode()
