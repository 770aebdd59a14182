//! A client that sends thousands of commands before it reads one answer is read more slowly, never closed: what is under
//! way for it is bounded, and every answer comes.

mod common;

use common::TestServer;
use common::desk::{self, Desk};
use common::raw::{Raw, TEXT, frame, text};
use longwire::frame::{Class, Frame};
use longwire::limits::{RECV_BUFFER_SIZE, RECV_BUFFERS_MAX};
use longwire::metrics::{Counter, Gauge};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::time::Duration;

const SHARDS: u16 = 2;
const QUEUE: u64 = 64 * 1024;
const COMMANDS: usize = 20_000;
const PAGES: usize = 200;
/// A write that makes no progress for so long waits for the client to read.
const STALLED: Duration = Duration::from_millis(300);

fn server() -> TestServer {
    TestServer::chat(
        usize::from(SHARDS),
        &[("client.queue_max_size", "64KiB"), ("rate.connection_messages", "0")],
    )
}

/// Writes all commands before it reads, as far as anybody takes them, and the rest while it reads; returns the answers.
fn pipeline(server: &TestServer, raw: &mut Raw, commands: Vec<u8>, answers: usize) -> Vec<Value> {
    let mut writer = raw.stream.try_clone().expect("a second handle");
    writer.set_write_timeout(Some(STALLED)).expect("a time-out");
    let mut taken = 0;
    while taken < commands.len() {
        match writer.write(&commands[taken..]) {
            Ok(length) => taken += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("the server ended it: {error}"),
        }
        let queued = server.level(Gauge::OutboxBytes);
        assert!(queued <= QUEUE + QUEUE / 2 + 128 * 1024, "{queued} bytes of answers are queued");
        let unread = server.level(Gauge::AssemblyBytes);
        let buffers = usize::from(RECV_BUFFERS_MAX) * RECV_BUFFER_SIZE;
        assert!(unread <= buffers as u64, "{unread} bytes are kept unread");
    }
    writer.set_write_timeout(Some(common::PATIENCE)).expect("a time-out");
    let rest = std::thread::spawn(move || writer.write_all(&commands[taken..]).expect("it is read again"));
    let answers = (0..answers).map(|_| raw.expect_event()).collect();
    rest.join().expect("all is written");
    answers
}

#[test]
fn every_command_sent_ahead_is_answered() {
    let server = server();
    for shard in 0..SHARDS {
        // Conversations of every shard, and answers that come at once among those that come later.
        let (me, peers) = (server.user_on(shard, 0), [server.user_on(0, 1), server.user_on(1, 1)]);
        let command = |n: usize| match n % 10 {
            0 => json!({"type": "ping", "id": n.to_string()}),
            1 => json!({"type": "joinGroup", "group": server.group_on(0, 0), "id": n.to_string()}),
            2 => json!({"type": "joinGroup", "group": server.group_on(1, 0), "id": n.to_string()}),
            3 => json!({"type": "no such thing", "id": n.to_string()}),
            _ => json!({"type": "message", "to": peers[n % 2], "message": n, "id": n.to_string()}),
        };
        let commands = (0..COMMANDS).flat_map(|n| text(&command(n))).collect();
        let mut raw = Raw::sign_in(&server, &me);
        let answers = pipeline(&server, &mut raw, commands, COMMANDS);
        let ids: HashSet<&str> = answers.iter().filter_map(|answer| answer["id"].as_str()).collect();
        assert_eq!(ids.len(), COMMANDS);
        let acks = answers.iter().filter(|answer| answer["type"] == "ack").count();
        assert_eq!(acks, COMMANDS / 10 * 6);
        // It goes on as before.
        raw.write(&text(&json!({"type": "ping", "id": "last"})));
        assert_eq!(raw.expect_event()["id"], "last");
    }
    assert_eq!((server.count(Counter::ClosedTooSlow), server.count(Counter::Resyncs)), (0, 0));
}

#[test]
fn pages_asked_for_ahead_all_come() {
    let server = server();
    for shard in 0..SHARDS {
        let (me, peer) = (server.user_on(0, 0), server.user_on(shard, 1));
        let mut raw = Raw::sign_in(&server, &me);
        let mut conversation = Value::Null;
        for n in 0..20 {
            let body = "x".repeat(2500);
            raw.write(&text(&json!({"type": "message", "to": peer, "message": body, "id": n.to_string()})));
            conversation = raw.expect_event()["conversation"].take();
        }
        let command = |n: usize| match n % 2 {
            0 => json!({"type": "ping", "id": n.to_string()}),
            _ => json!({"type": "history", "conversation": conversation, "id": n.to_string()}),
        };
        let commands = (0..2 * PAGES).flat_map(|n| text(&command(n))).collect();
        let answers = pipeline(&server, &mut raw, commands, 2 * PAGES);
        for (n, answer) in answers.iter().enumerate() {
            // One after another: what follows a page is answered after it.
            assert_eq!(answer["id"], n.to_string());
            let page = answer["messages"].as_array().map_or(0, Vec::len);
            assert_eq!(page, if n % 2 == 0 { 0 } else { 20 }, "{n}");
        }
    }
    assert_eq!(server.count(Counter::ClosedTooSlow), 0);
}

#[test]
fn only_the_answer_to_a_page_lets_what_follows_it_be_read() {
    let mut desk = Desk::new(desk::config(), 4, 16);
    let (mut client, conn) = desk.connect();
    client.write_all(&[frame(TEXT, desk::PAGE), frame(TEXT, b"hi")].concat()).expect("it takes bytes");
    desk.turn_until("the page is asked for", |desk| desk.tally.messages == 1);
    // What it is told meanwhile is no answer.
    let told = Frame::new(&[0; 100]);
    for class in [Class::Told, Class::Stored, Class::Ephemeral(None), Class::Told] {
        desk.plane.send(conn, &told, class);
        (0..10).for_each(|_| desk.turn());
        assert_eq!(desk.tally.messages, 1, "{class:?}");
    }
    desk.plane.send(conn, &told, Class::Reply);
    desk.turn_until("it is read again", |desk| desk.tally.messages == 2);
}
