// The same dialect by Node's ws, whose handshake and framing are not Python's.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Client, Server } from './longwire.mjs';

const limit = { timeout: 20_000 };
let server;
const clients = [];

before(async () => {
  server = await Server.start();
}, limit);

after(async () => {
  for (const client of clients) client.close();
  assert.equal(await server.stop(), 0);
}, limit);

async function signedIn(name, options) {
  clients.push(await Client.signedIn(server, name, options));
  return clients.at(-1);
}

for (const encoding of ['json', 'proto']) {
  const one = (name) => signedIn(`${name}-${encoding}`, { encoding });

  test(`${encoding}: a private message and its ack`, limit, async () => {
    const [alice, bob] = [await one('alice1'), await one('bob1')];
    alice.send({ type: 'message', to: `bob1-${encoding}`, message: { text: 'héllo 😀', n: [1, null] }, id: '1' });
    const { durability, ...place } = await alice.receive();
    assert.equal(durability, 'memory');
    assert.equal(place.type, 'ack');
    assert.ok(Number.isSafeInteger(place.seq));
    assert.deepEqual(await bob.receive(), {
      ...place,
      type: 'message',
      from: `alice1-${encoding}`,
      to: `bob1-${encoding}`,
      message: { text: 'héllo 😀', n: [1, null] },
    });
    await alice.receiveNothing();
  });

  test(`${encoding}: a group of ten`, limit, async () => {
    const [group, members] = [`ten-${encoding}`, []];
    for (let n = 0; n < 10; n += 1) {
      const member = await one(`member${n}`);
      member.send({ type: 'joinGroup', group });
      const joined = await member.receive();
      assert.deepEqual({ ...joined, seq: 0 }, { type: 'joined', group, members: n + 1, seq: 0 });
      for (const earlier of members) {
        assert.deepEqual(await earlier.receive(), {
          type: 'groupEvent', group, event: 'joined', user: `member${n}-${encoding}`, members: n + 1,
        });
      }
      members.push(member);
    }
    for (const [n, sender] of members.entries()) {
      sender.send({ type: 'message', group, message: n });
      for (const receiver of members) {
        if (receiver === sender) continue;
        const { from, message, ...place } = await receiver.receive();
        assert.deepEqual({ from, group: place.group, message }, { from: `member${n}-${encoding}`, group, message: n });
      }
    }
  });

  test(`${encoding}: to everyone`, limit, async () => {
    const [alice, bob] = [await one('alice2'), await one('bob2')];
    alice.send({ type: 'message', message: 'all' });
    const { time, ...message } = await bob.receive();
    assert.deepEqual(message, { type: 'message', from: `alice2-${encoding}`, message: 'all' });
    assert.ok(Math.abs(time - Date.now()) < 60_000);
    for (const client of clients) if (client !== alice && client !== bob) await client.receive();
  });

  test(`${encoding}: many messages in flight keep their order`, limit, async () => {
    const [alice, bob] = [await one('alice6'), await one('bob6')];
    for (let n = 0; n < 1000; n += 1) alice.send({ type: 'message', to: `bob6-${encoding}`, message: n, id: `${n}` });
    for (let n = 0; n < 1000; n += 1) assert.equal((await bob.receive()).message, n);
    for (let n = 0; n < 1000; n += 1) assert.equal((await alice.receive()).id, `${n}`);
  });
}

test('JSON and binary in one conversation', limit, async () => {
  const [alice, bob] = [await signedIn('alice9'), await signedIn('bob9', { encoding: 'proto' })];
  alice.send({ type: 'message', to: 'bob9', message: { text: 'héllo 😀', n: [1, null] }, id: '1' });
  const { type, durability, ...place } = await alice.receive();
  assert.deepEqual([type, durability], ['ack', 'memory']);
  const message = { type: 'message', from: 'alice9', to: 'bob9', message: { text: 'héllo 😀', n: [1, null] } };
  assert.deepEqual(await bob.receive(), { ...message, ...place });
  for (const content of [{ message: 'say "hé"', kind: 'text' }, { message: 'AP8Q', kind: 'bytes' }, { message: null }]) {
    bob.send({ type: 'message', to: 'alice9', ...content });
    const { from, message, kind } = await alice.receive();
    const shown = content.kind === 'bytes' ? 'bytes' : undefined;
    assert.deepEqual([from, message, kind], ['bob9', content.message, shown]);
  }
});

for (const encoding of ['json', 'proto']) {
  test(`${encoding}: compression is agreed on, and used`, limit, async () => {
    for (const offer of [true, { serverMaxWindowBits: 9 }, { clientMaxWindowBits: 10, serverNoContextTakeover: true }]) {
      // From one byte on; what is larger than any window, and what no compressor makes smaller.
      const perMessageDeflate = { threshold: 0, ...(offer === true ? {} : offer) };
      const client = await signedIn('alice3', { encoding, perMessageDeflate });
      assert.equal(client.socket.extensions, 'permessage-deflate');
      const bob = await signedIn('bob3', { encoding, perMessageDeflate });
      const plain = await signedIn('bob3', { encoding });
      for (const length of [1, 300, 30_000]) {
        const words = Array.from({ length }, (_, n) => (n % 9 ? String.fromCharCode(97 + ((n * n) % 23)) : ' é'));
        const message = words.join('').slice(0, 16_000);
        client.send({ type: 'message', to: 'bob3', message });
        for (const receiver of [bob, plain]) assert.equal((await receiver.receive()).message, message);
      }
      for (const other of [client, bob, plain]) other.socket.terminate();
    }
  });
}

test('the subprotocol is selected', limit, async () => {
  const client = await signedIn('alice4', { protocols: ['longwire.json.v1', 'longwire.proto.v1'] });
  assert.equal(client.socket.protocol, 'longwire.json.v1');
  const other = await signedIn('alice4', { encoding: 'proto', protocols: ['mqtt', 'longwire.proto.v1'] });
  assert.equal(other.socket.protocol, 'longwire.proto.v1');
});

test('a client whose every offer is unknown gives up; with JSON as the last one it speaks that', limit, async () => {
  await assert.rejects(Client.open(server, { protocols: ['longwire.proto.v2'] }), /no subprotocol/);
  const client = await signedIn('alice6', { protocols: ['longwire.proto.v2', 'longwire.json.v1'] });
  assert.equal(client.socket.protocol, 'longwire.json.v1');
  await client.receiveNothing();
});

test('fragments, and a ping between them', limit, async () => {
  const client = await signedIn('alice5');
  client.socket.send('{"type":"pi', { fin: false });
  const ponged = once(client.socket, 'pong');
  client.socket.ping('between');
  assert.equal(String((await ponged)[0]), 'between');
  client.socket.send('ng"}', { fin: true });
  assert.equal((await client.receive()).type, 'pong');
});

test('what is wrong has its close code', limit, async () => {
  const wrongs = [
    ['json', 'hello', 1007],
    ['json', Buffer.from('{}'), 1003],
    ['json', 'x'.repeat(65537), 1009],
    ['proto', Buffer.from('hello'), 1007],
    ['proto', '{"type":"ping"}', 1003],
    ['proto', Buffer.alloc(65537), 1009],
  ];
  for (const [encoding, wrong, code] of wrongs) {
    const client = await signedIn('alice7', { encoding });
    client.socket.send(wrong);
    assert.deepEqual(await client.receive(), { closed: code });
  }
});

test('closing is answered', limit, async () => {
  const client = await signedIn('alice8');
  client.socket.close(1000, 'done');
  assert.deepEqual(await client.receive(), { closed: 1000 });
});
