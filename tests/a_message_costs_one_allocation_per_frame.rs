//! A message is decoded and encoded with one allocation for each frame that its receivers share, and with none else. On its
//! way from command to delivery it costs three more: the content, which outlives the receive buffer, the record, which
//! log and rules share, and the ack, which is a frame too; one more if it has to be mailed to its conversation's home. An
//! `id` lies in place whatever its length, a name up to 24 bytes: the longest names cost four more, by mail five.

#[path = "common/allocations.rs"]
mod allocations;

use allocations::allocations;
use longwire::chat::{Config, Effects, Mail, Rates, ReadId, Rules};
use longwire::claims::Claims;
use longwire::clock::Now;
use longwire::frame::{Class, Frame, Frames};
use longwire::ids::{ConnId, ConversationId, Millis, PartitionId, Seq, SessionId, ShardId, UserName};
use longwire::log::{Epoch, Log, MemoryLog, Outcome, Record, Refused, Ticket};
use longwire::metrics::Counter;
use longwire::net::frame::{self, Opcode};
use longwire::route::Router;
use longwire::view::{Looks, MemoryView, Range, Recall, View};
use longwire::wire::{
    CloseCode, Command, Encoding, Event, Limits, Payload, PayloadKind, StoredMessage, Target,
};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

const FLAT: &str = r#"{"text":"grüße, 😀 and \"more\"","n":-2.5e3,"ok":null}"#;
/// An object or array in another one.
const NESTED: &str = r#"{"text":["grüße",{"n":1}],"more":{}}"#;

/// A field of Protobuf that has a length: its number, and what is in it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(number < 16 && content.len() < 128, "both fit in a byte");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

/// The same command in each encoding.
fn message(encoding: Encoding, to: &str, content: &str, id: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => {
            format!(r#"{{"type":"message","to":"{to}","message":{content},"id":"{id}"}}"#).into_bytes()
        }
        Encoding::Proto => {
            let message = [field(1, to.as_bytes()), field(4, content.as_bytes())].concat();
            [field(1, &message), field(15, id.as_bytes())].concat()
        }
    }
}

fn written(encoding: Encoding, event: &Event<'_>, scratch: &mut Vec<u8>) -> Frame {
    frame::begin(scratch);
    encoding.encode(event, scratch);
    Frame::new(frame::finish(scratch, Opcode::of_message(encoding.is_text())))
}

#[test]
fn a_message_costs_one_allocation_per_frame() {
    let [alice, bob] = ["alice", "bob"].map(|name| UserName::new(name).expect("a name"));
    let (conversation, target) = (ConversationId::private(&alice, &bob), Target::User(bob));
    let mut scratch = Vec::with_capacity(4096);
    for encoding in Encoding::ALL {
        let bytes = message(encoding, "bob", FLAT, "0123456789abcdef");
        let mut request = None;
        assert_eq!(allocations(|| request = encoding.decode(&bytes).ok()), 0, "decode {encoding:?}");
        let request = request.expect("a command");
        let Command::Message { target: to, payload } = &request.command else { panic!("{request:?}") };
        assert_eq!((to, payload.bytes), (&target, FLAT.as_bytes()));
        for kind in [PayloadKind::Json, PayloadKind::Text, PayloadKind::Bytes] {
            let event = Event::Message(StoredMessage {
                from: &alice,
                target: &target,
                payload: Payload { kind, bytes: payload.bytes },
                id: request.id.as_deref(),
                conversation: &conversation,
                seq: Seq((1 << 53) - 1),
                prev: Seq(1 << 40),
                time: Millis(1_750_000_000_000),
            });
            let cost = allocations(|| drop(black_box(written(encoding, &event, &mut scratch))));
            assert_eq!(cost, 1, "encode {kind:?} in {encoding:?}");
        }
    }
}

#[test]
fn nested_content_costs_the_stack_that_checks_it() {
    for encoding in Encoding::ALL {
        let bytes = message(encoding, "bob", NESTED, "1");
        assert_eq!(allocations(|| assert!(encoding.decode(&bytes).is_ok())), 1, "decode {encoding:?}");
    }
}

