"""Longwire's binary encoding for clients written as if they spoke JSON: commands to frames, frames to events.

Knows the schema, and where the two encodings differ; nothing of connections. What binary frames cannot say (a field of
the wrong type, two targets, a command that is not in the schema) is an error of Python's.
"""

import base64
import json
import pathlib
import tempfile

from google.protobuf import descriptor_pb2, message_factory
from grpc_tools import protoc

SUBPROTOCOL = "longwire.proto.v1"
PROTO = pathlib.Path(__file__).parents[2] / "proto"


def compiled():
    """The classes that the schema alone makes, by their full names."""
    with tempfile.NamedTemporaryFile() as out:
        status = protoc.main(["protoc", f"-I{PROTO}", f"--descriptor_set_out={out.name}", "longwire/v1/longwire.proto"])
        assert status == 0, "the schema does not compile"
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    return message_factory.GetMessages(files.file)


_classes = compiled()
ClientFrame, ServerFrame = _classes["longwire.v1.ClientFrame"], _classes["longwire.v1.ServerFrame"]

# Fields that are called otherwise in JSON, where they are words of some language; `sender` is `from` everywhere.
RENAMED = {"sender": "from", "Expiring.left": "in", "Error.command": "for"}
# Fields that JSON leaves out when there is nothing to say; others are said even when they are 0.
LEFT_OUT = {"Message.id", "Ack.duplicate", "Sync.next", "Receipt.received", "Receipt.read", "Error.command", "Error.retry_after"}
# Fields of what has a place in a conversation: what goes to everyone has none.
PLACE = {"conversation", "seq", "prev"}


def to_frame(command):
    """A command's frame. Its `message` is sent as JSON unless there is a `kind`: `text`, or `bytes` (given in base64)."""
    command = dict(command)
    field = ClientFrame.DESCRIPTOR.fields_by_camelcase_name[command.pop("type")]
    frame = ClientFrame(id=command.pop("id", ""))
    inner = getattr(frame, field.name)
    inner.SetInParent()
    if field.message_type.name == "SendMessage":
        kind, content = command.pop("kind", "json"), command.pop("message")
        encode = {"json": json.dumps, "text": lambda text: text, "bytes": base64.b64decode}[kind]
        setattr(inner, kind, encode(content))
        if not command.keys() & {"to", "group"}:
            inner.everyone.SetInParent()
    if {"to", "group"} <= command.keys() or {"token", "username"} <= command.keys():
        raise ValueError("one of them only")
    for conversation, seq in command.pop("cursors", {}).items():
        inner.cursors.add(conversation=conversation, seq=seq)
    for name, value in command.items():
        setattr(inner, name, value)
    return frame.SerializeToString()


def from_frame(data):
    """The event that a frame tells, as the fields of its JSON object in their order."""
    frame = ServerFrame.FromString(data)
    name = frame.WhichOneof("event")
    if name is None:
        raise ValueError(f"no event that is known: {data.hex()}")
    fields = {"type": ServerFrame.DESCRIPTOR.fields_by_name[name].camelcase_name}
    return fields | ({"id": frame.id} if frame.id else {}) | shown(getattr(frame, name))


def shown(message):
    """A message's fields as JSON has them."""
    kind, fields = message.DESCRIPTOR.name, {}
    no_place = kind in ("Message", "Ack") and not message.conversation
    for field in message.DESCRIPTOR.fields:
        name, value = field.name, getattr(message, field.name)
        qualified = f"{kind}.{name}"
        if field.containing_oneof and message.WhichOneof(field.containing_oneof.name) != name:
            continue
        if name == "everyone" or (no_place and name in PLACE) or (qualified in LEFT_OUT and not value):
            continue
        if field.containing_oneof and field.containing_oneof.name == "content":
            fields |= content(name, value)
            continue
        if field.enum_type:
            # DURABILITY_MEMORY is "memory"; a number that the schema does not have stays one.
            known = field.enum_type.values_by_number.get(value)
            value = known.name.split("_")[-1].lower() if known else value
        elif field.message_type and field.is_repeated:
            named = {"type": "message"} if field.message_type.name == "Message" else {}
            value = [named | shown(one) for one in value]
        elif field.message_type:
            value = shown(value)
        elif field.is_repeated:
            value = list(value)
        fields[RENAMED.get(qualified) or RENAMED.get(name) or field.camelcase_name] = value
    return fields


def content(kind, value):
    """A message's content as a JSON client gets it."""
    if kind == "bytes":
        return {"message": base64.b64encode(value).decode(), "kind": "bytes"}
    return {"message": json.loads(value) if kind == "json" else value}
