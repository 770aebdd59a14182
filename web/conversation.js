// What a device knows of one conversation. Knows no socket.
//
// `messages` has no gap: each names the one before it, up to the newest. What is older is read by paging back.

// Messages kept; beyond it the oldest go, and can be read again.
const MESSAGES_MAX = 2000;
// Messages that wait for those before them; beyond it the oldest go, and come by `sync`.
const AHEAD_MAX = 200;
// People of whom it is known how far they have got. (The server tells it in groups of up to 50.)
const MARKS_MAX = 100;

const bytes = new TextEncoder();

// The order of names on the wire: that of their UTF-8.
export function byteOrder(a, b) {
  const [left, right] = [bytes.encode(a), bytes.encode(b)];
  const length = Math.min(left.length, right.length);
  for (let n = 0; n < length; n += 1) {
    if (left[n] !== right[n]) return left[n] - right[n];
  }
  return left.length - right.length;
}

// The conversation in which `me` speaks to a user or a group.
export function conversationName(me, { to, group }) {
  return group === undefined ? `u:${[me, to].sort(byteOrder).join(':')}` : `g:${group}`;
}

export class Conversation {
  messages = [];
  // The newest and the oldest `seq` that the server told of.
  head = 0;
  first = 0;
  // How far this user has read, and how many messages of others are behind that.
  read = 0;
  unread = 0;
  // How many are in the group, once that was told.
  members = undefined;
  // How far others have got, by name: { received, read }.
  marks = new Map();
  // Up to where the server was told, on this connection, what has come.
  told = 0;
  #ahead = [];
  #me;

  constructor(name, me) {
    this.name = name;
    this.#me = me;
  }

  get isGroup() {
    return this.name.startsWith('g:');
  }

  // The group, or the other one; oneself in notes to oneself.
  get title() {
    const [, a, b] = this.name.split(':');
    return this.isGroup || a !== this.#me ? a : b;
  }

  get target() {
    return this.isGroup ? { group: this.title } : { to: this.title };
  }

  // Up to where this device has everything.
  get cursor() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  // Whether there is nothing older to read.
  get complete() {
    const oldest = this.messages[0];
    return oldest ? oldest.prev === 0 || oldest.seq <= this.first : this.head === 0;
  }

  // A message that came live or was acknowledged: 'new', 'held', or 'gap' when it waits for one before it.
  put(message) {
    this.head = Math.max(this.head, message.seq);
    if (message.seq <= this.cursor) return 'held';
    if (this.#follows(message)) {
      this.#append(message);
      return 'new';
    }
    this.#ahead.push(message);
    if (this.#ahead.length > AHEAD_MAX) this.#ahead.shift();
    return 'gap';
  }

  // How `sync` says it stands. What was held and does not reach to the new messages goes: it can be read again.
  synced({ head, first, read, unread, messages }) {
    this.head = Math.max(this.head, head);
    this.first = first;
    this.#take(messages);
    this.read = Math.max(this.read, read);
    // What the user has read here and the server has not heard of yet is not unread, nor is what came after its count.
    const held = this.#unreadAbove(this.read);
    this.unread = this.read > read ? held : unread + this.#unreadAbove(Math.max(head, this.read));
  }

  // `sync` left it out: the user has read all that this device holds.
  quiet(cursor) {
    this.read = Math.max(this.read, cursor);
    this.unread = this.#unreadAbove(this.read);
  }

  // What waited for messages before it, now that they came, or that they never will.
  settle() {
    const ahead = this.#ahead.sort((a, b) => a.seq - b.seq);
    this.#ahead = [];
    this.#take(ahead);
  }

  // A page of what is older: the messages of the answer to `history`. Of a conversation that holds none, the newest.
  older({ messages, first, more }) {
    this.first = Math.max(this.first, first);
    const oldest = this.messages[0]?.seq ?? Infinity;
    const page = messages.filter((message) => message.seq < oldest);
    for (const message of page) this.#spoke(message);
    this.messages.unshift(...page);
    if (!more && this.messages.length > 0) this.first = this.messages[0].seq;
    this.head = Math.max(this.head, this.cursor);
  }

  marked(seq) {
    this.read = Math.max(this.read, seq);
    this.unread = this.#unreadAbove(this.read);
  }

  receipt({ from, received = 0, read = 0 }) {
    const mark = this.marks.get(from) ?? { received: 0, read: 0 };
    if (this.marks.size >= MARKS_MAX && !this.marks.has(from)) return;
    mark.read = Math.max(mark.read, read);
    mark.received = Math.max(mark.received, received, read);
    this.marks.set(from, mark);
  }

  // How many others have got and have read a message.
  reached(seq) {
    let [received, read] = [0, 0];
    for (const mark of this.marks.values()) {
      received += mark.received >= seq;
      read += mark.read >= seq;
    }
    return { received, read };
  }

  // The newest message of somebody else.
  get newestOfOthers() {
    return this.messages.findLast((message) => message.from !== this.#me)?.seq ?? 0;
  }

  #follows(message) {
    return message.prev <= this.cursor || message.prev < this.first;
  }

  #take(messages) {
    for (const message of messages) {
      if (message.seq <= this.cursor) continue;
      if (!this.#follows(message)) this.messages = [];
      this.#append(message);
    }
  }

  #append(message) {
    this.messages.push(message);
    if (this.messages.length > MESSAGES_MAX) this.messages.shift();
    this.#spoke(message);
    if (message.from === this.#me) this.marked(message.seq);
    else if (message.seq > this.read) this.unread += 1;
  }

  // Who sends a message has read what is before it.
  #spoke(message) {
    if (message.from !== this.#me) this.receipt({ from: message.from, read: message.seq });
  }

  #unreadAbove(seq) {
    return this.messages.filter((message) => message.seq > seq && message.from !== this.#me).length;
  }
}
