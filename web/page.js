// The demo chat: shows what the client holds, and tells it what the user does. Knows no protocol.

import { Longwire } from './longwire.js';

const TYPING_SHOWN = 5000;
const element = (id) => document.getElementById(id);
const at = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
// What programs send may be any JSON.
const text = (message) => (typeof message === 'string' ? message : JSON.stringify(message));

let client;
let open;
let drawing = false;
const typing = { name: undefined, from: '', timer: undefined };

// What to do, by the code of the error or of the close.
const ADVICE = {
  offline: 'There is no connection now. Try again when there is one.',
  400: 'Names have 1 to 64 bytes, and neither spaces nor colons.',
  401: 'The server wants a token: this page is for a server started with --dev.',
  403: 'You are not in this group (any more), or may not join it.',
  413: 'The message is too long. Send it in parts.',
  429: 'That was too fast. Wait a moment.',
  503: 'The server cannot keep messages now (its log says why). Try later.',
  3500: 'The server wants a token: this page is for a server started with --dev.',
  3503: 'You signed in elsewhere with this window’s name. Sign in again to go on here.',
  3504: 'You are signed in too often. Sign out elsewhere.',
};

function problem(error) {
  const place = element('problem');
  place.hidden = error === undefined;
  if (error === undefined) return;
  const { code, reason, message = reason } = error;
  place.textContent = [ADVICE[code], message && `(${code ?? 'error'}: ${message})`].filter(Boolean).join(' ');
}

// What the user asked for; if it fails, why.
async function attempt(what) {
  problem();
  try {
    await what();
  } catch (error) {
    problem(error);
  }
}

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

// Once for all that comes before the next frame; also in a window that shows none.
function draw() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    if (!client) return;
    if (open && !document.hidden) client.read(open);
    drawConversations();
    drawOpen();
  });
}

function drawConversations() {
  const newest = ({ messages }) => messages.at(-1)?.time ?? 0;
  const sorted = [...client.conversations.values()].sort((a, b) => newest(b) - newest(a));
  element('conversations').replaceChildren(
    ...sorted.map((conversation) => {
      const { title, unread, isGroup, messages } = conversation;
      const last = messages.at(-1);
      const button = make(
        'button',
        { type: 'button', onclick: () => show(conversation) },
        make('span', { className: 'title', textContent: isGroup ? `# ${title}` : title }),
        unread > 0 ? make('span', { className: 'unread', textContent: unread, title: `${unread} unread` }) : undefined,
        make('span', { className: 'last', textContent: last ? `${last.from}: ${text(last.message)}` : '' }),
      );
      if (conversation === open) button.setAttribute('aria-current', 'true');
      return make('li', {}, button);
    }),
  );
  const unread = sorted.reduce((sum, conversation) => sum + conversation.unread, 0);
  document.title = unread > 0 ? `(${unread}) Longwire` : 'Longwire';
}

function mark({ seq }) {
  const { received, read } = open.reached(seq);
  if (open.isGroup) return read > 0 ? `read by ${read}` : received > 0 ? `received by ${received}` : 'sent';
  return read > 0 ? 'read' : received > 0 ? 'received' : 'sent';
}

function line(message, own, state) {
  const about = [own ? undefined : message.from, at(message.time), state].filter(Boolean).join(' · ');
  return make('li', { className: own ? 'own' : '' }, text(message.message), make('small', { textContent: about }));
}

