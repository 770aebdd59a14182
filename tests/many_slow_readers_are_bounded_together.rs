//! Many who do not read hold no more together than all queues may: those with the most queued are told to `resync`,
//! then closed, long before each has filled a queue of its own; and nobody else loses a message by it.

mod common;

use common::slow::{Heard, Slow};
use common::{Client, TestServer};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;

const SHARDS: u16 = 2;
/// Who does not read: half of them on each shard, every other one in binary.
const SLOW: usize = 40;
/// One message (bytes), what may be queued for one connection, and for all of both shards.
const MESSAGE: usize = 16_000;
const QUEUE: usize = 256 * 1024;
const QUEUES: usize = 4 * 1024 * 1024;
// With a queue of its own for each they would hold more than twice that.
const _: () = assert!(SLOW * QUEUE > 2 * QUEUES);
/// More messages than the kernel buffers for a connection.
const ENOUGH: usize = 2000;

/// Many who do not read what is sent to each of them, a group whose members do read, and two who chat beside it.
struct Hall {
    server: TestServer,
    name: String,
    readers: Vec<Client>,
    /// Who writes to those who do not read: a message of its own for each, since what many wait for is held once.
    writer: Client,
    pair: [Client; 2],
    names: [String; 2],
    slow: Vec<Slow>,
    sent: usize,
}

impl Hall {
    fn new() -> Self {
        let server = TestServer::chat(
            usize::from(SHARDS),
            &[
                ("client.queue_max_size", "256KiB"),
                ("client.queues_max_size", "4MiB"),
                ("group.event_max_members", "0"),
            ],
        );
        let name = server.group_on(0, 0);
        let readers = (0..SHARDS).map(|shard| server.sign_in(&server.user_on(shard, 0))).collect();
        let names = [server.user_on(0, 1), server.user_on(1, 1)];
        let pair = [server.sign_in(&names[0]), server.sign_in(&names[1])];
        let slow = (0..SLOW)
            .map(|n| Slow::sign_in(&server, &server.user_on(n as u16 % SHARDS, 2 + n), n / 2 % 2 == 0))
            .collect();
        let writer = server.sign_in("writer");
        let mut hall = Self { server, name, readers, writer, pair, names, slow, sent: 0 };
        for reader in &mut hall.readers {
            reader.ask(&json!({"type": "joinGroup", "group": hall.name}), "joined");
        }
        hall
    }

    /// One message to each who does not read, one to the group and one each way between the pair: all who read get theirs
    /// and nothing else.
    fn say(&mut self) {
        assert!(self.sent < ENOUGH, "the kernel takes everything");
        let id = self.sent.to_string();
        let body = "x".repeat(MESSAGE);
        for n in 0..SLOW {
            let to = self.server.user_on(n as u16 % SHARDS, 2 + n);
            self.writer.ask(&json!({"type": "message", "to": to, "message": body, "id": id}), "ack");
        }
        let message = json!({"type": "message", "group": self.name, "message": body, "id": id});
        self.readers[0].ask(&message, "ack");
        assert_eq!(self.readers[1].expect("message")["id"], *id);
        for (from, to) in [(0, 1), (1, 0)] {
            let message = json!({"type": "message", "to": self.names[to], "message": "hello", "id": id});
            self.pair[from].ask(&message, "ack");
            assert_eq!(self.pair[to].expect("message")["id"], *id);
        }
        self.sent += 1;
        let (queued, sending) =
            (self.server.level(Gauge::OutboxBytes), self.server.level(Gauge::SendingBytes));
        // What a turn adds is looked at in the next one.
        let most = QUEUES + 2 * SLOW * (MESSAGE + 1000);
        assert!(queued + sending <= most as u64, "{queued} bytes are queued and {sending} in sends");
    }
}

#[test]
fn many_slow_readers_are_bounded_together() {
    let mut hall = Hall::new();
    while hall.server.count(Counter::ClosedTooSlow) == 0 {
        hall.say();
    }
    assert!(hall.server.count(Counter::Reliefs) >= 2, "they were told, and did not catch up");
    assert!(hall.server.count(Counter::Resyncs) > 0 && hall.server.count(Counter::ShedStored) > 0);
    for _ in 0..20 {
        hall.say();
    }
    // Whoever reads again has its messages in order, then the word to resync, the close, or the end for who did not even take
    // that; or lost nothing.
    let last = (hall.sent - 1).to_string();
    for slow in &mut hall.slow[..8] {
        let mut next = 0;
        loop {
            match slow.next() {
                Heard::Message(id) => {
                    assert_eq!(id, next.to_string(), "in order, without a gap");
                    next += 1;
                    if id == last {
                        break;
                    }
                }
                Heard::Resync | Heard::Closed(3008) | Heard::End => break,
                other => panic!("expected a message, got {other:?}"),
            }
        }
        assert!(next > 0);
    }
    hall.slow.clear();
    hall.server.wait_until("nothing is held for them", |server| {
        let held = [Gauge::OutboxBytes, Gauge::SendingBytes].map(|gauge| server.level(gauge));
        held == [0, 0] && server.level(Gauge::Connections) == 5
    });
    hall.say();
}
