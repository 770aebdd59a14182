// Messages of this user that the server has not acknowledged, in order. Knows no socket.
//
// Each has an `id`, under which it may be sent any number of times and is one message. With a storage they outlive the page.

const MESSAGES_MAX = 1000;

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Outbox {
  // Each: { id, to or group, message, time }, the time it was written at.
  entries = [];
  #promises = new Map();
  #storage;
  #key;

  // Opens what was left by this user, where there is a storage (`sessionStorage`, or alike).
  constructor(storage, user) {
    this.#storage = storage;
    this.#key = `longwire:outbox:${user}`;
    const left = storage?.getItem(this.#key);
    if (left) this.entries = JSON.parse(left);
  }

  // Notes a message, and returns its entry and a promise of the ack.
  add(target, message) {
    if (this.entries.length >= MESSAGES_MAX) throw new RangeError('too many messages wait to be sent');
    const entry = { id: newId(), ...target, message, time: Date.now() };
    const acked = new Promise((resolve, reject) => this.#promises.set(entry.id, { resolve, reject }));
    // Who does not wait for it is told by events.
    acked.catch(() => {});
    this.entries.push(entry);
    this.#save();
    return { entry, acked };
  }

  // The message is the server's now. Returns its entry, if it was one.
  acked(id, ack) {
    return this.#settle(id, (promise) => promise.resolve(ack));
  }

  refused(id, error) {
    return this.#settle(id, (promise) => promise.reject(error));
  }

  has(id) {
    return this.entries.some((entry) => entry.id === id);
  }

  #settle(id, how) {
    const at = this.entries.findIndex((entry) => entry.id === id);
    if (at < 0) return undefined;
    const [entry] = this.entries.splice(at, 1);
    const promise = this.#promises.get(id);
    this.#promises.delete(id);
    if (promise) how(promise);
    this.#save();
    return entry;
  }

  #save() {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(this.entries));
    } catch {
      // A full storage: they are sent all the same, as long as the page is there.
    }
  }
}
