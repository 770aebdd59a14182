"""Every example of docs/protocol.md does what the page says (it tells how to read them)."""

import json
import pathlib
import re

import pytest

from longwire import Client, Server, matches, token

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "protocol.md"
LINE = re.compile(r"(?P<client>[\w.]+)(?P<direction>[<>]) (?P<text>.+)")
CLOSED = re.compile(r"closed (\d+)")
# A string, the rest of an object, or a value: what may hold a wildcard and what may not.
TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<rest>,…(?=\}))|…(?P<name>[\w.]*)')


def examples():
    """Each block as its first line in the page, its server and its lines."""
    server, lines, found = None, [], []
    for number, line in enumerate(PAGE.read_text().splitlines(), start=1):
        if fence := re.fullmatch(r"```chat( token)?", line):
            server, lines, start = ("token" if fence[1] else "dev"), [], number
        elif line == "```" and server:
            found.append(pytest.param(server, lines, id=f"line {start}"))
            server = None
        elif server:
            lines.append((number, line))
    return found


class Transcript:
    """One block: its connections, and what its wildcards stand for."""

    def __init__(self, server, known):
        self.server, self.known = server, known
        self.clients, self.closed = {}, set()

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = Client(self.server.url)
        return self.clients[name]

    def line(self, line):
        parts = LINE.fullmatch(line)
        assert parts, "neither NAME> nor NAME<"
        client, text = self.client(parts["client"]), parts["text"]
        if parts["direction"] == ">":
            client.send_text(self.filled(text))
        elif closed := CLOSED.fullmatch(text):
            client.expect_closed(int(closed[1]))
            self.closed.add(client)
        else:
            actual = client.recv()
            assert self.agrees(json.loads(self.pattern(text)), actual), f"got {json.dumps(actual, ensure_ascii=False)}"

    def filled(self, text):
        """What to send: each wildcard replaced by what it stands for."""
        return TOKEN.sub(lambda t: t["string"] or json.dumps(self.known[t["name"]]), text)

    def pattern(self, text):
        """What to expect, as JSON: wildcards become strings, and the rest of an object a field."""
        return TOKEN.sub(
            lambda t: t["string"] or (',"…":0' if t["rest"] else json.dumps("…" + t["name"])), text
        )

    def agrees(self, expected, actual):
        if isinstance(expected, str) and expected.startswith("…"):
            return expected == "…" or matches(self.known.setdefault(expected[1:], actual), actual)
        if isinstance(expected, dict) and isinstance(actual, dict):
            named = expected.keys() - {"…"}
            fields = named <= actual.keys() if "…" in expected else named == actual.keys()
            return fields and all(self.agrees(expected[key], actual[key]) for key in named)
        if isinstance(expected, list) and isinstance(actual, list):
            return len(expected) == len(actual) and all(map(self.agrees, expected, actual))
        return matches(expected, actual)

    def end(self):
        """Nothing came that the page does not show."""
        for client in self.clients.values():
            if client not in self.closed:
                client.expect_nothing()

    def close(self):
        for client in self.clients.values():
            client.close()


@pytest.mark.parametrize("kind, lines", examples())
def test_an_example_is_true(kind, lines, key, key_file):
    arguments = {"token": {"dev": False}, "dev": {}}[kind]
    options = ["--token-key", key_file] if kind == "token" else []
    known = {f"token.{user}": token(key, user) for user in ("alice", "bob")}
    with Server(*options, **arguments) as server:
        transcript = Transcript(server, known)
        try:
            for number, line in lines:
                try:
                    transcript.line(line)
                except Exception as wrong:
                    raise AssertionError(f"{PAGE.name}:{number}: {line}\n{wrong}") from wrong
            transcript.end()
        finally:
            transcript.close()


def test_the_page_has_its_examples():
    assert len(examples()) >= 10
