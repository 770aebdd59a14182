"""Every example of docs/protocol.md does what the page says (it tells how to read them), in each encoding.

A block in which a client is called NAME.binary, or whose fence says `chat json`, shows its encodings and is run as it stands. Any
other one is about both: it is run in JSON, and with every command and event translated to the binary encoding.
"""

import base64
import json
import pathlib
import re

import pytest
from google.protobuf import json_format

from binary import ClientFrame, ServerFrame
from longwire import Client, Server, matches, token

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "protocol.md"
LINE = re.compile(r"(?P<client>[\w.]+)(?P<direction>[<>]) (?P<text>.+)")
CLOSED = re.compile(r"closed (\d+)")
# A string, the rest of an object, or a value: what may hold a wildcard and what may not.
TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<rest>,…(?=\}))|…(?P<name>[\w.]*)')
# What stands for a frame byte by byte, and for a text message where frames are spoken.
HEX = re.compile(r"hex ((?:[0-9a-f]{2} ?)*)(?: +#.*)?")
TEXT = re.compile(r"text (.+)")


def examples():
    """Each block, once for each encoding that it is about: its server, the encoding of its clients, and its lines."""
    found, word, lines, start = [], None, [], 0
    for number, line in enumerate(PAGE.read_text().splitlines(), start=1):
        if fence := re.fullmatch(r"```chat( token| json)?", line):
            word, lines, start = (fence[1] or " dev").strip(), [], number
        elif line == "```" and word:
            shown = word == "json" or any(re.match(r"\w+\.binary[<>]", text) for _, text in lines)
            server = "token" if word == "token" else "dev"
            for encoding in ["json"] if shown else ["json", "proto"]:
                found.append(pytest.param(server, encoding, lines, id=f"line {start} {encoding}"))
            word = None
        elif word:
            lines.append((number, line))
    return found


def mapped(message):
    """A frame as Protobuf's JSON mapping has it, but with numbers of 64 bits as numbers."""

    def one(field, value):
        if field.message_type:
            return mapped(value)
        if field.enum_type:
            return field.enum_type.values_by_number[value].name
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    return {
        field.json_name: [one(field, each) for each in value] if field.is_repeated else one(field, value)
        for field, value in message.ListFields()
    }


class Transcript:
    """One block: its connections, and what its wildcards stand for."""

    def __init__(self, server, encoding, known):
        self.server, self.encoding, self.known = server, encoding, known
        self.clients, self.closed = {}, set()

    def client(self, name):
        if name not in self.clients:
            encoding = "proto" if name.endswith(".binary") else self.encoding
            self.clients[name] = Client(self.server.url, encoding=encoding)
        return self.clients[name]

    def line(self, line):
        parts = LINE.fullmatch(line)
        assert parts, "neither NAME> nor NAME<"
        client, text = self.client(parts["client"]), parts["text"]
        frames = parts["client"].endswith(".binary")
        if parts["direction"] == ">":
            self.send(client, frames, text)
        elif closed := CLOSED.fullmatch(text):
            client.expect_closed(int(closed[1]))
            self.closed.add(client)
        elif given := HEX.fullmatch(text):
            actual = client.recv_text()
            assert actual == bytes.fromhex(given[1]), f"got {actual.hex(' ')}"
        else:
            actual = mapped(ServerFrame.FromString(client.recv_text())) if frames else client.recv()
            assert self.agrees(json.loads(self.pattern(text)), actual), f"got {json.dumps(actual, ensure_ascii=False)}"

    def send(self, client, frames, text):
        if given := HEX.fullmatch(text):
            client.socket.send(bytes.fromhex(given[1]))
        elif given := TEXT.fullmatch(text):
            client.send_text(given[1])
        elif frames:
            client.socket.send(json_format.Parse(self.filled(text), ClientFrame()).SerializeToString())
        elif client.encoding == "json":
            client.send_text(self.filled(text))
        else:
            client.send(json.loads(self.filled(text)))

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


@pytest.mark.parametrize("kind, encoding, lines", examples())
def test_an_example_is_true(kind, encoding, lines, key, key_file):
    arguments = {"token": {"dev": False}, "dev": {}}[kind]
    options = ["--token-key", key_file] if kind == "token" else []
    known = {f"token.{user}": token(key, user) for user in ("alice", "bob")}
    with Server(*options, **arguments) as server:
        transcript = Transcript(server, encoding, known)
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
    encodings = [example.values[1] for example in examples()]
    binary = [example for example in examples() if any(".binary" in line for _, line in example.values[2])]
    assert len(encodings) >= 30 and encodings.count("proto") >= 10 and len(binary) >= 5
