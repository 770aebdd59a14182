// A chat or echo server on Node's ws, as a careful JavaScript user would write it: one process, tables in memory, no durability.
// It is here to be measured against, not to be used.
//
// Usage: node server.mjs chat|echo [HOST:PORT]      prints its ws:// URL; without an address it takes a free port.
import { WebSocketServer } from 'ws';

const [kind = 'chat', address = '127.0.0.1:0'] = process.argv.slice(2);
const [host, port] = address.split(':');

/** User name to connection: a later connection under the same name takes the name over. */
const users = new Map();
/** Group name to a set of connections. */
const groups = new Map();

// An already encoded text: ws would encode a string anew for each receiver.
const TEXT = { binary: false };

function toUser(sender, command) {
  users.get(command.to)?.send(delivery(sender, command), TEXT);
}

function toOthers(sender, receivers, command) {
  const text = delivery(sender, command);
  for (const receiver of receivers) {
    if (receiver !== sender) receiver.send(text, TEXT);
  }
}

function delivery(sender, { group, message }) {
  return Buffer.from(JSON.stringify({ type: 'message', from: sender.user, group, message }));
}

function join(member, group) {
  if (!groups.has(group)) groups.set(group, new Set());
  groups.get(group).add(member);
  member.groups.push(group);
}

function leave(connection) {
  if (users.get(connection.user) === connection) users.delete(connection.user);
  for (const group of connection.groups) {
    const members = groups.get(group);
    members?.delete(connection);
    if (members?.size === 0) groups.delete(group);
  }
}

function run(connection, command, everyone) {
  switch (command?.type) {
    case 'auth':
      connection.user = command.username;
      users.set(command.username, connection);
      break;
    case 'joinGroup':
      join(connection, command.group);
      break;
    case 'message':
      if (command.to !== undefined) toUser(connection, command);
      else if (command.group !== undefined) toOthers(connection, groups.get(command.group) ?? [], command);
      else toOthers(connection, everyone, command);
      break;
  }
}

function chat(connection, everyone) {
  connection.groups = [];
  connection.on('message', (data) => {
    let command;
    try {
      command = JSON.parse(data);
    } catch {
      return; // The tutorial answers no errors.
    }
    run(connection, command, everyone);
  });
  connection.on('close', () => leave(connection));
}

function echo(connection) {
  connection.on('message', (data, isBinary) => connection.send(data, { binary: isBinary }));
}

// ws sets TCP_NODELAY on every connection. Compression is off by default on its server; said here because it would decide everything.
const server = new WebSocketServer({ host, port: Number(port), backlog: 4096, perMessageDeflate: false });
server.on('connection', (connection) => {
  connection.on('error', () => {}); // 'close' follows.
  if (kind === 'echo') echo(connection);
  else chat(connection, server.clients);
});
server.on('listening', () => console.log(`ws://${host}:${server.address().port}/`));
