//! When a shard does not drain its mailbox, mail for it waits at its sender, in order and within a bound; typing is
//! dropped at once, messages only past the bound, and then every session of that shard is told to `resync`.

use longwire::chat::{Config, Effects, Mail, Rates, ReadId, Rules};
use longwire::claims::Claims;
use longwire::clock::Now;
use longwire::frame::{Class, Frame, Frames, Topic};
use longwire::ids::{
    ConnId, ConversationId, GroupName, Millis, PartitionId, Seq, SessionId, ShardId, UserName,
};
use longwire::limits::{BATCH_MAILS, MAILBOX_BATCHES, SPILL_MAILS};
use longwire::log::{Record, Refused, Ticket};
use longwire::metrics::{Counter, Counters};
use longwire::route::Router;
use longwire::shard::mailbox::{Batch, Envelope, Mailbox, Mailroom};
use longwire::view::{Looks, Range, Recall};
use longwire::wire::{CloseCode, Encoding, Event, Limits};
use std::sync::Arc;

const SLOW: ShardId = ShardId(1);

fn frames() -> Frames {
    Frames::of_all(|_| Frame::new(b"x"))
}

fn group() -> GroupName {
    GroupName::new("g").expect("a name")
}

fn user(name: &str) -> UserName {
    UserName::new(name).expect("a name")
}

/// A stored message: may be missed, once it is told.
fn message(n: u64) -> Envelope {
    let (group, sender) = (group(), SessionId { shard: ShardId(0), index: 0, generation: 0 });
    Envelope::Chat(Mail::Group { group, seq: Seq(n), sender, frames: frames(), ack: None })
}

/// A membership: never lost.
fn joined(n: u64) -> Envelope {
    let (group, user) = (group(), user("u"));
    Envelope::Chat(Mail::Joined { group, user, since: Seq(n), answer: None })
}

fn typing() -> Envelope {
    Envelope::Chat(Mail::Notice { to: user("u"), topic: Topic::new(0), frames: frames() })
}

/// The numbers of the mails in a box, which is empty afterwards.
fn drain(mailbox: &Mailbox, numbers: &mut Vec<u64>) -> usize {
    let before = numbers.len();
    let mut batches = Vec::new();
    mailbox.take(&mut batches);
    for batch in batches {
        let Batch::Mails(from, mails) = batch else { panic!("nobody asked anything") };
        assert_eq!(from, ShardId(0));
        assert!(mails.len() <= BATCH_MAILS);
        for mail in mails {
            match mail {
                Envelope::Chat(Mail::Group { seq, .. } | Mail::Joined { since: seq, .. }) => {
                    numbers.push(seq.0);
                }
                other => panic!("it should have been dropped: {other:?}"),
            }
        }
    }
    numbers.len() - before
}

#[test]
fn full_mailbox_spills_and_then_resyncs() {
    let (_own, own) = Mailbox::new().unwrap();
    let (slow, address) = Mailbox::new().unwrap();
    let mut room = Mailroom::new(ShardId(0), vec![own, address]);
    let mut counters = Counters::default();
    let mut sent = 0..;
    let mut post = |room: &mut Mailroom, counters: &mut Counters, mail: fn(u64) -> Envelope| {
        let number = sent.next().unwrap();
        room.post(SLOW, mail(number), counters);
        number
    };
    // Each turn sends one batch, as long as they fit.
    for _ in 0..MAILBOX_BATCHES {
        post(&mut room, &mut counters, message);
        room.flush(&mut counters);
        assert!(!room.is_spilling() && room.accepts(SLOW));
    }
    assert_eq!(slow.depth(), MAILBOX_BATCHES);
    // From here on mail waits; typing does not.
    for n in 0..SPILL_MAILS {
        assert!(room.accepts(SLOW), "{n} mails are within the bound");
        post(&mut room, &mut counters, if n % 2 == 0 { message } else { joined });
        room.post(SLOW, typing(), &mut counters);
        if n % 100 == 0 {
            room.flush(&mut counters);
        }
    }
    room.flush(&mut counters);
    assert_eq!((room.spilled(), room.is_spilling()), (SPILL_MAILS, true));
    assert_eq!(counters.get(Counter::MailDropped), SPILL_MAILS as u64);
    assert_eq!((counters.get(Counter::MailMissed), slow.bell().take_missed()), (0, false));
    // At the bound: no new commands, messages are missed, what may not be lost is not.
    assert!(!room.accepts(SLOW) && room.accepts(ShardId(0)));
    let lost = post(&mut room, &mut counters, message);
    let last = post(&mut room, &mut counters, joined);
    assert_eq!(counters.get(Counter::MailMissed), 1);
    assert!(slow.bell().take_missed() && !slow.bell().take_missed(), "told once");
    // The slow shard drains again: everything else arrives, in order.
    let mut numbers = Vec::new();
    while drain(&slow, &mut numbers) > 0 {
        room.flush(&mut counters);
    }
    assert_eq!(numbers, (0..=last).filter(|n| *n != lost).collect::<Vec<_>>());
    assert!(!room.is_spilling() && room.accepts(SLOW));
    post(&mut room, &mut counters, message);
    room.flush(&mut counters);
    assert_eq!(drain(&slow, &mut numbers), 1);
}

