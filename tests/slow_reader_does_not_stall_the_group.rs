//! A member who does not read costs the others nothing, in either encoding: what is queued for it is bounded, it is told
//! once to `resync`, and if it goes on not reading it is closed with 3008.

mod common;

use common::slow::{Heard, Slow};
use common::{Client, TestServer};
use longwire::metrics::{Counter, Gauge};
use serde_json::{Value, json};

const SHARDS: u16 = 4;
/// One message (bytes), and what may be queued for one connection.
const MESSAGE: usize = 16_000;
const QUEUE: usize = 64 * 1024;
/// More than the kernel buffers for a connection.
const ENOUGH: usize = 2000;

/// A group of one sender, one reader on each shard, and one who does not read.
struct Group {
    server: TestServer,
    name: String,
    members: Vec<Client>,
    slow: Slow,
    sent: usize,
    /// Of all messages.
    seqs: Vec<Value>,
}

impl Group {
    fn new(home: u16, binary: bool) -> Self {
        let server = TestServer::chat(
            usize::from(SHARDS),
            &[("client.queue_max_size", "64KiB"), ("group.event_max_members", "0")],
        );
        let name = server.group_on(home, 0);
        let mut members: Vec<_> =
            (0..SHARDS).map(|shard| server.sign_in(&server.user_on(shard, 0))).collect();
        let mut slow = Slow::sign_in(&server, &server.user_on((home + 1) % SHARDS, 1), binary);
        slow.join(&name);
        for member in &mut members {
            member.ask(&json!({"type": "joinGroup", "group": name}), "joined");
        }
        Self { server, name, members, slow, sent: 0, seqs: Vec::new() }
    }

    /// Sends one message; every reader gets it, and nothing else.
    fn say(&mut self) {
        assert!(self.sent < ENOUGH, "the slow one's queue is bounded");
        let body = format!("{}:{}", self.sent, "x".repeat(MESSAGE));
        let message =
            json!({"type": "message", "group": self.name, "message": body, "id": self.sent.to_string()});
        self.seqs.push(self.members[0].ask(&message, "ack")["seq"].take());
        for member in &mut self.members[1..] {
            assert_eq!(member.expect("message")["id"], self.sent.to_string());
        }
        self.sent += 1;
        // What it has in flight is no more than one send.
        let queued = self.server.level(Gauge::OutboxBytes) as usize;
        assert!(queued <= QUEUE + MESSAGE, "{queued} bytes are queued");
    }

    fn say_until(&mut self, what: &str, counter: Counter) {
        while self.server.count(counter) == 0 {
            assert!(self.sent < ENOUGH, "waited in vain until {what}");
            self.say();
        }
    }

    /// The slow one reads up to its `resync`, goes on as if nothing had been, and finds in the log what it lost.
    fn comes_back(&mut self) {
        let last_lost = self.sent;
        let ahead = self.slow.read_until(&Heard::Resync);
        assert!(!ahead.is_empty() && ahead.len() < last_lost, "{} of {last_lost} came before", ahead.len());
        for (n, id) in ahead.iter().enumerate() {
            assert_eq!(*id, n.to_string(), "what comes before the resync comes in order, without a gap");
        }
        for _ in 0..3 {
            self.say();
            assert_eq!(self.slow.next(), Heard::Message((self.sent - 1).to_string()));
        }
        assert_eq!(self.server.count(Counter::Resyncs), 1);
        assert_eq!(self.server.count(Counter::ClosedTooSlow), 0);
        // What it lost is in the log.
        let after = &self.seqs[ahead.len() - 1];
        let ask = json!({"type": "history", "conversation": format!("g:{}", self.name), "after": after, "limit": 1});
        let history = self.members[0].ask(&ask, "history");
        assert_eq!(history["messages"][0]["id"], ahead.len().to_string(), "{history:.300}");
    }
}

#[test]
fn a_slow_reader_that_comes_back_is_told_to_resync_once() {
    for (home, binary) in [(0, false), (1, true)] {
        let mut group = Group::new(home, binary);
        group.say_until("stored frames are shed", Counter::ShedStored);
        group.comes_back();
    }
}

#[test]
fn a_slow_reader_that_goes_on_not_reading_is_closed() {
    for (home, binary) in [(1, false), (2, true)] {
        let mut group = Group::new(home, binary);
        group.say_until("it is closed", Counter::ClosedTooSlow);
        assert_eq!(group.server.count(Counter::Resyncs), 1);
        group.say();
        group.slow.read_until(&Heard::Closed(3008));
        group.slow.raw.answer_close(3008);
        assert_eq!(group.slow.next(), Heard::End);
        group.server.wait_until("it is gone", |server| server.sessions() == u64::from(SHARDS));
    }
}
