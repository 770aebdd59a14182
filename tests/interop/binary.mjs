// Longwire's binary encoding for clients written as if they spoke JSON: commands to frames, frames to events.
// Knows the schema, and where the two encodings differ; nothing of connections.

import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export const subprotocol = 'longwire.proto.v1';

const schema = protobuf.loadSync(fileURLToPath(new URL('../../proto/longwire/v1/longwire.proto', import.meta.url)));
export const ClientFrame = schema.lookupType('longwire.v1.ClientFrame');
export const ServerFrame = schema.lookupType('longwire.v1.ServerFrame');

// Content by kind: how it is sent, and how a JSON client gets it. (`bytes` comes as base64 from `plain`.)
const send = { json: JSON.stringify, text: (text) => text, bytes: (base64) => Buffer.from(base64, 'base64') };
const show = { json: JSON.parse, text: (text) => text, bytes: (base64) => base64 };

// A frame as a plain object: numbers as numbers (all are below 2^53), and what is not given as its default.
export function plain(type, data) {
  return type.toObject(type.decode(data), { longs: Number, enums: String, bytes: String, defaults: true, oneofs: true });
}

// A command's frame. Its `message` is sent as JSON unless there is a `kind`: `text`, or `bytes` (given in base64).
export function toFrame({ type, id, message, kind = 'json', ...fields }) {
  if (!(type in ClientFrame.fields)) throw new Error(`no command: ${type}`);
  if (type === 'message') {
    fields[kind] = send[kind](message);
    if (!('to' in fields || 'group' in fields)) fields.everyone = {};
  }
  if (fields.cursors) fields.cursors = Object.entries(fields.cursors).map(([conversation, seq]) => ({ conversation, seq }));
  return ClientFrame.encode(ClientFrame.fromObject({ [type]: fields, id })).finish();
}

// The event that a frame tells, as the fields of its JSON object.
export function fromFrame(data) {
  const { event: type, id, ...frame } = plain(ServerFrame, data);
  if (type === undefined) throw new Error('no event that is known');
  return { type, ...(id && { id }), ...(translate[type] ?? same)(frame[type]) };
}

const same = (event) => event;
// DURABILITY_MEMORY is "memory"; a number that the schema does not have stays one.
const word = (value) => (typeof value === 'string' ? value.split('_').at(-1).toLowerCase() : value);

const pageOf = ({ messages, ...rest }) => ({
  ...rest,
  messages: messages.map((one) => ({ type: 'message', ...translate.message(one) })),
});

const translate = {
  message({ sender, target, everyone, content, id, conversation, seq, prev, time, ...rest }) {
    const { [content]: value, ...to } = rest;
    return {
      from: sender,
      ...to,
      ...(content && { message: show[content](value) }),
      ...(content === 'bytes' && { kind: 'bytes' }),
      ...(id && { id }),
      ...(target !== 'everyone' && { conversation, seq, prev }),
      time,
    };
  },
  ack: ({ conversation, seq, prev, time, durability, duplicate }) => ({
    ...(conversation && { conversation, seq, prev }),
    time,
    durability: word(durability),
    ...(duplicate && { duplicate }),
  }),
  groupEvent: ({ event, ...rest }) => ({ ...rest, event: word(event) }),
  history: (page) => pageOf(page),
  sync: ({ conversations, next }) => ({ conversations: conversations.map(pageOf), ...(next && { next }) }),
  receipt: ({ conversation, sender, received, read }) => ({
    conversation,
    from: sender,
    ...(received && { received }),
    ...(read && { read }),
  }),
  typing: ({ sender, target, ...to }) => ({ from: sender, ...to }),
  expiring: ({ left }) => ({ in: left }),
  error: ({ code, reason, command, retryAfter }) => ({
    code,
    reason,
    ...(command && { for: command }),
    ...(retryAfter && { retryAfter }),
  }),
};
