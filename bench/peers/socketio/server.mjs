// A chat server on socket.io, by its own means: events, rooms, its own framing; WebSocket transport only, no durability.
// It is here to be measured against, not to be used. What it understands is told in bench/dialects/socketio.toml.
//
// Usage: node server.mjs [HOST:PORT]                prints its ws:// URL; without an address it takes a free port.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const [host, port] = (process.argv[2] ?? '127.0.0.1:0').split(':');

const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  allowUpgrades: false,
  serveClient: false,
  perMessageDeflate: false,
  httpCompression: false,
});

/** User name to socket: cheaper than a room of one. */
const users = new Map();

io.on('connection', (socket) => {
  let name;
  socket.on('auth', (user) => {
    name = user;
    users.set(user, socket);
  });
  socket.on('joinGroup', (group) => socket.join(group));
  socket.on('private', (user, message, ack) => {
    users.get(user)?.emit('message', name, message);
    ack?.();
  });
  socket.on('group', (group, message, ack) => {
    socket.to(group).emit('message', name, message);
    ack?.();
  });
  socket.on('everyone', (message, ack) => {
    socket.broadcast.emit('message', name, message);
    ack?.();
  });
  socket.on('echo', (message) => socket.emit('echo', message));
  socket.on('disconnect', () => {
    if (users.get(name) === socket) users.delete(name);
  });
});

http.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`ws://${host}:${http.address().port}/socket.io/?EIO=4&transport=websocket`);
});
