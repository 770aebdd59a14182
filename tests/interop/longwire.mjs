// A longwire server as a child process, and ws clients that take what they receive in order.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { fromFrame, subprotocol, toFrame } from './binary.mjs';

export class Server {
  static async start(...args) {
    const command = ['serve', '--dev', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--durability', 'memory', ...args];
    const child = spawn(process.env.LONGWIRE_BIN ?? 'longwire', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the server ended with ${code}`);
    });
    const server = new Server(child, ...(await Promise.race([banner(lines), ended])));
    ended.catch(() => {});
    return server;
  }

  constructor(child, url, secure) {
    this.child = child;
    this.url = url;
    this.secure = secure;
  }

  async stop() {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const [code] = await exited;
    return code;
  }
}

// Lines after the one looked for go on being read, so that the server never waits for a full pipe.
function banner(lines) {
  return new Promise((found) => {
    const urls = { ws: undefined, wss: undefined };
    lines.on('line', (line) => {
      const url = line.match(/\b(wss?):\/\/[^\s/]+:\d+/);
      if (url) urls[url[1]] ??= `${url[0]}/`;
      if (/\bhttp:\/\//.test(line)) found([urls.ws, urls.wss]);
    });
  });
}

export class Client {
  #received = [];
  #waiting = [];

  // With the encoding `proto` commands and events look the same here, and are binary frames on the wire.
  static async open(server, { encoding = 'json', protocols, ...options } = {}) {
    const offered = protocols ?? (encoding === 'proto' ? [subprotocol] : []);
    const socket = new WebSocket(server.url, offered, { perMessageDeflate: false, ...options });
    const client = new Client(socket, encoding);
    await once(socket, 'open');
    return client;
  }

  static async signedIn(server, username, options) {
    const client = await Client.open(server, options);
    client.send({ type: 'auth', username });
    const answer = await client.receive();
    if (answer.type !== 'authenticated') throw new Error(JSON.stringify(answer));
    return client;
  }

  constructor(socket, encoding) {
    this.socket = socket;
    this.encoding = encoding;
    socket.on('message', (data, isBinary) => {
      if (isBinary !== (encoding === 'proto')) throw new Error('a frame of the other kind');
      this.#take(isBinary ? fromFrame(data) : JSON.parse(data));
    });
    socket.on('close', (code) => this.#take({ closed: code }));
  }

  #take(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#received.push(item);
  }

  send(command) {
    this.socket.send(this.encoding === 'json' ? JSON.stringify(command) : toFrame(command));
  }

  // The next message, or { closed: code }. The test runner's own time limit bounds the wait.
  receive() {
    if (this.#received.length > 0) return Promise.resolve(this.#received.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async receiveNothing() {
    this.send({ type: 'ping', id: 'nothing' });
    const answer = await this.receive();
    if (answer.type !== 'pong') throw new Error(`unexpected ${JSON.stringify(answer)}`);
  }

  close() {
    this.socket.terminate();
  }
}
