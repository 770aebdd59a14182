//! Whoever goes on sending after the server has closed is read no further: the flood costs nothing more than the close,
//! and its connection ends when its time is up.

mod common;

use common::TestServer;
use common::raw::{Raw, auth, text};
use longwire::limits::{CLOSING_RECEIVES, RECV_BUFFER_SIZE, RECV_BUFFERS_MAX};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// Far more than all buffers of the kernel hold.
const FLOOD: usize = 256 * 1024 * 1024;
/// A write that makes no progress for so long is one that the server does not read.
const STALLED: Duration = Duration::from_millis(300);
/// What may be read of one connection: its last words, and buffers that were filled before its receives were ended.
const READ_MAX: u64 = (CLOSING_RECEIVES as u64 + RECV_BUFFERS_MAX as u64) * RECV_BUFFER_SIZE as u64;

/// Writes the same bytes again and again until nobody takes any more.
fn flood(raw: &mut Raw, bytes: &[u8]) {
    raw.stream.set_write_timeout(Some(STALLED)).expect("a time-out");
    let burst = bytes.repeat(64 * 1024 / bytes.len() + 1);
    let mut taken = 0;
    while taken < FLOOD {
        match raw.stream.write(&burst[taken % bytes.len()..]) {
            Ok(length) => taken += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            Err(error) => panic!("the server did not wait for its close frame to be read: {error}"),
        }
    }
    panic!("the server goes on reading whom it has closed");
}

#[test]
fn a_flood_after_the_close_is_not_read() {
    let server = TestServer::chat(2, &[]);
    let ping = text(&json!({"type": "ping"}));
    let (user, phone) = (server.user_on(0, 0), server.user_on(1, 1));
    let sign_in = json!({"type": "auth", "username": phone, "device": "phone"});
    let mut replaced = Raw::upgraded(&server);
    replaced.write(&text(&sign_in));
    replaced.expect_event();
    server.sign_in_with(&sign_in).expect_nothing();
    let mut faulty = Raw::sign_in(&server, &user);
    faulty.write(&[0x81, 0x01, b'x']);
    let mut early = Raw::upgraded(&server);
    early.write(&[0x83, 0x80, 0, 0, 0, 0]);
    let mut plain = Raw::over(server.tcp());
    plain.write(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
    plain.expect_head();
    let mut ended = Vec::new();
    for (mut raw, code) in [(replaced, Some(3503)), (faulty, Some(1002)), (early, Some(1002)), (plain, None)]
    {
        if let Some(code) = code {
            assert_eq!(raw.expect_close().0, code);
        }
        let before = server.count(Counter::BytesReceived);
        flood(&mut raw, &ping);
        let read = server.count(Counter::BytesReceived) - before;
        assert!(read <= READ_MAX, "{read} bytes were read after close {code:?}");
        ended.push(raw);
    }
    // Others are served meanwhile, and a sign-in is not mistaken for last words.
    let mut raw = Raw::upgraded(&server);
    raw.write(&auth(&server.user_on(0, 2)));
    assert_eq!(raw.expect_event()["type"], "authenticated");
    server.wait_until("they are gone", |server| server.level(Gauge::Connections) == 1);
}
