//! Over TLS, of both versions, everything is as it is without: chat, large messages, compression, closing; however the bytes are cut.

mod common;

use common::raw::{BINARY, CLOSE, PING, PONG, Raw, TEXT, UPGRADE, frame, text};
use common::tls::{Drip, TLS12, TLS13, TlsServer, secure};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;

/// Sends a message and waits for its ack.
fn say<S: Read + Write>(from: &mut Raw<S>, to: &str, what: &str) {
    from.write(&text(
        &json!({"type": "message", "to": to, "message": what, "id": &what[..what.len().min(20)]}),
    ));
    assert_eq!(from.expect_event()["type"], "ack");
}

fn hears<S: Read + Write>(who: &mut Raw<S>, what: &str) {
    let event = who.expect_event();
    assert_eq!((&event["type"], &event["message"]), (&json!("message"), &json!(what)));
}

#[test]
fn people_on_wss_of_both_versions_and_on_ws_talk() {
    let wss = TlsServer::chat(2, &[]);
    let [new, old] = [&TLS13, &TLS12].map(|version| Arc::new(wss.made.client(version)));
    let mut alice = Raw::sign_in_over(wss.connect(&new), "alice");
    let mut bob = Raw::sign_in_over(secure(&old, Drip(wss.tcp())), "bob");
    let mut carol = Raw::sign_in_over(wss.plain(), "carol");
    for round in 0..20 {
        let what = format!("round {round}");
        say(&mut alice, "bob", &what);
        hears(&mut bob, &what);
        say(&mut bob, "carol", &what);
        hears(&mut carol, &what);
        say(&mut carol, "alice", &what);
        hears(&mut alice, &what);
    }
    assert_eq!(wss.server.level(Gauge::TlsConnections), 2);
    assert_eq!(wss.server.count(Counter::TlsFull), 2);
}

#[test]
fn every_byte_may_come_on_its_own() {
    let wss = TlsServer::chat(1, &[]);
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(wss.made.client(version));
        let mut slow = Raw::sign_in_over(secure(&config, Drip(wss.tcp())), "slow");
        slow.write(&text(&json!({"type": "ping", "id": "x".repeat(60)})));
        assert_eq!(slow.expect_event()["type"], "pong");
    }
}

#[test]
fn large_messages_go_both_ways() {
    let wss =
        TlsServer::echo(&[("websocket.message_size_limit", "512KiB"), ("client.queue_max_size", "1MiB")]);
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(wss.made.client(version));
        let mut raw = Raw::over(wss.connect(&config));
        raw.write(UPGRADE.as_bytes());
        raw.expect_upgrade();
        for size in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 300_000] {
            let message: Vec<u8> = (0..size).map(|n| b'a' + (n % 23) as u8).collect();
            for first in [TEXT, BINARY] {
                raw.write(&frame(first, &message));
                assert!(raw.next_frame() == Some((first, message.clone())), "{size} bytes");
            }
        }
        // Many small frames in one record come back, and share records.
        let many: Vec<u8> = (0..500_u32).flat_map(|n| frame(BINARY, &n.to_be_bytes())).collect();
        raw.write(&many);
        for n in 0..500_u32 {
            assert_eq!(raw.next_frame(), Some((BINARY, n.to_be_bytes().to_vec())));
        }
    }
    assert_eq!(wss.server.level(Gauge::AssemblyBytes), 0);
}

#[test]
fn compression_is_agreed_on_as_well() {
    let wss = TlsServer::chat(1, &[]);
    let config = Arc::new(wss.made.client(&TLS13));
    let offer = "permessage-deflate; client_no_context_takeover";
    let mut alice = Raw::sign_in_deflating_over(wss.connect(&config), "alice", offer);
    let mut bob = Raw::sign_in_deflating_over(wss.connect(&config), "bob", offer);
    let what = "the same again and again; ".repeat(40);
    say(&mut alice, "bob", &what);
    hears(&mut bob, &what);
    assert!(wss.server.count(Counter::FramesDeflated) > 0);
}

#[test]
fn it_ends_as_it_should_whoever_begins() {
    let wss = TlsServer::chat(1, &[]);
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(wss.made.client(version));
        // The client begins: it gets a close frame, close_notify and the end. Without close_notify the read would fail.
        let mut raw = Raw::sign_in_over(wss.connect(&config), "alice");
        raw.write(&frame(PING, b"still there?"));
        assert_eq!(raw.next_frame(), Some((PONG, b"still there?".to_vec())));
        raw.write(&frame(CLOSE, &1000_u16.to_be_bytes()));
        assert_eq!(raw.expect_close().0, 1000);
        raw.expect_end();
        // Or says all of it at once: close frame, close_notify and the end of its stream.
        let mut raw = Raw::sign_in_over(wss.connect(&config), "alice");
        let client = &mut raw.stream.conn;
        client.writer().write_all(&frame(CLOSE, &1001_u16.to_be_bytes())).expect("room");
        client.send_close_notify();
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("bytes");
        }
        raw.stream.sock.write_all(&bytes).expect("it takes bytes");
        assert_eq!(raw.expect_close().0, 1001);
        raw.expect_end();
        // The server begins, for a fault and without one.
        let mut raw = Raw::sign_in_over(wss.connect(&config), "alice");
        raw.write(&frame(0xf1, b"reserved bits"));
        assert_eq!(raw.expect_close().0, 1002);
        raw.expect_end();
        let mut http = Raw::over(wss.connect(&config));
        http.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(http.expect_head().starts_with("HTTP/1.1 404 "));
        let _ = http.stream.read_to_end(&mut Vec::new()).expect("the whole answer, and a clean end");
    }
    wss.server.wait_until("all are gone", |server| server.level(Gauge::Connections) == 0);
    assert_eq!(wss.server.level(Gauge::AssemblyBytes), 0);
}
