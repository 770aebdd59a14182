//! A server of some shards in one thread: real rules, log, view and JSON; mail and commits move when a test says so.

use crate::chat::{Config, Effects, Mail, Rates, ReadId, Rules};
use crate::claims::Claims;
use crate::clock::Now;
use crate::frame::{Class, ENCODINGS, Frame, Frames};
use crate::ids::{
    ConnId, ConversationId, DeviceName, Millis, PARTITIONS, PartitionId, Seq, SessionId, ShardId, UserName,
};
use crate::log::{Epoch, Log, MemoryLog, Outcome, Record, Refused, Ticket};
use crate::metrics::{Counter, Counters};
use crate::route::Router;
use crate::view::{Looks, MemoryView, Range, Recall, View};
use crate::wire::{CloseCode, Encoding, Event, Limits};
use serde_json::Value;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// A wall clock some years after 2020.
pub(super) const START: Millis = Millis(1_750_000_000_000);

/// What all shards see.
#[derive(Default)]
pub(super) struct AllShells {
    /// Sessions by encoding.
    sessions: Cell<[u32; ENCODINGS]>,
    /// Frames written for many, by encoding.
    pub(super) written: Cell<[u32; ENCODINGS]>,
}

fn add(to: &Cell<[u32; ENCODINGS]>, encoding: Encoding, n: i32) {
    let mut counts = to.get();
    counts[encoding.index()] = counts[encoding.index()].strict_add_signed(n);
    to.set(counts);
}

/// One shard's surroundings.
pub(super) struct Shell {
    shards: u16,
    log: MemoryLog,
    pub(super) view: MemoryView,
    pub(super) outbox: VecDeque<(ShardId, Mail)>,
    activations: Vec<(ConversationId, Recall)>,
    reads: Vec<(ReadId, ConversationId, Range)>,
    surveys: Vec<(ReadId, Arc<Looks>)>,
    /// How often the view was asked for a page or a survey.
    pub(super) asked: u32,
    /// How often a conversation was activated.
    pub(super) activated: u32,
    pub(super) inbox: HashMap<ConnId, Vec<Value>>,
    pub(super) closed: Vec<(ConnId, CloseCode)>,
    pub(super) counters: Counters,
    pub(super) sends: u32,
    /// What the log says instead of committing.
    pub(super) fate: Option<fn(Ticket) -> Outcome>,
    pub(super) log_full: bool,
    pub(super) accepting: bool,
    pub(super) mailed: u32,
    /// Every frame sent, to whom.
    pub(super) frames: Vec<(ConnId, Frame)>,
    all: Rc<AllShells>,
    given: HashMap<ConversationId, Seq>,
}

impl Shell {
    fn new(shards: u16, shard: u16, all: Rc<AllShells>) -> Self {
        let mut log = MemoryLog::new();
        for partition in (0..PARTITIONS).filter(|p| u16::from(*p) % shards == shard) {
            log.open(PartitionId(partition)).unwrap();
        }
        Self {
            shards,
            log,
            view: MemoryView::new(1 << 20),
            outbox: VecDeque::new(),
            activations: Vec::new(),
            reads: Vec::new(),
            surveys: Vec::new(),
            asked: 0,
            activated: 0,
            inbox: HashMap::new(),
            closed: Vec::new(),
            counters: Counters::default(),
            sends: 0,
            fate: None,
            log_full: false,
            accepting: true,
            mailed: 0,
            frames: Vec::new(),
            all,
            given: HashMap::new(),
        }
    }
}