/// One shard's surroundings: a warm scratch buffer, the memory log and the memory view.
struct Core {
    spoken: [u32; Encoding::ALL.len()],
    scratch: Vec<u8>,
    log: MemoryLog,
    view: MemoryView,
    outcomes: Vec<Outcome>,
    activations: Vec<(ConversationId, Recall)>,
    mail: VecDeque<Mail>,
    sent: usize,
}

impl Effects for Core {
    fn encode(&mut self, event: &Event<'_>) -> Frames {
        Frames::of_spoken(self.spoken.map(|sessions| sessions > 0), |n| {
            self.encode_in(Encoding::ALL[n], event)
        })
    }

    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        written(encoding, event, &mut self.scratch)
    }

    fn session_begins(&mut self, encoding: Encoding) {
        self.spoken[encoding.index()] += 1;
    }

    fn session_ended(&mut self, encoding: Encoding) {
        self.spoken[encoding.index()] -= 1;
    }

    fn send(&mut self, _: ConnId, _: &Frame, _: Class) {
        self.sent += 1;
    }

    fn close(&mut self, _: ConnId, code: CloseCode, reason: &str) {
        panic!("{code:?} {reason}");
    }

    fn mail(&mut self, _: ShardId, mail: Mail) {
        self.mail.push_back(mail);
    }

    fn accepts(&self, _: ShardId) -> bool {
        true
    }

    fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused> {
        self.log.open(partition)?;
        self.log.append(partition, Epoch(1), record)
    }

    fn activate(&mut self, conversation: &ConversationId, recall: Recall) {
        self.activations.push((conversation.clone(), recall));
    }

    fn read(&mut self, _: ReadId, conversation: &ConversationId, _: Range) {
        panic!("nobody reads {conversation}");
    }

    fn survey(&mut self, _: ReadId, _: Arc<Looks>) {}

    fn count(&mut self, _: Counter) {}
}

const NOW: Now = Now { uptime: 0, wall: Millis(1_750_000_000_000) };

/// Two shards that hand each other their mail.
struct Pair {
    router: Router,
    shards: [(Rules, Core); 2],
    conns: u32,
}

impl Pair {
    fn new() -> Self {
        let router = Router::new([3; 16], 2);
        let shard = |shard: u16| {
            let config = Config {
                shard: ShardId(shard),
                router: router.clone(),
                limits: Limits { message_size: 1000, websocket_message_size: 65_536 },
                heartbeat_ms: 25_000,
                group_open: true,
                group_event_max_members: 0,
                group_max_members: 10,
                groups_per_user: 10,
                user_connection_limit: 10,
                fanout_slice: 128,
                idempotency_max_bytes: 1 << 20,
                idempotency_window_ms: 1 << 40,
                active_conversations_max: 10,
                users_max: 10,
                memberships_stored: false,
                message_size_limit: 1000,
                seqs_reserved: None,
                queue_max_size: 1 << 20,
                heads_max_bytes: 1 << 20,
                tails_max_bytes: 0,
                rates: Rates::default(),
            };
            let core = Core {
                spoken: [0; Encoding::ALL.len()],
                scratch: Vec::with_capacity(4096),
                log: MemoryLog::new(),
                view: MemoryView::new(1 << 20),
                outcomes: Vec::new(),
                activations: Vec::new(),
                mail: VecDeque::with_capacity(16),
                sent: 0,
            };
            (Rules::new(config, NOW), core)
        };
        Self { shards: [shard(0), shard(1)], router, conns: 0 }
    }

    /// The first user from `a` on whose home is `shard`, with a name of `size` bytes.
    fn user_on(&self, shard: u16, a: char, size: usize) -> UserName {
        let digits = size - 1;
        let mut names = (0..).map(|n| UserName::new(&format!("{a}{n:0>digits$}")).expect("a name"));
        names.find(|name| self.router.home_of_user(name).0 == shard).expect("each shard has some")
    }

    fn sign_in(&mut self, user: &UserName, encoding: Encoding) -> SessionId {
        let claims = Claims { user: user.clone(), expires: None, groups: Vec::new(), broadcast: false };
        let home = usize::from(self.router.home_of_user(user).0);
        self.conns += 1;
        let conn = ConnId { index: self.conns, generation: 0 };
        // What is spoken on one shard is on the other.
        self.shards[1 - home].1.session_begins(encoding);
        let (rules, core) = &mut self.shards[home];
        rules.sign_in(conn, encoding, claims, None, None, NOW, core).expect("there is room")
    }

