//! Whoever asks without reading the answers is not asked for more: the server stops reading it, holds no more than its
//! budget for it, and serves everybody else; nothing is lost once it reads.

mod common;

use common::TestServer;
use common::raw::{PING, Raw, frame, text};
use longwire::limits::{COALESCE_MAX, RECV_BUFFER_SIZE, RECV_BUFFERS_MAX};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::time::Duration;

const QUEUE: u64 = 64 * 1024;
/// Without the limits that would end it sooner.
const ANY_RATE: [(&str, &str); 2] = [("rate.connection_messages", "0"), ("rate.user_messages", "0")];
/// Far more than all buffers of the kernel and the server hold.
const FLOOD: usize = 512 * 1024 * 1024;
/// A write that makes no progress for so long is one that the server does not read.
const STALLED: Duration = Duration::from_millis(500);

/// Writes the same bytes again and again until nobody takes any more; how many bytes were taken.
fn flood(raw: &mut Raw, bytes: &[u8]) -> usize {
    raw.stream.set_write_timeout(Some(STALLED)).expect("a time-out");
    let burst = bytes.repeat(64 * 1024 / bytes.len() + 1);
    let mut taken = 0;
    while taken < FLOOD {
        // Goes on where the last write ended, so that frames stay whole.
        match raw.stream.write(&burst[taken % bytes.len()..]) {
            Ok(length) => taken += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return taken;
            }
            Err(error) => panic!("the server ended it: {error}"),
        }
    }
    panic!("the server goes on reading whoever does not read");
}

/// Floods with one question, whose answers all come in the end.
fn assert_bounded(server: &TestServer, mut raw: Raw, question: &[u8]) {
    let taken = flood(&mut raw, question);
    let held = server.level(Gauge::OutboxBytes);
    assert!(held <= QUEUE + COALESCE_MAX as u64, "{held} bytes of answers are queued");
    let unread = server.level(Gauge::AssemblyBytes);
    // Buffers that were filled before it was paused, at most.
    let buffers = usize::from(RECV_BUFFERS_MAX) * RECV_BUFFER_SIZE;
    assert!(unread <= buffers as u64, "{unread} bytes are kept unread");
    for shard in 0..2 {
        server.sign_in(&server.user_on(shard, 5)).expect_nothing();
    }
    assert_eq!(server.count(Counter::ClosedTooSlow), 0);
    // It reads at last: every question taken whole is answered.
    let mut finish = raw.stream.try_clone().expect("a second handle");
    let rest = question[taken % question.len()..].to_vec();
    let rest = if rest.len() == question.len() { Vec::new() } else { rest };
    let questions = taken.div_ceil(question.len());
    let writer = std::thread::spawn(move || {
        finish.set_write_timeout(Some(common::PATIENCE)).expect("a time-out");
        finish.write_all(&rest).expect("it is read again");
    });
    for _ in 0..questions {
        assert!(raw.next_frame().is_some(), "an answer is missing");
    }
    writer.join().expect("the rest was written");
}

#[test]
fn a_flood_of_pings_is_bounded_before_and_after_sign_in() {
    let settings = [("client.queue_max_size", "64KiB"), ("client.auth_timeout", "1m")];
    let server = TestServer::chat(2, &[&settings[..], &ANY_RATE].concat());
    assert_bounded(&server, Raw::upgraded(&server), &frame(PING, &[b'x'; 125]));
    for shard in 0..2 {
        let raw = Raw::sign_in(&server, &server.user_on(shard, 0));
        assert_bounded(&server, raw, &frame(PING, &[b'x'; 125]));
    }
}

#[test]
fn a_flood_of_commands_is_bounded_before_and_after_sign_in() {
    let settings = [("client.queue_max_size", "64KiB"), ("client.auth_timeout", "1m")];
    let server = TestServer::chat(2, &[&settings[..], &ANY_RATE].concat());
    let command = text(&json!({"type": "ping"}));
    assert_bounded(&server, Raw::upgraded(&server), &command);
    assert_bounded(&server, Raw::sign_in(&server, &server.user_on(0, 0)), &command);
}

#[test]
fn a_flood_of_messages_is_bounded() {
    let settings = [("client.queue_max_size", "64KiB"), ("store.memory_max_bytes", "1MiB")];
    let server = TestServer::chat(2, &[&settings[..], &ANY_RATE].concat());
    for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let receiver = server.user_on(to, 1);
        let mut raw = Raw::sign_in(&server, &server.user_on(from, 0));
        // Answers come from the conversation's shard, many at a time: it is read no more, or closed with 3008.
        let burst = |n: usize| {
            let id = |m: usize| format!("{from}{to}:{n}:{m}");
            let message = |m| json!({"type": "message", "to": receiver, "message": m, "id": id(m)});
            (0..1000).flat_map(|m| text(&message(m))).collect::<Vec<u8>>()
        };
        raw.stream.set_write_timeout(Some(STALLED)).expect("a time-out");
        for n in 0..100 {
            if raw.stream.write_all(&burst(n)).is_err() {
                break;
            }
            let held = server.level(Gauge::OutboxBytes);
            assert!(held <= QUEUE + COALESCE_MAX as u64, "{held} bytes of answers are queued");
            let kept = server.level(Gauge::ViewBytes);
            assert!(kept <= 1 << 20, "{kept} bytes of messages are kept");
        }
        let (mut one, mut other) =
            (server.sign_in(&server.user_on(from, 5)), server.sign_in(&server.user_on(to, 6)));
        one.ask(&json!({"type": "message", "to": server.user_on(to, 6), "message": 1, "id": "x"}), "ack");
        other.expect("message");
    }
    server.wait_until("nothing is under way", |server| server.level(Gauge::SpillDepth) == 0);
}
