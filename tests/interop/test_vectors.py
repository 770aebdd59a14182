"""The vectors of proto/ by Protobuf's own Python library: the schema alone is enough to read and write them.

After a change of `proto` in a vector, `WRITE_HEX=1 tests/interop/run.sh -k hex` writes the bytes anew.
"""

import json
import os

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from binary import PROTO, ClientFrame, ServerFrame, from_frame, to_frame

FILES = ["commands", "events", "tolerated", "refused", "malformed"]


def path(file):
    return PROTO / "vectors" / f"{file}.json"


def read(file):
    return json.loads(path(file).read_text())


def each(*files):
    """A test for each vector of these files."""
    vectors = [pytest.param(vector, id=f"{file}: {vector['name']}") for file in files for vector in read(file)]
    return pytest.mark.parametrize("vector", vectors)


def written(vectors):
    """A file's text: a line for each key, so that a change shows as the lines it changes."""
    texts = [[f'    "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in one.items()] for one in vectors]
    return "[\n" + ",\n".join("  {\n" + ",\n".join(lines) + "\n  }" for lines in texts) + "\n]\n"


def parsed(vector, frame):
    return frame.FromString(bytes.fromhex(vector["hex"]))


def as_sent(frame):
    """The id comes last, so that a frame's first byte tells what it is; libraries write fields by their numbers."""
    last = type(frame)(id=frame.id)
    frame.ClearField("id")
    return frame.SerializeToString() + last.SerializeToString()


@pytest.mark.parametrize("file, frame", [("commands", ClientFrame), ("events", ServerFrame)])
def test_hex_is_what_protobuf_makes_of_its_own_json(file, frame):
    vectors = read(file)
    made = [as_sent(json_format.ParseDict(vector["proto"], frame())).hex() for vector in vectors]
    if os.environ.get("WRITE_HEX"):
        vectors = [vector | {"hex": data} for vector, data in zip(vectors, made)]
        path(file).write_text(written(vectors))
    assert made == [vector["hex"] for vector in vectors]


@each("commands")
def test_a_command_is_read_as_it_is_said(vector):
    frame = parsed(vector, ClientFrame)
    assert json_format.MessageToDict(frame) == vector["proto"]
    if "json" in vector:
        made = ClientFrame.FromString(to_frame(json.loads(vector["json"])))
        if text := frame.message.json:
            # To the byte as in JSON; what this translator makes of it is the same value.
            assert f'"message":{text}' in vector["json"]
            assert json.loads(made.message.json) == json.loads(text)
            made.message.json = text
        assert made == frame


@each("events")
def test_an_event_is_read_as_it_is_said(vector):
    assert json_format.MessageToDict(parsed(vector, ServerFrame)) == vector["proto"]
    shown = from_frame(bytes.fromhex(vector["hex"]))
    assert shown == json.loads(vector["json"])
    said = vector["proto"]
    pages = [said.get("history", {})] + said.get("sync", {}).get("conversations", [])
    for message in [said.get("message", {})] + [message for page in pages for message in page.get("messages", [])]:
        if "json" in message:
            assert f'"message":{message["json"]}' in vector["json"]


@each("tolerated")
def test_what_is_not_known_is_ignored(vector):
    frame = parsed(vector, {"client": ClientFrame, "server": ServerFrame}[vector["from"]])
    assert json_format.MessageToDict(frame) == vector["proto"]
    if vector["from"] == "server" and (known := frame.WhichOneof("event")):
        # What is known of an event is shown, whatever else is not.
        shown = from_frame(bytes.fromhex(vector["hex"]))
        assert shown["type"] == ServerFrame.DESCRIPTOR.fields_by_name[known].camelcase_name


def test_a_number_that_an_enum_does_not_have_stays_one():
    assert from_frame(ServerFrame(ack={"durability": 99}).SerializeToString())["durability"] == 99
    assert from_frame(ServerFrame(group_event={"event": 300}).SerializeToString())["event"] == 300


@each("refused")
def test_what_is_refused_is_a_frame_all_the_same(vector):
    frame = parsed(vector, ClientFrame)
    assert frame.id == vector.get("id", frame.id)
    name = frame.WhichOneof("command")
    assert (name and ClientFrame.DESCRIPTOR.fields_by_name[name].camelcase_name) == vector.get("command")


@each("malformed")
def test_what_is_malformed_is_refused_here_too(vector):
    with pytest.raises(DecodeError):
        parsed(vector, ClientFrame)


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_written_one_line_a_key_and_its_names_differ(file):
    vectors = read(file)
    assert path(file).read_text() == written(vectors)
    assert len({vector["name"] for vector in vectors}) == len(vectors)


def said(message):
    """The fields and enum values that a message gives, by name."""
    for field, value in message.ListFields():
        yield field.full_name
        for one in value if field.is_repeated else [value]:
            if field.message_type:
                yield from said(one)
            elif field.enum_type:
                yield field.enum_type.values_by_number[one].name


def sayable(kind):
    """All that a message of this kind could give; what nobody sends is left out."""
    for field in kind.fields:
        yield field.full_name
        if field.message_type:
            yield from sayable(field.message_type)
        elif field.enum_type:
            yield from (value.name for value in field.enum_type.values if value.number != 0)


@pytest.mark.parametrize("file, frame", [("commands", ClientFrame), ("events", ServerFrame)])
def test_every_field_of_the_schema_has_a_vector(file, frame):
    seen = {name for vector in read(file) for name in said(parsed(vector, frame))}
    assert seen == set(sayable(frame.DESCRIPTOR))