function drawOpen() {
  element('conversation').hidden = !open;
  if (!open) return;
  const log = element('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const { title, isGroup, members, messages, name } = open;
  element('title').textContent = isGroup ? `# ${title}` : title;
  element('members').textContent = members === undefined ? '' : `${members} ${members === 1 ? 'member' : 'members'}`;
  element('leave').hidden = !isGroup;
  element('older').hidden = open.complete;
  element('messages').replaceChildren(
    ...messages.map((message) => {
      const own = message.from === client.user;
      return line(message, own, own ? mark(message) : undefined);
    }),
    ...client.waiting(open).map((entry) => line(entry, true, 'waiting')),
  );
  element('typing').textContent = typing.name === name ? `${typing.from} is typing…` : '';
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function show(conversation) {
  open = conversation;
  draw();
  element('text').focus();
}

function drawState({ state, code, reason, retryAt }) {
  const seconds = Math.max(1, Math.round((retryAt - Date.now()) / 1000));
  element('state').textContent = {
    connecting: 'connecting…',
    online: `online as ${client?.user}`,
    waiting: `offline; trying again in ${seconds} s. What you write is sent then.`,
    stopped: 'signed out',
  }[state];
  element('state').dataset.state = state;
  element('retry').hidden = state !== 'waiting';
  if (state === 'online') problem();
  if (state !== 'stopped') return;
  element('chat').hidden = element('sign-out').hidden = true;
  element('sign-in').hidden = false;
  if (code !== 1000) problem({ code, reason });
}

// A window is a device: when it is loaded again, it takes the place of what it was before.
function device() {
  const kept = sessionStorage.getItem('longwire:device') ?? `page-${Math.random().toString(36).slice(2, 12)}`;
  sessionStorage.setItem('longwire:device', kept);
  return kept;
}

function listen() {
  client.addEventListener('state', ({ detail }) => {
    if (detail.state === 'online') signedIn();
    // The user is known a moment after the state.
    queueMicrotask(() => client && drawState(detail));
    draw();
  });
  for (const type of ['conversation', 'synced']) client.addEventListener(type, draw);
  client.addEventListener('refused', ({ detail }) => problem(detail.error));
  client.addEventListener('problem', ({ detail }) => problem(detail));
  client.addEventListener('everyone', ({ detail }) => problem({ code: `${detail.from}, to everyone`, reason: text(detail.message) }));
  client.addEventListener('message', ({ detail }) => {
    if (detail.message.from === typing.from) typing.name = undefined;
  });
  client.addEventListener('typing', ({ detail }) => {
    clearTimeout(typing.timer);
    Object.assign(typing, { name: detail.conversation, from: detail.from });
    typing.timer = setTimeout(() => {
      typing.name = undefined;
      draw();
    }, TYPING_SHOWN);
    draw();
  });
}

function signedIn() {
  element('sign-in').hidden = true;
  element('chat').hidden = element('sign-out').hidden = false;
}

function signIn(username) {
  problem();
  client?.stop();
  open = undefined;
  sessionStorage.setItem('longwire:name', username);
  const url = `${location.origin.replace(/^http/, 'ws')}/ws`;
  client = new Longwire({ url, username, device: device(), storage: sessionStorage });
  listen();
  client.start();
}

function onSubmit(id, what) {
  element(id).addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => what(event));
  });
}

onSubmit('sign-in', () => signIn(element('name').value));
onSubmit('start', async ({ submitter }) => {
  const name = element('with').value;
  show(submitter?.value === 'group' ? await client.join(name) : client.conversation({ to: name }));
  element('with').value = '';
});
onSubmit('compose', () => {
  const sent = client.send(open.target, element('text').value);
  element('text').value = '';
  element('log').scrollTop = element('log').scrollHeight;
  // Why it was refused is told by an event.
  sent.catch(() => {});
});
element('text').addEventListener('input', () => client.typing(open.target));
element('older').addEventListener('click', () => attempt(() => client.older(open)));
element('leave').addEventListener('click', () =>
  attempt(async () => {
    await client.leave(open.title);
    open = undefined;
    draw();
  }),
);
element('retry').addEventListener('click', () => client.retry());
element('sign-out').addEventListener('click', () => {
  sessionStorage.removeItem('longwire:name');
  client.stop();
});
document.addEventListener('visibilitychange', draw);

const before = sessionStorage.getItem('longwire:name');
if (before) signIn(before);
else element('state').textContent = 'not signed in';
