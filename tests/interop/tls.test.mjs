// wss:// by Node's ws, whose TLS is OpenSSL with settings of its own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, Server } from './longwire.mjs';

const limit = { timeout: 20_000 };
const folder = mkdtempSync(join(tmpdir(), 'longwire-tls-'));
const [certificate, key] = ['fullchain.pem', 'privkey.pem'].map((name) => join(folder, name));
let server;

before(async () => {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, ...files], { stdio: 'ignore' });
  server = await Server.start('--listen', 'wss://127.0.0.1:0', '--tls-certificate', certificate, '--tls-key', key);
}, limit);

after(async () => {
  rmSync(folder, { recursive: true });
  assert.equal(await server.stop(), 0);
}, limit);

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`${version}: a message, compressed and not, and a clean end`, limit, async () => {
    const options = { ca: readFileSync(certificate), minVersion: version, maxVersion: version };
    const at = { url: server.secure };
    const alice = await Client.signedIn(at, `alice-${version}`, options);
    const bob = await Client.signedIn(at, `bob-${version}`, { ...options, perMessageDeflate: true });
    for (const text of ['hello', 'again '.repeat(5000)]) {
      alice.send({ type: 'message', to: `bob-${version}`, message: text, id: String(text.length) });
      assert.equal((await alice.receive()).type, 'ack');
      assert.equal((await bob.receive()).message, text);
      bob.send({ type: 'message', to: `alice-${version}`, message: text });
      assert.equal((await alice.receive()).message, text);
    }
    for (const client of [alice, bob]) {
      client.socket.close(1000);
      assert.deepEqual(await client.receive(), { closed: 1000 });
    }
  });
}