impl Effects for Shell {
    fn encode(&mut self, event: &Event<'_>) -> Frames {
        let spoken = self.all.sessions.get().map(|sessions| sessions > 0);
        Frames::of_spoken(spoken, |n| {
            add(&self.all.written, Encoding::ALL[n], 1);
            self.encode_in(Encoding::ALL[n], event)
        })
    }

    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        let mut bytes = Vec::new();
        encoding.encode(event, &mut bytes);
        Frame::new(&bytes)
    }

    fn session_begins(&mut self, encoding: Encoding) {
        add(&self.all.sessions, encoding, 1);
    }

    fn session_ended(&mut self, encoding: Encoding) {
        add(&self.all.sessions, encoding, -1);
    }

    fn send(&mut self, conn: ConnId, frame: &Frame, _class: Class) {
        self.sends += 1;
        self.frames.push((conn, frame.clone()));
        // What is not JSON shows as null.
        let event = serde_json::from_slice(frame.bytes()).unwrap_or_default();
        self.inbox.entry(conn).or_default().push(event);
    }

    fn close(&mut self, conn: ConnId, code: CloseCode, _reason: &str) {
        self.closed.push((conn, code));
    }

    fn mail(&mut self, to: ShardId, mail: Mail) {
        assert!(to.0 < self.shards);
        self.mailed += 1;
        self.outbox.push_back((to, mail));
    }

    fn accepts(&self, _to: ShardId) -> bool {
        self.accepting
    }

    fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused> {
        if self.log_full {
            return Err(Refused::Full);
        }
        if let Record::Message(message) = &record {
            let given = self.given.insert(message.conversation.clone(), message.seq);
            assert!(given < Some(message.seq), "no number is given twice");
        }
        self.log.append(partition, Epoch(1), record)
    }

    fn activate(&mut self, conversation: &ConversationId, recall: Recall) {
        self.activated += 1;
        self.activations.push((conversation.clone(), recall));
    }

    fn read(&mut self, read: ReadId, conversation: &ConversationId, range: Range) {
        self.asked += 1;
        self.reads.push((read, conversation.clone(), range));
    }

    fn survey(&mut self, read: ReadId, looks: Arc<Looks>) {
        self.asked += 1;
        self.surveys.push((read, looks));
    }

    fn count(&mut self, counter: Counter) {
        self.counters.count(counter);
    }
}

/// A signed-in connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Client {
    pub(super) conn: ConnId,
    pub(super) session: SessionId,
}

pub(super) struct World {
    pub(super) rules: Vec<Rules>,
    pub(super) shells: Vec<Shell>,
    pub(super) all: Rc<AllShells>,
    pub(super) router: Router,
    pub(super) now: Now,
    conns: u32,
}

pub(super) fn claims(user: &str) -> Claims {
    Claims { user: UserName::new(user).unwrap(), expires: None, groups: Vec::new(), broadcast: true }
}

impl World {
    pub(super) fn new(shards: u16) -> Self {
        Self::with(shards, |_| {})
    }

    pub(super) fn with(shards: u16, change: impl Fn(&mut Config)) -> Self {
        let router = Router::new([9; 16], shards);
        let now = Now { uptime: 0, wall: START };
        let rules = router.all().map(|shard| {
            let mut config = Config {
                shard,
                router: router.clone(),
                limits: Limits { message_size: 1000, websocket_message_size: 65_536 },
                heartbeat_ms: 25_000,
                group_open: true,
                group_event_max_members: 3,
                group_max_members: 100,
                groups_per_user: 10,
                user_connection_limit: 4,
                fanout_slice: 128,
                idempotency_max_bytes: 1 << 20,
                idempotency_window_ms: 3_600_000,
                active_conversations_max: 100,
                users_max: 100,
                memberships_stored: false,
                message_size_limit: 1000,
                seqs_reserved: None,
                queue_max_size: 1 << 20,
                heads_max_bytes: 1 << 20,
                tails_max_bytes: 0,
                rates: Rates::default(),
            };
            change(&mut config);
            Rules::new(config, now)
        });
        let rules = rules.collect();
        let all = Rc::<AllShells>::default();
        let shells = (0..shards).map(|shard| Shell::new(shards, shard, Rc::clone(&all))).collect();
        Self { rules, shells, all, router, now, conns: 0 }
    }

    /// Signs in; none if the connection was closed instead.
    pub(super) fn try_sign_in(&mut self, claims: Claims, device: Option<&str>) -> Option<Client> {
        self.try_sign_in_as(Encoding::Json, claims, device)
    }

    /// Signs in a session of this encoding.
    pub(super) fn try_sign_in_as(
        &mut self,
        encoding: Encoding,
        claims: Claims,
        device: Option<&str>,
    ) -> Option<Client> {
        let home = self.router.home_of_user(&claims.user);
        let at = usize::from(home.0);
        let conn = ConnId { index: self.conns, generation: 0 };
        self.conns += 1;
        let device = device.map(|device| DeviceName::new(device).unwrap());
        let session = self.rules[at].sign_in(
            conn,
            encoding,
            claims,
            device,
            Some("hello"),
            self.now,
            &mut self.shells[at],
        )?;
        Some(Client { conn, session })
    }

    /// Signs in a session and forgets the answer.
    pub(super) fn sign_in(&mut self, user: &str) -> Client {
        let client = self.try_sign_in(claims(user), None).unwrap();
        self.settle();
        assert_eq!(self.take(client)[0]["type"], "authenticated");
        client
    }

    /// Hands in a command without moving anything else.
    pub(super) fn post(&mut self, client: Client, command: &str) {
        let at = usize::from(client.session.shard.0);
        let request = Encoding::Json.decode(command.as_bytes()).unwrap();
        self.rules[at].command(client.session, request, self.now, &mut self.shells[at]);
    }

