//! An encrypted client whose sign-in moves to another shard and whose end comes in the same bytes leaves nothing on either shard,
//! whether it ends as it should or by a record that makes no sense.

mod common;

use common::raw::{UPGRADE, auth, text};
use common::tls::{TLS12, TLS13, TlsServer, secure};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

const SHARDS: u16 = 3;
/// By then every shard has accepted for every other one, unless the kernel spreads connections badly.
const TRIES: usize = 1000;

fn accepted(wss: &TlsServer) -> Vec<u64> {
    wss.server.snapshots().iter().map(|snapshot| snapshot.counters.get(Counter::Accepted)).collect()
}

/// Says everything at once, its end too: `close_notify`, or a last record with one wrong bit. Reads nothing, and stays.
fn all_and_the_end(wss: &TlsServer, home: u16, n: usize) -> TcpStream {
    let version = [&TLS13, &TLS12][n / 2 % 2];
    let mut raw = secure(&Arc::new(wss.made.client(version)), wss.tcp());
    raw.flush().expect("the handshake");
    let mut bytes = Vec::new();
    let said = [UPGRADE.as_bytes(), &auth(&wss.server.user_on(home, 0))].concat();
    raw.conn.writer().write_all(&said).expect("room");
    if n.is_multiple_of(2) {
        raw.conn.send_close_notify();
        raw.conn.write_tls(&mut bytes).expect("bytes");
    } else {
        raw.conn.writer().write_all(&text(&json!({"type": "ping"}))).expect("room");
        raw.conn.write_tls(&mut bytes).expect("bytes");
        *bytes.last_mut().expect("some") ^= 1;
    }
    raw.sock.write_all(&bytes).expect("it takes bytes");
    raw.sock
}

#[test]
fn the_end_of_tls_may_overtake_a_move() {
    let wss = TlsServer::chat(usize::from(SHARDS), &[]);
    let mut seen = [[[false; 2]; SHARDS as usize]; SHARDS as usize];
    let mut clients = Vec::new();
    while seen.iter().flatten().flatten().any(|seen| !seen) {
        let n = clients.len();
        assert!(n < TRIES, "not every shard has accepted for every other one: {seen:?}");
        let home = (n / 4) as u16 % SHARDS;
        let before = accepted(&wss);
        clients.push(all_and_the_end(&wss, home, n));
        wss.server.wait_until("its end is noticed", |server| server.count(Counter::ClosedLost) > n as u64);
        let after = accepted(&wss);
        let by = before.iter().zip(&after).position(|(before, after)| before != after);
        seen[by.expect("some shard accepted it")][usize::from(home)][n % 2] = true;
    }
    // Those that were told of a wrong record may still read that.
    wss.server.wait_until("all that said close_notify are gone", |server| {
        server.level(Gauge::RingSlots) <= clients.len() as u64 / 2
    });
    drop(clients);
    wss.server.wait_until_nothing_is_held();
    assert_eq!(wss.server.level(Gauge::TlsConnections), 0);
}
