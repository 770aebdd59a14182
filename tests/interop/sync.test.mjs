// Coming back with Node's ws: one exchange brings what was missed, and the other side hears how far one has read.

import assert from 'node:assert/strict';
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

// A client's own log of each conversation: live messages and answers are put into it alike, each `seq` once.
class Device {
  held = new Map();

  static async open(name, encoding) {
    const device = new Device();
    device.client = await Client.signedIn(server, name, { encoding });
    clients.push(device.client);
    return device;
  }

  // What is there when all that was said before has come.
  async keepUntil(type) {
    for (;;) {
      const event = await this.client.receive();
      if (event.type === 'message') this.keep(event);
      if (event.type === type) return event;
      assert.equal(event.type, 'message', JSON.stringify(event));
    }
  }

  keep(message) {
    const log = this.held.get(message.conversation) ?? new Map();
    this.held.set(message.conversation, log.set(message.seq, message.message));
  }

  get cursors() {
    return Object.fromEntries([...this.held].map(([name, log]) => [name, Math.max(...log.keys())]));
  }

  async sync() {
    // What comes live meanwhile says nothing of what is missing below it.
    const { cursors } = this;
    let next;
    const seen = [];
    do {
      this.client.send({ type: 'sync', cursors, ...(next && { next }) });
      const answer = await this.keepUntil('sync');
      for (const one of answer.conversations) one.messages.forEach((message) => this.keep(message));
      seen.push(...answer.conversations);
      next = answer.next;
    } while (next);
    return seen;
  }

  said(conversation) {
    return [...(this.held.get(conversation) ?? [])].sort(([a], [b]) => a - b).map(([, message]) => message);
  }
}

for (const encoding of ['json', 'proto']) {
  const name = (stem) => `${stem}-${encoding}`;
  const conversation = `u:${name('alice')}:${name('bob')}`;

  test(`${encoding}: away, back, and nothing is missing or twice`, limit, async () => {
    const [alice, bob] = [await Device.open(name('alice'), encoding), await Device.open(name('bob'), encoding)];
    const say = async (n) => {
      alice.client.send({ type: 'message', to: name('bob'), message: n, id: `${n}` });
      return alice.keepUntil('ack');
    };
    await say(0);
    await bob.sync();
    bob.client.close();
    for (let n = 1; n < 10; n += 1) await say(n);
    const back = await Device.open(name('bob'), encoding);
    back.held = bob.held;
    // Sent at once: some come live, some in the answer, some by both.
    for (let n = 10; n < 15; n += 1) alice.client.send({ type: 'message', to: name('bob'), message: n, id: `${n}` });
    const [one] = await back.sync();
    assert.equal(one.conversation, conversation);
    assert.ok(one.unread >= 10 && !one.more);
    for (let n = 10; n < 15; n += 1) await alice.keepUntil('ack');
    back.client.send({ type: 'ping' });
    await back.keepUntil('pong');
    assert.deepEqual(back.said(conversation), [...Array(15).keys()]);
    assert.deepEqual(back.cursors, { [conversation]: Math.max(...back.held.get(conversation).keys()) });
  });

  test(`${encoding}: read on one device, it is read on all, and its sender hears of it`, limit, async () => {
    const [alice, bob] = [await Device.open(name('alice'), encoding), await Device.open(name('bob'), encoding)];
    const [before] = await bob.sync();
    const head = bob.cursors[conversation];
    assert.equal(before.head, head);
    bob.client.send({ type: 'read', conversation, seq: head });
    let receipt;
    do receipt = await alice.client.receive();
    while (receipt.read !== head);
    assert.deepEqual([receipt.type, receipt.conversation, receipt.from], ['receipt', conversation, name('bob')]);
    const phone = await Device.open(name('bob'), encoding);
    const [after] = await phone.sync();
    assert.deepEqual([after.read, after.unread], [head, 0]);
    assert.deepEqual(await phone.sync(), []);
  });
}