    /// Hands in a command and settles.
    pub(super) fn send(&mut self, client: Client, command: &str) {
        self.post(client, command);
        self.settle();
    }

    /// Hands in a command, settles, and takes what its sender got: one event.
    pub(super) fn ask(&mut self, client: Client, command: &str) -> Value {
        self.send(client, command);
        let mut got = self.take(client);
        assert_eq!(got.len(), 1, "{command}: {got:?}");
        got.remove(0)
    }

    pub(super) fn close(&mut self, client: Client) {
        let at = usize::from(client.session.shard.0);
        self.rules[at].closed(client.session, self.now, &mut self.shells[at]);
    }

    /// What a client got since it was last asked.
    pub(super) fn take(&mut self, client: Client) -> Vec<Value> {
        self.shells[usize::from(client.session.shard.0)].inbox.remove(&client.conn).unwrap_or_default()
    }

    /// The types of what a client got.
    pub(super) fn types(&mut self, client: Client) -> Vec<String> {
        self.take(client).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Delivers the mail written so far; tells whether there was any.
    pub(super) fn deliver(&mut self) -> bool {
        let mut any = false;
        for from in 0..self.rules.len() {
            for (to, mail) in std::mem::take(&mut self.shells[from].outbox) {
                any = true;
                let (at, from) = (usize::from(to.0), ShardId(from as u16));
                assert_ne!(to, from, "no mail to oneself");
                self.rules[at].mail(from, mail, self.now, &mut self.shells[at]);
            }
        }
        any
    }

    /// Answers activations and reads; tells whether there were any.
    pub(super) fn look(&mut self) -> bool {
        let mut any = false;
        for (rules, shell) in self.rules.iter_mut().zip(&mut self.shells) {
            for (conversation, recall) in std::mem::take(&mut shell.activations) {
                any = true;
                let activation = shell.view.activate(&conversation, &recall);
                rules.activated(&conversation, activation, self.now, shell);
            }
            for (read, conversation, range) in std::mem::take(&mut shell.reads) {
                any = true;
                let page = shell.view.read(&conversation, range);
                rules.page(read, &page, self.now, shell);
            }
            for (read, looks) in std::mem::take(&mut shell.surveys) {
                any = true;
                let found = shell.view.survey(&looks);
                rules.surveyed(read, found, self.now, shell);
            }
        }
        any
    }

    /// Commits what was appended, or whatever the fate is; tells whether there was any.
    pub(super) fn commit(&mut self) -> bool {
        let mut any = false;
        for (rules, shell) in self.rules.iter_mut().zip(&mut self.shells) {
            let mut outcomes = Vec::new();
            shell.log.poll(&mut outcomes);
            let (applied, failing) = (shell.view.applied(), shell.fate.is_some());
            let view = &mut shell.view;
            shell.log.feed(applied, &mut |position, record| {
                if !failing {
                    view.apply(position, record);
                }
            });
            shell.log.trim(shell.log.head());
            for outcome in outcomes {
                any = true;
                let outcome = match (outcome, shell.fate) {
                    (Outcome::Committed(ticket, ..), Some(fate)) => fate(ticket),
                    _ => outcome,
                };
                rules.outcome(outcome, self.now, shell);
            }
        }
        any
    }

    /// One slice of fan-out on every shard; tells whether work is left.
    pub(super) fn turn(&mut self) -> bool {
        let mut left = false;
        for (rules, shell) in self.rules.iter_mut().zip(&mut self.shells) {
            left |= rules.turn(self.now, shell) | !shell.outbox.is_empty();
        }
        left
    }

    /// Moves everything until nothing is left.
    pub(super) fn settle(&mut self) {
        while self.deliver() | self.look() | self.commit() | self.turn() {
            self.rules.iter().for_each(Rules::invariants);
        }
        self.rules.iter().for_each(Rules::invariants);
    }

    /// Lets time pass, and everything in it happen.
    pub(super) fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(50) {
            self.now.uptime += 50;
            self.now.wall.0 += 50;
            self.turn();
            self.settle();
        }
    }

    /// How often the view was asked for pages and surveys.
    pub(super) fn asked(&self) -> u32 {
        self.shells.iter().map(|shell| shell.asked).sum()
    }

    /// How often a conversation was activated.
    pub(super) fn activated(&self) -> u32 {
        self.shells.iter().map(|shell| shell.activated).sum()
    }

    /// All counters together.
    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.shells.iter().map(|shell| shell.counters.get(counter)).sum()
    }
}

/// A user's name.
pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}
