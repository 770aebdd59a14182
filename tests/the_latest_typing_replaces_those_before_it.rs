//! Of what is never stored a slow reader gets the latest: who types again and again costs its queue one frame, and the
//! messages beside it stay in order.

mod common;

use common::TestServer;
use common::slow::{Heard, Slow};
use longwire::limits::FRAME_COST;
use longwire::metrics::{Counter, Gauge};
use serde_json::json;

const SHARDS: u16 = 2;
const TYPING: u64 = 2000;
/// One message (bytes).
const MESSAGE: usize = 16_000;
/// More messages than the kernel buffers for a connection.
const ENOUGH: usize = 2000;

/// Those that were replaced, and those that did not get as far: a shard that is given no time has a full mailbox.
fn gone(server: &TestServer) -> u64 {
    server.count(Counter::Outdated) + server.count(Counter::MailDropped)
}

#[test]
fn the_latest_typing_replaces_those_before_it() {
    let server = TestServer::chat(
        usize::from(SHARDS),
        &[("client.queue_max_size", "1MiB"), ("group.event_max_members", "0")],
    );
    for (shard, binary) in [(0, false), (1, true)] {
        let (reader, writer) = (server.user_on(shard, 0), server.user_on(0, 1));
        let group = server.group_on(1, usize::from(shard));
        let mut slow = Slow::sign_in(&server, &reader, binary);
        slow.join(&group);
        let mut client = server.sign_in(&writer);
        client.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        let mut sent = 0;
        // Until its kernel takes no more, and so much is queued that what it takes after all leaves most of it there.
        while server.level(Gauge::OutboxBytes) < 40 * MESSAGE as u64 {
            assert!(sent < ENOUGH, "the kernel takes everything");
            let body = "x".repeat(MESSAGE);
            client.ask(
                &json!({"type": "message", "to": reader, "message": body, "id": sent.to_string()}),
                "ack",
            );
            sent += 1;
        }
        let (before, queued) = (gone(&server), server.level(Gauge::OutboxBytes));
        for _ in 0..TYPING {
            client.send(&json!({"type": "typing", "to": reader}));
            client.send(&json!({"type": "typing", "group": group}));
        }
        client.expect_nothing();
        // All but the newest of each kind.
        server.wait_until("they were replaced", |server| gone(server) - before >= 2 * (TYPING - 1));
        client.ask(&json!({"type": "message", "to": reader, "message": "last", "id": "last"}), "ack");
        let grown = server.level(Gauge::OutboxBytes).saturating_sub(queued);
        assert!(grown <= 3 * (500 + FRAME_COST) as u64, "{grown} bytes more are queued");
        let mut typing = 0;
        let mut ids = Vec::new();
        while ids.last().is_none_or(|id| id != "last") {
            match slow.next() {
                Heard::Message(id) => ids.push(id),
                Heard::Typing => {
                    assert_eq!(ids.len(), sent, "typing comes after the messages that came before it");
                    typing += 1;
                }
                other => panic!("expected a message, got {other:?}"),
            }
        }
        assert_eq!(typing, 2, "the latest of each kind");
        let all: Vec<String> = (0..sent).map(|n| n.to_string()).chain(["last".into()]).collect();
        assert_eq!(ids, all);
    }
    assert_eq!((server.count(Counter::Resyncs), server.count(Counter::ShedStored)), (0, 0));
}