/// Keeps what was sent to whom.
#[derive(Default)]
struct Sent(Vec<(ConnId, String)>);

impl Effects for Sent {
    fn encode(&mut self, event: &Event<'_>) -> Frames {
        Frames::of_all(|n| self.encode_in(Encoding::ALL[n], event))
    }

    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        let mut bytes = Vec::new();
        encoding.encode(event, &mut bytes);
        Frame::new(&bytes)
    }

    fn session_begins(&mut self, _: Encoding) {}

    fn session_ended(&mut self, _: Encoding) {}

    fn send(&mut self, conn: ConnId, frame: &Frame, _class: Class) {
        self.0.push((conn, String::from_utf8_lossy(frame.bytes()).into_owned()));
    }

    fn close(&mut self, _: ConnId, code: CloseCode, reason: &str) {
        panic!("{code:?} {reason}");
    }

    fn mail(&mut self, _: ShardId, mail: Mail) {
        panic!("{mail:?}");
    }

    fn accepts(&self, _: ShardId) -> bool {
        true
    }

    fn append(&mut self, _: PartitionId, _: Record) -> Result<Ticket, Refused> {
        Err(Refused::Full)
    }

    fn activate(&mut self, _: &ConversationId, _: Recall) {}

    fn read(&mut self, _: ReadId, _: &ConversationId, _: Range) {}

    fn survey(&mut self, _: ReadId, _: Arc<Looks>) {}

    fn count(&mut self, _: Counter) {}
}

#[test]
fn missed_mail_makes_every_session_resync_once() {
    const SLICE: u32 = 16;
    const SESSIONS: u32 = 100;
    let config = Config {
        shard: SLOW,
        router: Router::new([0; 16], 2),
        limits: Limits { message_size: 1024, websocket_message_size: 2048 },
        heartbeat_ms: 25_000,
        group_open: true,
        group_event_max_members: 0,
        group_max_members: 10,
        groups_per_user: 10,
        user_connection_limit: 10,
        fanout_slice: SLICE,
        idempotency_max_bytes: 1 << 16,
        idempotency_window_ms: 1000,
        active_conversations_max: 10,
        users_max: 1000,
        memberships_stored: false,
        message_size_limit: 1024,
        seqs_reserved: None,
        queue_max_size: 1 << 20,
        heads_max_bytes: 1 << 20,
        tails_max_bytes: 0,
        rates: Rates::default(),
    };
    let now = Now { uptime: 0, wall: Millis(1_750_000_000_000) };
    let (mut rules, mut sent) = (Rules::new(config, now), Sent::default());
    for index in 0..SESSIONS {
        let claims = Claims {
            user: user(&format!("user{index}")),
            expires: None,
            groups: Vec::new(),
            broadcast: false,
        };
        let conn = ConnId { index, generation: 0 };
        assert!(rules.sign_in(conn, Encoding::Json, claims, None, None, now, &mut sent).is_some());
    }
    sent.0.clear();
    rules.missed();
    rules.missed();
    let mut turns = 0;
    while rules.turn(now, &mut sent) {
        turns += 1;
        rules.invariants();
        assert!(sent.0.len() as u32 <= (turns + 1) * SLICE, "it is told in slices");
    }
    let mut told: Vec<u32> = sent.0.iter().map(|(conn, _)| conn.index).collect();
    told.sort_unstable();
    assert_eq!(told, (0..SESSIONS).collect::<Vec<_>>());
    assert!(sent.0.iter().all(|(_, text)| text == r#"{"type":"resync"}"#), "{:?}", sent.0[0]);
}
