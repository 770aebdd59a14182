// The vectors of proto/ by protobufjs: the schema alone is enough to read and write them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClientFrame, ServerFrame, fromFrame, plain, toFrame } from './binary.mjs';

function each(file, check) {
  const vectors = JSON.parse(readFileSync(new URL(`../../proto/vectors/${file}.json`, import.meta.url)));
  test(file, () => {
    for (const vector of vectors) {
      const data = Buffer.from(vector.hex, 'hex');
      try {
        check(vector, data);
      } catch (error) {
        throw new Error(vector.name, { cause: error });
      }
    }
  });
}

// What `proto` of a vector says, as protobufjs says it.
const said = (type, proto) => plain(type, type.encode(type.fromObject(proto)).finish());

// The id comes last, so that a frame's first byte tells what it is; libraries write fields by their numbers.
function asSent(type, { id, ...rest }) {
  const [first, last] = [rest, { ...(id && { id }) }].map((one) => type.encode(type.fromObject(one)).finish());
  return Buffer.concat([first, last]).toString('hex');
}

each('commands', ({ json, proto, hex }, data) => {
  assert.deepEqual(plain(ClientFrame, data), said(ClientFrame, proto));
  assert.equal(asSent(ClientFrame, proto), hex);
  if (json === undefined) return;
  const made = plain(ClientFrame, toFrame(JSON.parse(json)));
  // To the byte as in JSON; JSON.stringify writes numbers and strings its own way.
  const content = proto.message?.json;
  if (content !== undefined) {
    assert.ok(json.includes(`"message":${content}`));
    made.message.json = content;
  }
  assert.deepEqual(made, said(ClientFrame, proto));
});

each('events', ({ json, proto, hex }, data) => {
  assert.deepEqual(plain(ServerFrame, data), said(ServerFrame, proto));
  assert.equal(asSent(ServerFrame, proto), hex);
  assert.deepEqual(fromFrame(data), JSON.parse(json));
});

each('tolerated', ({ from, proto }, data) => {
  const type = { client: ClientFrame, server: ServerFrame }[from];
  assert.deepEqual(plain(type, data), said(type, proto));
  // What is known of an event is shown, whatever else is not.
  const known = from === 'server' && Object.keys(proto).find((name) => name !== 'id');
  if (known) assert.equal(fromFrame(data).type, known);
});

test('a number that an enum does not have stays one', () => {
  const frame = (event) => ServerFrame.encode(ServerFrame.fromObject(event)).finish();
  assert.equal(fromFrame(frame({ ack: { durability: 99 } })).durability, 99);
  assert.equal(fromFrame(frame({ groupEvent: { event: 300 } })).event, 300);
});

each('refused', ({ command, id }, data) => {
  const frame = plain(ClientFrame, data);
  assert.equal(frame.command, command);
  assert.equal(frame.id, id ?? frame.id);
});

each('malformed', (_, data) => {
  assert.throws(() => ClientFrame.decode(data));
});
