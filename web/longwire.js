// A client of Longwire for web pages, without dependencies; for Node too. docs/protocol.md has the protocol, docs/web.md this client.
//
// It keeps the conversations of one user as they stand: after each sign-in and each gap it asks `sync`. What is sent waits until it
// is acknowledged, over reconnects, and is one message however often it had to be sent.

import { Connection } from './connection.js';
import { byteOrder, Conversation, conversationName } from './conversation.js';
import { Outbox } from './outbox.js';

export { Conversation, conversationName };

// Commands without an answer; a further one is refused.
const REQUESTS_MAX = 1000;
// Entries of one `sync`, and the part of the largest message that they may take.
const CURSORS_MAX = 1000;
const CURSORS_PART = 0.8;
// What comes within so long is told to have been received at once; who types says so no more often (milliseconds).
const RECEIVED_DELAY = 200;
const TYPING_INTERVAL = 3000;
// Until a refused command is tried again, when the server did not say (milliseconds).
const BUSY_DELAY = 1000;
const TRY_AGAIN = new Set([429, 500, 503]);
const LIMITS = { messageSize: 32 * 1024, websocketMessageSize: 64 * 1024 };

const sizeOf = (command) => new TextEncoder().encode(JSON.stringify(command)).length;

// Why a command has no answer: the server's `code` and `reason`, or 'offline' for a connection that was not there or ended.
export class LongwireError extends Error {
  constructor({ code, reason, retryAfter }) {
    super(reason);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const OFFLINE = { code: 'offline', reason: 'there is no connection' };

// What happened; `detail` has it.
class LongwireEvent extends Event {
  constructor(type, detail) {
    super(type);
    this.detail = detail;
  }
}

// Events: `state`, `conversation` (it stands otherwise than before), `message` (a new one), `synced`, `typing`, `everyone`,
// `refused` (a message, for good), `problem` (an error that nobody waits for).
export class Longwire extends EventTarget {
  user = undefined;
  limits = LIMITS;
  // By name. Those that one takes part in, as far as the server told.
  conversations = new Map();
  // Whether the conversations are as the server has them, but for what comes live.
  synced = false;
  outbox = undefined;
  #connection;
  #storage;
  #requests = new Map();
  #lastId = 0;
  #sync = { running: false, again: false };
  #timers = {};
  #typed = new Map();

  // `url`, and `token` (a string, or a function that gives or promises a fresh one) or, with `--dev`, `username`. `device`: its name.
  // `storage`: where messages not yet sent outlive the page, like `sessionStorage`. `WebSocket`: for a Node that has none.
  constructor({ storage, ...options }) {
    super();
    this.#storage = storage;
    this.#connection = new Connection({
      ...options,
      onState: (state) => this.#changed(state),
      onOnline: (authenticated) => this.#online(authenticated),
      onEvent: (event) => this.#take(event),
    });
  }

  get state() {
    return this.#connection.state;
  }

  start() {
    this.#connection.start();
  }

  stop() {
    this.#connection.stop();
  }

  // Does not wait for the next attempt to connect.
  retry() {
    this.#connection.retry();
  }

  // The conversation with a user or of a group, made when it is not there.
  conversation(target) {
    return this.#named(conversationName(this.user, target));
  }

  // Messages of a conversation that are not acknowledged.
  waiting(conversation) {
    const same = (entry) => conversationName(this.user, entry) === conversation.name;
    return this.outbox.entries.filter((entry) => entry.to === undefined && entry.group === undefined ? false : same(entry));
  }

  // Sends any JSON value `{ to }` a user or `{ group }`, now or when there is a connection. Promises the ack.
  send(target, message) {
    if (this.outbox === undefined) throw new LongwireError(OFFLINE);
    const size = sizeOf({ type: 'message', id: '0'.repeat(64), ...target, message });
    if (size > this.limits.websocketMessageSize) throw new RangeError('the message is too long');
    const { entry, acked } = this.outbox.add(target, message);
    this.#post(entry);
    this.#tell('conversation', this.conversation(target));
    return acked;
  }

