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

test('a private message and its ack', limit, async () => {
  const [alice, bob] = [await signedIn('alice1'), await signedIn('bob1')];
  alice.send({ type: 'message', to: 'bob1', message: { text: 'héllo 😀', n: [1, null] }, id: '1' });
  const { durability, ...place } = await alice.receive();
  assert.equal(durability, 'memory');
  assert.equal(place.type, 'ack');
  assert.ok(Number.isSafeInteger(place.seq));
  assert.deepEqual(await bob.receive(), {
    ...place,
    type: 'message',
    from: 'alice1',
    to: 'bob1',
    message: { text: 'héllo 😀', n: [1, null] },
  });
  await alice.receiveNothing();
});

test('a group of ten', limit, async () => {
  const members = [];
  for (let n = 0; n < 10; n += 1) {
    const member = await signedIn(`member${n}`);
    member.send({ type: 'joinGroup', group: 'ten' });
    const joined = await member.receive();
    assert.deepEqual({ ...joined, seq: 0 }, { type: 'joined', group: 'ten', members: n + 1, seq: 0 });
    for (const earlier of members) {
      assert.deepEqual(await earlier.receive(), {
        type: 'groupEvent', group: 'ten', event: 'joined', user: `member${n}`, members: n + 1,
      });
    }
    members.push(member);
  }
  for (const [n, sender] of members.entries()) {
    sender.send({ type: 'message', group: 'ten', message: n });
    for (const receiver of members) {
      if (receiver === sender) continue;
      const { from, group, message } = await receiver.receive();
      assert.deepEqual({ from, group, message }, { from: `member${n}`, group: 'ten', message: n });
    }
  }
});

test('to everyone', limit, async () => {
  const [alice, bob] = [await signedIn('alice2'), await signedIn('bob2')];
  alice.send({ type: 'message', message: 'all' });
  const { time, ...message } = await bob.receive();
  assert.deepEqual(message, { type: 'message', from: 'alice2', message: 'all' });
  assert.ok(Math.abs(time - Date.now()) < 60_000);
  for (const client of clients) if (client !== alice && client !== bob) await client.receive();
});

test('compression is offered and declined', limit, async () => {
  const client = await signedIn('alice3', { perMessageDeflate: true });
  assert.equal(client.socket.extensions, '');
  await client.receiveNothing();
});

test('the subprotocol is selected', limit, async () => {
  const client = await signedIn('alice4', { protocols: ['longwire.json.v1'] });
  assert.equal(client.socket.protocol, 'longwire.json.v1');
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

test('many messages in flight keep their order', limit, async () => {
  const [alice, bob] = [await signedIn('alice6'), await signedIn('bob6')];
  for (let n = 0; n < 1000; n += 1) alice.send({ type: 'message', to: 'bob6', message: n, id: `${n}` });
  for (let n = 0; n < 1000; n += 1) assert.equal((await bob.receive()).message, n);
  for (let n = 0; n < 1000; n += 1) assert.equal((await alice.receive()).id, `${n}`);
});

test('what is wrong has its close code', limit, async () => {
  for (const [wrong, code] of [['hello', 1007], [Buffer.from('{}'), 1003], ['x'.repeat(65537), 1009]]) {
    const client = await signedIn('alice7');
    client.socket.send(wrong);
    assert.deepEqual(await client.receive(), { closed: code });
  }
});

test('closing is answered', limit, async () => {
  const client = await signedIn('alice8');
  client.socket.close(1000, 'done');
  assert.deepEqual(await client.receive(), { closed: 1000 });
});
