// One signed-in connection after another: connects, signs in, watches for signs of life, comes back. Knows no conversation.

import { delay, mayReturn } from './reconnect.js';

const SUBPROTOCOL = 'longwire.json.v1';
// How long a connection may take until it is signed in, and an answer to a ping (milliseconds).
const SIGN_IN_TIMEOUT = 15_000;
const PING_TIMEOUT = 10_000;
// What has lasted so long was a good connection: the next wait begins small.
const STEADY = 10_000;

export class Connection {
  // connecting, online, waiting (for the next attempt), or stopped.
  state = 'stopped';
  // When the next attempt is made, while it waits.
  retryAt = 0;
  #options;
  #socket;
  #attempt = 0;
  #timers = {};
  #heard = false;

  // `url`, `username` or `token` (a string, or a function that gives one or promises one), `device`; what happens is told to
  // `onState({ state, retryAt, code, reason })`, `onOnline(authenticated)` and `onEvent(event)`.
  constructor(options) {
    this.#options = { WebSocket: globalThis.WebSocket, ...options };
  }

  start() {
    if (this.state !== 'stopped') return;
    this.#attempt = 0;
    this.#open();
    globalThis.addEventListener?.('online', this.#awake);
    globalThis.document?.addEventListener('visibilitychange', this.#awake);
  }

  stop() {
    this.#ended({ state: 'stopped', code: 1000, reason: '' });
  }

  // Does not wait for the next attempt, or looks whether the connection is still one.
  #awake = () => {
    if (globalThis.document?.visibilityState === 'hidden') return;
    if (this.state === 'waiting') this.#open();
    else if (this.state === 'online') this.#ping();
  };

  retry() {
    this.#awake();
  }

  // Sends a command, if there is a connection. Returns whether there is.
  send(command) {
    if (this.state !== 'online') return false;
    this.#write(command);
    return true;
  }

  // The token runs out: signs in anew on the same connection, where there is another token to be had.
  async refresh() {
    if (typeof this.#options.token !== 'function') return;
    const socket = this.#socket;
    try {
      const token = await this.#options.token();
      if (socket === this.#socket) this.send({ type: 'auth', token });
    } catch {
      // The server closes when the old token has run out, and that is tried again.
    }
  }

  async #open() {
    const { WebSocket, url, username, token, device } = this.#options;
    this.#clear();
    this.#become({ state: 'connecting' });
    const opening = (this.#socket = {});
    const credential = { username };
    try {
      if (token !== undefined) credential.token = typeof token === 'function' ? await token() : token;
    } catch (error) {
      if (opening === this.#socket) this.#lost(1006, String(error));
      return;
    }
    if (opening !== this.#socket) return;
    const socket = (this.#socket = new WebSocket(url, SUBPROTOCOL));
    this.#timers.silent = setTimeout(() => this.#lost(1006, 'no answer'), SIGN_IN_TIMEOUT);
    socket.onopen = () => this.#write({ type: 'auth', ...credential, device });
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    socket.onerror = () => {};
  }

  #take(event) {
    this.#heard = true;
    if (this.state !== 'online') {
      if (event.type === 'authenticated') this.#signedIn(event);
      else if (event.type === 'error') this.#refused(event);
      return;
    }
    clearTimeout(this.#timers.silent);
    if (event.type === 'expiring') this.refresh();
    this.#options.onEvent(event);
  }

  #signedIn(authenticated) {
    this.#clear();
    this.#timers.watch = setInterval(() => this.#watch(), authenticated.heartbeat);
    this.#timers.steady = setTimeout(() => (this.#attempt = 0), STEADY);
    this.#become({ state: 'online' });
    this.#options.onOnline(authenticated);
  }

  // A credential that is refused is not accepted the next time; a server that has no time may have some.
  #refused({ code, reason }) {
    if (code === 429 || code >= 500) this.#lost(1006, reason);
    else this.#ended({ state: 'stopped', code, reason });
  }

  // The server's pings are answered by the browser, which does not show them: so long without a message, and it is asked.
  #watch() {
    if (!this.#heard) this.#ping();
    this.#heard = false;
  }

  #ping() {
    this.#write({ type: 'ping' });
    clearTimeout(this.#timers.silent);
    this.#timers.silent = setTimeout(() => this.#lost(1006, 'no sign of life'), PING_TIMEOUT);
  }

  #lost(code, reason) {
    if (!mayReturn(code)) return this.#ended({ state: 'stopped', code, reason });
    const wait = delay(this.#attempt, reason);
    this.#attempt += 1;
    this.#drop();
    this.retryAt = Date.now() + wait;
    this.#timers.retry = setTimeout(() => this.#open(), wait);
    this.#become({ state: 'waiting', code, reason });
  }

  #ended(how) {
    this.#drop();
    globalThis.removeEventListener?.('online', this.#awake);
    globalThis.document?.removeEventListener('visibilitychange', this.#awake);
    this.#become(how);
  }

  // A broken connection says so late, if at all: nothing of it is waited for.
  #drop() {
    this.#clear();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket instanceof this.#options.WebSocket) {
      socket.onopen = socket.onmessage = socket.onclose = () => {};
      socket.close();
    }
  }

  #clear() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
  }

  #become(how) {
    this.state = how.state;
    this.#options.onState({ ...how, retryAt: how.state === 'waiting' ? this.retryAt : undefined });
  }

  #write(command) {
    this.#socket.send(JSON.stringify(command));
  }
}