  // Sends any command of the protocol, and promises its answer.
  request(command) {
    if (this.#requests.size >= REQUESTS_MAX) return Promise.reject(new RangeError('too many commands wait for an answer'));
    this.#lastId += 1;
    const id = String(this.#lastId);
    if (!this.#connection.send({ ...command, id })) return Promise.reject(new LongwireError(OFFLINE));
    return new Promise((resolve, reject) => this.#requests.set(id, { resolve, reject }));
  }

  async join(group) {
    const { members, seq } = await this.request({ type: 'joinGroup', group });
    const conversation = this.conversation({ group });
    conversation.members = members;
    conversation.head = Math.max(conversation.head, seq);
    if (conversation.messages.length === 0 && seq > 0) await this.older(conversation);
    this.#tell('conversation', conversation);
    return conversation;
  }

  async leave(group) {
    await this.request({ type: 'leaveGroup', group });
    const conversation = this.conversation({ group });
    this.conversations.delete(conversation.name);
    this.#tell('conversation', conversation);
  }

  // Reads a page of what is older than what is held.
  async older(conversation, limit = 50) {
    const before = conversation.messages[0]?.seq;
    conversation.older(await this.request({ type: 'history', conversation: conversation.name, before, limit }));
    this.#tell('conversation', conversation);
  }

  // The user has seen all that is held of it.
  read(conversation) {
    const seq = conversation.cursor;
    if (seq <= conversation.read) return;
    conversation.marked(seq);
    conversation.told = Math.max(conversation.told, seq);
    // Without a connection the next `sync` finds what the server does not know.
    this.#connection.send({ type: 'read', conversation: conversation.name, seq });
    this.#tell('conversation', conversation);
  }

  typing(target) {
    const name = conversationName(this.user, target);
    const now = Date.now();
    if (now - (this.#typed.get(name) ?? 0) < TYPING_INTERVAL) return;
    this.#typed.clear();
    this.#typed.set(name, now);
    this.#connection.send({ type: 'typing', ...target });
  }

  #named(name) {
    let conversation = this.conversations.get(name);
    if (!conversation) {
      conversation = new Conversation(name, this.user);
      this.conversations.set(name, conversation);
    }
    return conversation;
  }

  #tell(type, detail) {
    this.dispatchEvent(new LongwireEvent(type, detail));
  }

  #changed(state) {
    if (state.state !== 'online') {
      this.synced = false;
      for (const timer of Object.values(this.#timers)) clearTimeout(timer);
      this.#timers = {};
      const requests = [...this.#requests.values()];
      this.#requests.clear();
      for (const { reject } of requests) reject(new LongwireError(OFFLINE));
    }
    this.#tell('state', state);
  }

  #online({ user, limits }) {
    this.user = user;
    this.limits = limits ?? LIMITS;
    this.outbox ??= new Outbox(this.#storage, user);
    for (const conversation of this.conversations.values()) conversation.told = 0;
    this.#postAll();
    this.#syncSoon();
  }

  #take(event) {
    switch (event.type) {
      case 'message':
        return event.conversation === undefined ? this.#tell('everyone', event) : this.#put(event);
      case 'ack':
        return this.#acked(event);
      case 'error':
        return this.#failed(event);
      case 'receipt':
        this.#named(event.conversation).receipt(event);
        return this.#tell('conversation', this.#named(event.conversation));
      case 'groupEvent':
        return this.#counted(event);
      case 'typing':
        return this.#tell('typing', { ...event, conversation: conversationName(this.user, this.#answerTo(event)) });
      case 'resync':
        return this.#syncSoon();
      default:
        return this.#answered(event);
    }
  }

  // Where one would answer what came `from` somebody, also when that is another device of one's own.
  #answerTo({ from, to, group }) {
    if (group !== undefined) return { group };
    return { to: from === this.user ? to : from };
  }

  #answered(event) {
    const request = this.#requests.get(event.id);
    this.#requests.delete(event.id);
    request?.resolve(event);
  }

  #acked(ack) {
    const entry = this.outbox.acked(ack.id, ack);
    if (!entry || ack.conversation === undefined) return;
    const { conversation, seq, prev, time, durability } = ack;
    this.#put({ ...entry, type: 'message', from: this.user, conversation, seq, prev, time, durability });
  }

  #failed(error) {
    const { id, code, retryAfter = BUSY_DELAY } = error;
    if (this.#requests.has(id)) {
      const { reject } = this.#requests.get(id);
      this.#requests.delete(id);
      reject(new LongwireError(error));
    } else if (!this.outbox.has(id)) {
      this.#tell('problem', error);
    } else if (TRY_AGAIN.has(code)) {
      // All that wait do so together: while a user is too fast, nothing is taken.
      this.#timers.post ??= setTimeout(() => this.#postAll(), retryAfter);
    } else {
      const entry = this.outbox.refused(id, new LongwireError(error));
      this.#tell('refused', { entry, error });
    }
  }

  #counted({ group, members }) {
    const conversation = this.conversations.get(`g:${group}`);
    if (!conversation) return;
    conversation.members = members;
    this.#tell('conversation', conversation);
  }

