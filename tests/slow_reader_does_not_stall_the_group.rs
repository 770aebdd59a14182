//! A member who does not read costs the others nothing: what is queued for it is bounded, it is told once to `resync`,
//! and if it goes on not reading it is closed with 3008.

mod common;

use common::raw::{CLOSE, Raw, TEXT};
use common::{Client, TestServer};
use longwire::metrics::{Counter, Gauge};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

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
    slow: Raw,
    sent: usize,
}

impl Group {
    fn new(home: u16) -> Self {
        let server = TestServer::chat(
            usize::from(SHARDS),
            &[("client.queue_max_size", "64KiB"), ("group.event_max_members", "0")],
        );
        let name = server.group_on(home, 0);
        let mut members: Vec<_> =
            (0..SHARDS).map(|shard| server.sign_in(&server.user_on(shard, 0))).collect();
        // A small window, so that little is under way in the kernel.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&server.address().into()).expect("the server accepts");
        socket.set_read_timeout(Some(common::PATIENCE)).expect("a time-out");
        let mut slow = Raw::sign_in_over(socket.into(), &server.user_on((home + 1) % SHARDS, 1));
        let join = json!({"type": "joinGroup", "group": name});
        slow.write(&common::raw::text(&join));
        assert_eq!(slow.expect_event()["type"], "joined");
        for member in &mut members {
            member.ask(&join, "joined");
        }
        Self { server, name, members, slow, sent: 0 }
    }

    /// Sends one message; every reader gets it, and nothing else.
    fn say(&mut self) {
        assert!(self.sent < ENOUGH, "the slow one's queue is bounded");
        let body = format!("{}:{}", self.sent, "x".repeat(MESSAGE));
        let message =
            json!({"type": "message", "group": self.name, "message": body, "id": self.sent.to_string()});
        self.members[0].ask(&message, "ack");
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
}

/// Reads events up to the first that fits, and returns those before it.
fn read_until(raw: &mut Raw, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut before = Vec::new();
    loop {
        let event = raw.expect_event();
        if fits(&event) {
            return before;
        }
        before.push(event);
    }
}

#[test]
fn a_slow_reader_that_comes_back_is_told_to_resync_once() {
    let mut group = Group::new(0);
    group.say_until("stored frames are shed", Counter::ShedStored);
    let last_lost = group.sent;
    let ahead = read_until(&mut group.slow, |event| event["type"] == "resync");
    assert!(!ahead.is_empty() && ahead.len() < last_lost, "{} of {last_lost} came before", ahead.len());
    for (n, event) in ahead.iter().enumerate() {
        assert_eq!(event["id"], n.to_string(), "what comes before the resync comes in order, without a gap");
    }
    for _ in 0..3 {
        group.say();
        let id = (group.sent - 1).to_string();
        let before = read_until(&mut group.slow, |event| event["id"] == id);
        assert!(before.is_empty(), "{before:?}");
    }
    assert_eq!(group.server.count(Counter::Resyncs), 1);
    assert_eq!(group.server.count(Counter::ClosedTooSlow), 0);
    // What it lost is in the log.
    let ask = json!({"type": "history", "conversation": format!("g:{}", group.name), "after": ahead.last().map(|e| &e["seq"]), "limit": 1});
    group.slow.write(&common::raw::text(&ask));
    let history = group.slow.expect_event();
    assert_eq!(history["messages"][0]["id"], ahead.len().to_string(), "{history:.300}");
}

#[test]
fn a_slow_reader_that_goes_on_not_reading_is_closed() {
    let mut group = Group::new(1);
    group.say_until("it is closed", Counter::ClosedTooSlow);
    assert_eq!(group.server.count(Counter::Resyncs), 1);
    group.say();
    let mut code = None;
    while let Some((first, payload)) = group.slow.next_frame() {
        match first {
            CLOSE => {
                group.slow.answer_close(3008);
                code = Some(u16::from_be_bytes([payload[0], payload[1]]));
            }
            other => assert_eq!(other, TEXT),
        }
    }
    assert_eq!(code, Some(3008));
    group.server.wait_until("it is gone", |server| server.sessions() == u64::from(SHARDS));
}
