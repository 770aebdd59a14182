//! An address has as many connections as `client.address_connection_limit` says, on all cores together. A further one is told so by
//! HTTP 429, or reset over TLS; far too many are closed at once, other addresses notice nothing, and who leaves makes room.

mod common;

use common::raw::{Raw, UPGRADE, auth};
use common::tls::{TLS13, TlsServer};
use common::{PATIENCE, TestServer};
use longwire::metrics::{Counter, Gauge};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;

const LIMIT: usize = 3;

/// A connection from an address of this machine.
fn from(server: &TestServer, address: [u8; 4]) -> Raw {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
    socket.connect(&server.address().into()).expect("the server accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    Raw::over(socket.into())
}

/// The status of the answer to an upgrade; 0 if there is none.
fn knock(raw: &mut Raw) -> u16 {
    use std::io::Write;
    // A connection that was closed at once may not even take it.
    if raw.stream.write_all(UPGRADE.as_bytes()).is_err() || raw.is_at_end() {
        return 0;
    }
    let head = raw.expect_head();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    assert_eq!(status == 429, head.contains("\r\nRetry-After: "), "{head}");
    status
}

fn sign_in(raw: &mut Raw, user: &str) {
    assert_eq!(knock(raw), 101);
    raw.write(&auth(user));
    assert_eq!(raw.expect_event()["type"], "authenticated");
}

#[test]
fn an_address_has_so_many_connections() {
    let server = TestServer::chat(2, &[("client.address_connection_limit", &LIMIT.to_string())]);
    // Whichever core accepts them, some have to move to the other.
    let mut inside: Vec<Raw> = (0..LIMIT).map(|_| from(&server, [127, 0, 0, 1])).collect();
    for (n, raw) in inside.iter_mut().enumerate() {
        sign_in(raw, &server.user_on(n as u16 % 2, n));
    }
    let mut told: Vec<Raw> = (0..LIMIT).map(|_| from(&server, [127, 0, 0, 1])).collect();
    told.iter_mut().for_each(|raw| assert_eq!(knock(raw), 429));
    sign_in(&mut from(&server, [127, 0, 0, 2]), "elsewhere");
    assert_eq!(server.count(Counter::Crowded), LIMIT as u64);
    drop(told);
    server.wait_until("only who is in is left", |server| server.level(Gauge::Connections) == LIMIT as u64);
    // Those who say nothing have their places too; beyond twice the limit nobody gets one.
    let silent: Vec<Raw> = (0..LIMIT).map(|_| from(&server, [127, 0, 0, 1])).collect();
    server.wait_until("they are accepted", |server| server.level(Gauge::Connections) == 2 * LIMIT as u64);
    assert_eq!(knock(&mut from(&server, [127, 0, 0, 1])), 0);
    drop(silent);
    // Who leaves makes room for as many, moved or not.
    drop(inside);
    server.wait_until("all have left", |server| server.level(Gauge::Connections) == 0);
    let mut again: Vec<Raw> = (0..=LIMIT).map(|_| from(&server, [127, 0, 0, 1])).collect();
    let statuses: Vec<u16> = again.iter_mut().map(knock).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 101).count(), LIMIT, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1, "{statuses:?}");
}

#[test]
fn over_tls_one_too_many_gets_no_handshake() {
    let wss = TlsServer::chat(1, &[("client.address_connection_limit", "2")]);
    let config = Arc::new(wss.made.client(&TLS13));
    let inside = ["alice", "bob"].map(|user| Raw::sign_in_over(wss.connect(&config), user));
    let mut further = wss.connect(&config);
    assert!(further.conn.complete_io(&mut further.sock).is_err());
    let handshakes = wss.server.count(Counter::TlsFull) + wss.server.count(Counter::TlsResumed);
    assert_eq!((wss.server.count(Counter::Crowded), handshakes), (1, 2));
    drop((inside, further));
    wss.server.wait_until("all have left", |server| server.level(Gauge::Places) == 0);
    Raw::sign_in_over(wss.connect(&config), "alice");
}

#[test]
fn many_accepted_singly_all_get_in() {
    let server = TestServer::chat(2, &[("client.address_connection_limit", "1000")]);
    let mut all: Vec<Raw> = (0..300).map(|_| from(&server, [127, 0, 0, 1])).collect();
    all.iter_mut().for_each(|raw| assert_eq!(knock(raw), 101));
    assert_eq!((server.count(Counter::Upgraded), server.count(Counter::Crowded)), (300, 0));
}