  #post(entry) {
    if (this.#timers.post !== undefined) return;
    const { id, to, group, message } = entry;
    this.#connection.send({ type: 'message', to, group, message, id });
  }

  // What was sent already and not acknowledged is known by its id.
  #postAll() {
    clearTimeout(this.#timers.post);
    delete this.#timers.post;
    for (const entry of this.outbox.entries) this.#post(entry);
  }

  #put(message) {
    const conversation = this.#named(message.conversation);
    const how = conversation.put(message);
    if (how === 'gap') this.#syncSoon();
    if (how === 'new') {
      this.#receivedSoon();
      this.#tell('message', { conversation, message });
    }
    this.#tell('conversation', conversation);
  }

  // Tells, once for all that comes together, how far this device has got.
  #receivedSoon() {
    this.#timers.received ??= setTimeout(() => {
      delete this.#timers.received;
      for (const conversation of this.conversations.values()) this.#received(conversation);
    }, RECEIVED_DELAY);
  }

  #received(conversation) {
    const seq = conversation.newestOfOthers;
    if (seq <= Math.max(conversation.told, conversation.read)) return;
    if (this.#connection.send({ type: 'received', conversation: conversation.name, seq })) conversation.told = seq;
  }

  // One `sync` at a time; what asks for one meanwhile gets another after it.
  async #syncSoon() {
    if (this.#sync.running) {
      this.#sync.again = true;
      return;
    }
    this.#sync.running = true;
    try {
      do {
        this.#sync.again = false;
        await this.#syncOnce();
      } while (this.#sync.again);
      this.synced = true;
      this.#tell('synced');
    } catch (error) {
      if (this.state === 'online') this.#timers.sync ??= setTimeout(() => this.#syncLater(), error.retryAfter ?? BUSY_DELAY);
    } finally {
      this.#sync.running = false;
    }
    this.#receivedSoon();
  }

  #syncLater() {
    delete this.#timers.sync;
    this.#syncSoon();
  }

  async #syncOnce() {
    const held = [...this.conversations.values()].filter(({ cursor }) => cursor > 0).sort((a, b) => byteOrder(a.name, b.name));
    const cursors = new Map(held.map(({ name, cursor }) => [name, cursor]));
    const told = new Set();
    let answer = {};
    let last = '';
    do {
      answer = await this.request({ type: 'sync', cursors: this.#page(cursors, last), next: answer.next });
      for (const one of answer.conversations) {
        await this.#synced(one);
        told.add(one.conversation);
      }
      last = answer.conversations.at(-1)?.conversation ?? last;
    } while (answer.next !== undefined);
    for (const conversation of this.conversations.values()) {
      if (cursors.has(conversation.name) && !told.has(conversation.name)) conversation.quiet(cursors.get(conversation.name));
      conversation.settle();
      this.#tell('conversation', conversation);
    }
  }

  // As many cursors behind a name as one command takes. The server tells of the others as if they were not held.
  #page(cursors, last) {
    const page = {};
    let size = 0;
    let count = 0;
    for (const [name, cursor] of cursors) {
      if (last !== '' && byteOrder(name, last) <= 0) continue;
      size += sizeOf(name) + 18;
      count += 1;
      if (count > CURSORS_MAX || size > this.limits.websocketMessageSize * CURSORS_PART) break;
      page[name] = cursor;
    }
    return page;
  }

  async #synced(one) {
    const conversation = this.#named(one.conversation);
    // Of what was said by this user the ack may have been lost.
    for (const message of one.messages) {
      if (message.from === this.user && this.outbox.has(message.id)) this.outbox.acked(message.id, message);
    }
    conversation.synced(one);
    // There was no room for any of its messages.
    if (one.messages.length === 0 && one.more) {
      const { name } = conversation;
      const page = await this.request({ type: 'history', conversation: name, limit: 20 });
      conversation.synced({ ...one, first: page.first, messages: page.messages });
    }
    // What was read here without a connection.
    if (conversation.read > one.read) this.#connection.send({ type: 'read', conversation: conversation.name, seq: conversation.read });
  }
}