    /// One message all the way.
    fn say(&mut self, session: SessionId, bytes: &[u8], encoding: Encoding) {
        let (rules, core) = &mut self.shards[usize::from(session.shard.0)];
        let request = encoding.decode(bytes).expect("a command");
        rules.command(session, request, NOW, core);
        while self.step() {}
    }

    /// Moves mail, activations and commits; tells whether there were any.
    fn step(&mut self) -> bool {
        let mut any = false;
        for at in 0..2 {
            while let Some(mail) = self.shards[at].1.mail.pop_front() {
                let (rules, core) = &mut self.shards[1 - at];
                rules.mail(ShardId(at as u16), mail, NOW, core);
                any = true;
            }
            let (rules, core) = &mut self.shards[at];
            while let Some((conversation, recall)) = core.activations.pop() {
                let activation = core.view.activate(&conversation, &recall);
                rules.activated(&conversation, activation, NOW, core);
                any = true;
            }
            let mut outcomes = std::mem::take(&mut core.outcomes);
            core.log.poll(&mut outcomes);
            core.view.follow(&mut core.log);
            for outcome in outcomes.drain(..) {
                rules.outcome(outcome, NOW, core);
                any = true;
            }
            core.outcomes = outcomes;
        }
        any
    }
}

/// Messages sent before counting, until what grows now and then has grown.
const WARM: usize = 2000;
const COUNTED: usize = 1000;
/// For what still grows now and then: tables, queues, a chunk of remembered ids (allocations in all that are counted).
const GROWTH: usize = 24;

/// The sizes of names and ids (bytes): what lies in place, an id as many clients make them, and the longest there are.
const SHORT: [usize; 2] = [10, 4];
const UUID: [usize; 2] = [10, 36];
const LONGEST: [usize; 2] = [64, 64];

/// What one message costs on its way, with sessions in these encodings; names are padded to `name` bytes, ids to `id`.
fn cost(homes: [u16; 2], sender: Encoding, receivers: &[Encoding], [name, id]: [usize; 2]) -> usize {
    let mut pair = Pair::new();
    // The conversation is at home with the first name, the receiver's.
    let [to, from] = [pair.user_on(homes[0], 'a', name), pair.user_on(homes[1], 'b', name)];
    let session = pair.sign_in(&from, sender);
    for encoding in receivers {
        pair.sign_in(&to, *encoding);
    }
    let command = |n: usize| message(sender, to.as_str(), FLAT, &format!("{n:0>id$}"));
    let commands: Vec<_> = (0..WARM + COUNTED).map(command).collect();
    let (warm, counted) = commands.split_at(WARM);
    warm.iter().for_each(|bytes| pair.say(session, bytes, sender));
    let sent = |pair: &Pair| pair.shards.iter().map(|(_, core)| core.sent).sum::<usize>();
    let before = sent(&pair);
    let all = allocations(|| counted.iter().for_each(|bytes| pair.say(session, bytes, sender)));
    assert_eq!(sent(&pair) - before, COUNTED * (1 + receivers.len()), "each has it, and the sender its ack");
    assert!(all % COUNTED <= GROWTH, "{all} allocations for {COUNTED} messages");
    all / COUNTED
}

#[test]
fn the_whole_way_costs_three_more() {
    let [json, proto] = Encoding::ALL;
    for (sender, receivers, frames) in [
        (json, &[json][..], 1),
        (json, &[json; 5], 1),
        (proto, &[proto, proto], 1),
        (json, &[proto], 2),
        (proto, &[proto, json, proto], 2),
    ] {
        for sizes in [SHORT, UUID] {
            let who = format!("{sender:?} to {receivers:?}, names and ids of {sizes:?} bytes");
            assert_eq!(cost([0, 0], sender, receivers, sizes), frames + 3, "{who}, on one shard");
            assert_eq!(cost([0, 1], sender, receivers, sizes), frames + 4, "{who}, by mail");
        }
        let costs = [[0, 0], [0, 1]].map(|homes| cost(homes, sender, receivers, LONGEST));
        assert_eq!(costs, [frames + 3 + 4, frames + 4 + 5], "{sender:?} to {receivers:?}, longest names");
    }
}
