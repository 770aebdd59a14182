//! Of clients that come over TLS all at once no more get a handshake than `rate.tls_handshakes` allows, whether they ask for anything
//! afterwards or not. The others wait to be accepted and are reset before any cryptography; who is in already notices nothing.

mod common;

use common::raw::{Raw, text};
use common::tls::{Secure, TLS13, TlsServer, secure};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const CLIENTS: u64 = 200;
const RATE: u64 = 10;
/// What may come at once: half a second's.
const BURST: u64 = RATE / 2;

fn talk(alice: &mut Raw<Secure>, bob: &mut Raw, number: usize) {
    let id = number.to_string();
    alice.write(&text(&json!({"type": "message", "to": "bob", "message": number, "id": id})));
    assert_eq!(alice.expect_event()["type"], "ack");
    let heard = bob.expect_event();
    assert_eq!((&heard["type"], &heard["message"]), (&json!("message"), &json!(number)), "{heard}");
}

#[test]
fn a_tls_storm_is_let_in_at_the_rate_that_is_set() {
    // The two talk as fast as they can.
    let talking = [("rate.connection_messages", "0"), ("rate.user_messages", "0")];
    let rate = RATE.to_string();
    let wss = TlsServer::chat(1, &[&talking[..], &[("rate.tls_handshakes", &rate)]].concat());
    let start = Instant::now();
    let config = Arc::new(wss.made.client(&TLS13));
    let mut alice = Raw::sign_in_over(wss.connect(&config), "alice");
    let mut bob = Raw::sign_in_over(wss.plain(), "bob");
    // Each says hello at once, and nothing after its handshake.
    let mut storm: Vec<Secure> = (0..CLIENTS).map(|_| secure(&config, wss.tcp())).collect();
    for client in &mut storm {
        while client.conn.wants_write() {
            client.conn.write_tls(&mut client.sock).expect("the socket takes a hello");
        }
    }
    let clients: Vec<_> = storm
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || client.conn.complete_io(&mut client.sock).is_ok().then_some(client))
        })
        .collect();
    let mut number = 0;
    while !clients.iter().all(std::thread::JoinHandle::is_finished) {
        number += 1;
        talk(&mut alice, &mut bob, number);
    }
    let inside: Vec<_> = clients.into_iter().filter_map(|client| client.join().expect("no panic")).collect();
    talk(&mut alice, &mut bob, number + 1);
    let (full, shed) = (wss.server.count(Counter::TlsFull), wss.server.count(Counter::Shed));
    let most = BURST + RATE * (1 + start.elapsed().as_secs());
    assert!(full <= most, "{full} handshakes, and no more than {most} may be");
    assert!(
        !inside.is_empty() && inside.len() as u64 + shed == CLIENTS,
        "{} in, {shed} sent away",
        inside.len()
    );
    drop(inside);
    wss.server.wait_until("only the two are left", |server| server.level(Gauge::Connections) == 2);
    // The storm is over: whoever comes gets in, sooner or later.
    let comes_back = || {
        let mut client = wss.connect(&config);
        client.conn.complete_io(&mut client.sock).is_ok()
    };
    let mut tries = 0..;
    while tries.next().is_some() && !comes_back() {
        assert!(start.elapsed() < 2 * common::PATIENCE, "nobody gets in any more");
    }
}
