//! An encrypted client that says all at once, upgrade, sign-in and messages in one write, is answered in order, whichever shard
//! accepted it and whichever is its user's home: its keys, and a record that is not whole yet, move along.

mod common;

use common::raw::{Raw, UPGRADE, auth, text};
use common::tls::{Secure, TLS12, TLS13, TlsServer, secure};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

const SHARDS: u16 = 4;
/// By then every shard has accepted for every other one, unless the kernel spreads connections badly.
const TRIES: usize = 2000;

/// A stream that cuts what is written into pieces of a size, and keeps the last one back until it is read from.
struct Cut {
    stream: TcpStream,
    piece: usize,
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(&bytes[..bytes.len().min(self.piece)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

fn accepted(wss: &TlsServer) -> Vec<u64> {
    wss.server.snapshots().iter().map(|snapshot| snapshot.counters.get(Counter::Accepted)).collect()
}

/// Says everything at once, and reads the answers.
fn all_at_once(wss: &TlsServer, mut raw: Raw<Secure<Cut>>, home: u16, n: usize) {
    let (user, to) = (wss.server.user_on(home, 0), wss.server.user_on((home + 1) % SHARDS, 1));
    let mut bytes = UPGRADE.as_bytes().to_vec();
    bytes.extend(text(&json!({"type": "ping", "id": "early"})));
    bytes.extend(auth(&user));
    for (message, size) in [("one", 10), ("two", 20_000)] {
        let id = format!("{n}{message}");
        bytes.extend(text(&json!({"type": "message", "to": to, "message": "x".repeat(size), "id": id})));
    }
    raw.write(&bytes);
    raw.expect_upgrade();
    assert_eq!(raw.expect_event()["id"], "early");
    assert_eq!(raw.expect_event()["type"], "authenticated");
    let acks = [raw.expect_event(), raw.expect_event()];
    assert_eq!(acks[0]["id"], format!("{n}one"));
    assert_eq!(acks[1]["id"], format!("{n}two"));
    assert_eq!(acks[1]["prev"], acks[0]["seq"]);
}

#[test]
fn a_tls_connection_moves_under_fire() {
    let wss = TlsServer::chat(usize::from(SHARDS), &[]);
    let configs = [&TLS13, &TLS12].map(|version| Arc::new(wss.made.client(version)));
    let mut seen = [[false; SHARDS as usize]; SHARDS as usize];
    let mut n = 0;
    while seen.iter().flatten().any(|seen| !seen) {
        assert!(n < TRIES, "not every shard has accepted for every other one: {seen:?}");
        let home = n as u16 % SHARDS;
        let before = accepted(&wss);
        let cut = Cut { stream: wss.tcp(), piece: [1 + 97 * (n % 30), usize::MAX][n % 2] };
        all_at_once(&wss, Raw::over(secure(&configs[n / 2 % 2], cut)), home, n);
        let after = accepted(&wss);
        let by = before.iter().zip(&after).position(|(before, after)| before != after);
        seen[by.expect("some shard accepted it")][usize::from(home)] = true;
        n += 1;
    }
    assert!(wss.server.count(Counter::HandedOver) > 0);
    wss.server.wait_until("all are gone", |server| {
        server.level(Gauge::TlsConnections) == 0 && server.level(Gauge::Connections) == 0
    });
    assert_eq!(wss.server.level(Gauge::AssemblyBytes), 0);
}
