//! What TLS itself has to say while a frame is on its way, here that nothing is negotiated again, follows that frame at once: it
//! does not wait until somebody has another frame for the connection.

mod common;

use common::disguised;
use common::raw::{Raw, text};
use common::tls::TlsServer;
use longwire::metrics::{Counter, Gauge};
use rustls::ContentType;
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;

/// More than the kernel takes of a connection that is not read (bytes).
const LARGE: usize = 14 << 20;

#[test]
fn what_tls_says_follows_the_frame_under_way() {
    let settings = [
        ("websocket.message_size_limit", "16MiB"),
        ("client.queue_max_size", "32MiB"),
        ("client.queues_max_size", "64MiB"),
        ("message.size_limit", "15MiB"),
        ("rate.connection_bytes", "0"),
        ("rate.user_bytes", "0"),
        // A ping would take along what waits.
        ("client.ping_interval", "1h"),
    ];
    let wss = TlsServer::chat(1, &settings);
    let config = Arc::new(disguised::client(&wss.made.der, ContentType::Handshake));
    let mut bob = Raw::sign_in_over(wss.connect(&config), "bob");
    let mut alice = Raw::sign_in_over(wss.plain(), "alice");
    alice.write(&text(&json!({"type": "message", "to": "bob", "message": "x".repeat(LARGE), "id": "1"})));
    let ack = alice.expect_event();
    assert_eq!(ack["type"], "ack", "{ack}");
    let before = wss.server.count(Counter::BytesReceived);
    bob.stream.write_all(&disguised::hello(&config)).expect("it takes bytes");
    wss.server.wait_until("it is read", |server| server.count(Counter::BytesReceived) > before);
    assert!(wss.server.level(Gauge::SendingBytes) > 0, "the frame is still on its way");
    let sends = wss.server.count(Counter::Sends);
    let mut left = LARGE;
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        left = left.saturating_sub(bob.stream.read(&mut buffer).expect("the frame"));
    }
    wss.server.wait_until("the alert follows", |server| server.count(Counter::Sends) > sends);
    assert_eq!(wss.server.count(Counter::TlsBroken), 0);
}
