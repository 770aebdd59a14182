"""The conversations in README.md and docs/quickstart.md, held by the client they show: `python -m websockets`.

A `console` block that starts the client opens a terminal; any other one goes on in the terminal of whom the text above it names
first. Lines with `>` are typed and lines with `<` must come, with the same fields in the same order. Numbers and names that a
server makes up (times, seqs, sessions) may be others than on the page, but equal ones stay equal, and seqs and sessions
that differ stay different.
"""

import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import threading

import pytest

from longwire import PATIENCE, Server

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ["README.md", "docs/quickstart.md"]
ADDRESS = "ws://127.0.0.1:9501/"
CLIENT = f"$ .venv/bin/python -m websockets {ADDRESS}"
# What the suite has done by the time it runs this: built and started the server, installed the client.
DONE = ["$ cargo run --release -- serve --dev", "$ python3 -m venv .venv && .venv/bin/pip install websockets"]
# Fields whose values a server makes up, and what they are.
MADE_UP = {"session": "session", "time": "time"} | dict.fromkeys(("seq", "prev", "head", "first", "read"), "seq")


def blocks(page):
    """Each `console` block: who types there, and its lines."""
    text = (ROOT / page).read_text()
    for found in re.finditer(r"([^\n]+)\n\n```console\n(.*?)```", text, re.DOTALL):
        person = re.search(r"Alice|Bob", found[1])
        yield person and person[0], found[2].splitlines()


class Terminal:
    """The client on a terminal of its own."""

    def __init__(self, url):
        self.keyboard, screen = pty.openpty()
        command = [sys.executable, "-m", "websockets", url]
        self.process = subprocess.Popen(command, stdin=screen, stdout=screen, stderr=screen)
        os.close(screen)
        self.seen, self.passed, self.ended = "", 0, False
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        raw = b""
        while True:
            try:
                more = os.read(self.keyboard, 65536)
            except OSError:
                more = b""
            raw += more
            with self.changed:
                # What moves the cursor is no text.
                self.seen = re.sub(r"\x1b(\[[0-9;]*[A-Za-z]|[78])", "", raw.decode(errors="replace")).replace("\r", "")
                self.ended = not more
                self.changed.notify_all()
            if not more:
                return

    def await_line(self, pattern):
        """The next line that is like this; it counts only once."""
        with self.changed:
            line = re.compile(pattern)
            self.changed.wait_for(lambda: self.ended or line.search(self.seen, self.passed), PATIENCE)
            found = line.search(self.seen, self.passed)
            assert found, f"waited in vain for {pattern} in:\n{self.seen}"
            self.passed = found.end()
            return found

    def type(self, text):
        os.write(self.keyboard, text.encode() + b"\n")

    def close(self):
        self.process.kill()
        self.process.wait()


def agree(shown, got, known, field=None, conversation=None):
    """Whether the page's value stands for the one that came."""
    if isinstance(shown, dict):
        conversation = shown.get("conversation")
        return (
            isinstance(got, dict)
            and list(shown) == list(got)
            and all(agree(shown[name], got[name], known, name, conversation) for name in shown)
        )
    if isinstance(shown, list):
        return len(shown) == len(got) and all(agree(*both, known) for both in zip(shown, got, strict=True))
    if field in MADE_UP and shown != 0:
        # Numbers are told apart within their conversation: two that begin in one millisecond begin with the same.
        kind = (MADE_UP[field], conversation if MADE_UP[field] == "seq" else None)
        # Two moments on the page may be the same millisecond here.
        alone = MADE_UP[field] == "time" or known.setdefault((kind, "got", got), shown) == shown
        return type(shown) is type(got) and alone and known.setdefault((kind, "shown", shown), got) == got
    return shown == got


@pytest.mark.parametrize("page", PAGES)
def test_the_conversation_goes_as_shown(page, tmp_path):
    terminals, known, lines = {}, {}, 0
    with Server("--durability", "fsync", "--data-dir", tmp_path, "--store-min-free", "0B") as server:
        try:
            for person, block in blocks(page):
                for line in block:
                    if line in DONE:
                        continue
                    if line == CLIENT:
                        # Whoever comes back has left before.
                        if person in terminals:
                            terminals[person].close()
                        terminals[person] = Terminal(server.url)
                        continue
                    here = terminals[person]
                    if line == f"Connected to {ADDRESS}.":
                        here.await_line(re.escape(f"Connected to {server.url}."))
                    elif line.startswith("> "):
                        here.type(line[2:])
                    elif line.startswith("< "):
                        shown = json.loads(line[2:])
                        got = json.loads(here.await_line(r"< (\{.*\})\n")[1])
                        assert agree(shown, got, known), f"{page}: {person} is shown {shown} and got {got}"
                        lines += 1
                    else:
                        pytest.fail(f"{page}: nobody knows how to test `{line}`")
        finally:
            for terminal in terminals.values():
                terminal.close()
    assert lines >= 4 and len(terminals) == 2
