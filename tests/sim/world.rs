//! The world: takes one random step after another, then lets everything come to rest and looks at what must hold.

mod checks;
mod entering;
mod keeping;

use crate::client::{Client, Seen};
use crate::host::{Host, may_be_lost};
use crate::scribe::SharedScribe;
use crate::truth::{Name, Shared, Truth};
use entering::Entering;
use longwire::chat::{Config, Mail, Rates, Rules};
use longwire::clock::{EPOCH_2020, Now};
use longwire::frame::{ENCODINGS, Frames};
use longwire::ids::{ConversationId, Millis, Parties, SEQS_PER_MS, Seq, ShardId, UserName};
use longwire::limits::FANOUT_TOGETHER;
use longwire::log::Outcome;
use longwire::route::Router;
use longwire::view::View;
use longwire::wire::{Encoding, Limits};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::rc::Rc;

/// Sessions of one user.
const USER_CONNECTIONS: u32 = 3;

/// How much happens.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    users: u32,
    groups: u32,
    steps: u32,
    /// The server keeps what it was told, and crashes and starts again.
    crashes: bool,
}

impl Size {
    pub(crate) const SMALL: Self = Self { users: 4, groups: 2, steps: 3000, crashes: false };
    pub(crate) const LARGE: Self = Self { users: 12, groups: 4, steps: 6000, crashes: false };

    /// The same with a store, which outlives crashes and may fail to read.
    pub(crate) const fn with_crashes(self) -> Self {
        Self { crashes: true, ..self }
    }
}

/// A message that was sent with an id, to be sent again.
struct Sent {
    user: String,
    text: String,
    id: String,
    number: u64,
}

pub(crate) struct World {
    rng: StdRng,
    size: Size,
    router: Router,
    truth: Shared,
    rules: Vec<Rules>,
    hosts: Vec<Host>,
    clients: Vec<Client>,
    now: Now,
    number: u64,
    sent: Vec<Sent>,
    /// Deliveries lost on their way to a shard: its sessions are excused and told to `resync`.
    lost: HashSet<(ShardId, Name)>,
    fanout_slice: u32,
    config: Config,
    entering: Vec<Entering>,
    /// Reads of the store fail now and then; then appends do not, since nobody asks again about those whose outcome is unknown.
    reads_fail: bool,
    scribe: SharedScribe,
    /// How probably a session speaks an encoding other than the first.
    share: f64,
    seen: Seen,
}

impl World {
    pub(crate) fn new(shards: u16, seed: u64, size: Size) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let router = Router::new(rng.random(), shards);
        let truth: Shared = Rc::default();
        let now = Now { uptime: 0, wall: Millis(1_750_000_000_000) };
        let fanout_slice = rng.random_range(1..6);
        let config = Config {
            shard: ShardId(0),
            router: router.clone(),
            limits: Limits { message_size: 1000, websocket_message_size: 65_536 },
            heartbeat_ms: 25_000,
            group_open: true,
            group_event_max_members: 3,
            group_max_members: size.users - 1,
            groups_per_user: size.groups - 1,
            user_connection_limit: USER_CONNECTIONS,
            fanout_slice,
            idempotency_max_bytes: 1 << 20,
            idempotency_window_ms: 1 << 40,
            active_conversations_max: 4,
            users_max: 100,
            memberships_stored: size.crashes,
            message_size_limit: 1000,
            seqs_reserved: None,
            queue_max_size: 1 << 20,
            heads_max_bytes: 1 << 20,
            tails_max_bytes: if seed.is_multiple_of(2) { 1 << 16 } else { 0 },
            rates: Rates::default(),
        };
        let scribe = SharedScribe::default();
        let host = |shard| Host::new(shard, router.clone(), Rc::clone(&truth), Rc::clone(&scribe));
        // In a third of the runs few speak the encoding that is not everybody's: it comes and goes.
        let share = if seed.is_multiple_of(3) { 0.05 } else { 0.5 };
        let hosts = router.all().map(host).collect();
        let mut world = Self {
            rules: Vec::new(),
            hosts,
            reads_fail: size.crashes && rng.random_bool(0.5),
            rng,
            config,
            entering: Vec::new(),
            size,
            router,
            truth,
            clients: Vec::new(),
            now,
            number: 0,
            sent: Vec::new(),
            lost: HashSet::new(),
            fanout_slice,
            share,
            scribe,
            seen: Seen::default(),
        };
        world.begin();
        world
    }

    /// A server begins: it knows nothing but what is stored.
    fn begin(&mut self) {
        if self.size.crashes {
            let clock = self.now.wall.0.saturating_sub(EPOCH_2020.0) * SEQS_PER_MS;
            self.config.seqs_reserved = Some(self.truth.borrow().highest().max(Seq(clock)));
        }
        let rules = |shard| Rules::new(Config { shard, ..self.config.clone() }, self.now);
        self.rules = self.router.all().map(rules).collect();
    }

    /// The server is gone, and another begins. Of what was queued a first part has come to be stored; nobody was told.
    fn crash(&mut self) {
        for host in &mut self.hosts {
            host.crash(&mut self.rng);
        }
        self.note_expected();
        for client in &mut self.clients {
            client.alive = false;
        }
        self.entering.clear();
        self.delete();
        self.scribe.borrow_mut().crashed();
        self.seen.crashes += 1;
        self.begin();
    }

    pub(crate) fn run(&mut self) -> Seen {
        for _ in 0..self.size.steps {
            if self.size.crashes && self.rng.random_bool(0.003) {
                self.crash();
            }
            match self.rng.random_range(0..100) {
                0..35 => self.deliver(),
                35..50 => self.poll(true),
                50..58 => self.look(),
                58..72 => self.turn(),
                72..74 => self.pass_time(),
                74..78 => self.sign_in(),
                78..80 => self.close(),
                80..82 => self.trim(),
                _ => self.command(),
            }
            self.after_step();
        }
        self.rest();
        self.check_deliveries();
        self.check_no_gap();
        for n in 0..self.clients.len() {
            self.end(n);
        }
        self.rest();
        self.check_nothing_is_left();
        let truth = self.truth.borrow();
        (self.seen.trimmed, self.seen.deleted) = (truth.trimmed, truth.deleted);
        self.seen.unencoded = self.hosts.iter().map(|host| host.unencoded).sum();
        self.seen
    }

    fn shard(&mut self) -> usize {
        self.rng.random_range(0..self.rules.len())
    }

    fn deliver(&mut self) {
        let (from, to) = (self.shard(), self.shard());
        let lossy = self.rng.random_bool(0.01);
        self.deliver_one(from, to, lossy);
    }

    fn deliver_one(&mut self, from: usize, to: usize, lossy: bool) -> bool {
        let Some(mail) = self.hosts[from].links[to].pop_front() else { return false };
        self.hosts[from].arrived[to] += 1;
        if lossy && may_be_lost(&mail) {
            self.lose(to, &mail);
        } else {
            self.note_unencoded(to, &mail);
            self.rules[to].mail(ShardId(from as u16), mail, self.now, &mut self.hosts[to]);
        }
        true
    }

    fn lose(&mut self, to: usize, mail: &Mail) {
        let (Mail::Private { frames, .. } | Mail::Group { frames, .. }) = mail else { return };
        let shard = ShardId(to as u16);
        if let Some(name) = self.name(frames) {
            self.lost.insert((shard, name));
        }
        self.rules[to].missed();
        for client in self.clients.iter_mut().filter(|client| client.alive && client.session.shard == shard) {
            client.owed_after = Some(client.resyncs);
        }
    }

    /// Which message it is. Without a frame there was nobody to read it.
    fn name(&self, frames: &Frames) -> Option<Name> {
        let scribe = self.scribe.borrow();
        let (_, event) = scribe.read((0..ENCODINGS).find_map(|n| frames.get(n))?);
        let conversation = ConversationId::parse(event["conversation"].as_str().unwrap()).unwrap();
        Some((conversation, event["seq"].as_u64().unwrap()))
    }

    /// A message for someone who came after it was written, and in whose encoding it was not: a `resync` is owed, one
    /// for all of them, since they were stored before.
    fn note_unencoded(&mut self, to: usize, mail: &Mail) {
        let (Mail::Private { frames, sender, .. } | Mail::Group { frames, sender, .. }) = mail else {
            return;
        };
        let name = match mail {
            Mail::Group { group, seq, .. } => Some((ConversationId::group(group), seq.0)),
            _ => self.name(frames),
        };
        let truth = self.truth.borrow();
        for client in self.clients.iter_mut().filter(|client| client.alive && client.session != *sender) {
            let here = client.session.shard == ShardId(to as u16);
            if !here || frames.get(client.encoding.index()).is_some() {
                continue;
            }
            let order = name.as_ref().map_or(0, |name| truth.messages[name].order);
            assert!(order <= client.came_at, "what lacks its encoding was stored before it came");
            match mail {
                Mail::Private { to, from, .. } => {
                    let names = [to, from].map(|user| user.as_ref().map(UserName::as_str));
                    if names.contains(&Some(&client.user)) {
                        client.came_late(None);
                        self.seen.late_private += 1;
                    }
                }
                Mail::Group { group, .. } => {
                    if truth.was_member(group.as_str(), &client.user, order) {
                        client.came_late(Some((group.clone(), order)));
                        self.seen.late_group += 1;
                    }
                }
                _ => unreachable!("only messages have frames of which one can lack"),
            }
        }
    }

    fn poll(&mut self, failing: bool) {
        let at = self.shard();
        let failing = failing && !self.reads_fail && self.rng.random_bool(0.1);
        self.poll_one(at, failing);
    }

    fn poll_one(&mut self, at: usize, failing: bool) -> bool {
        let outcomes: Vec<Outcome> = self.hosts[at].poll(&mut self.rng, failing);
        self.note_expected();
        for outcome in &outcomes {
            self.rules[at].outcome(*outcome, self.now, &mut self.hosts[at]);
        }
        !outcomes.is_empty()
    }

    /// Notes who must get what was just committed.
    fn note_expected(&mut self) {
        let mut truth = self.truth.borrow_mut();
        let Truth { messages, fresh, .. } = &mut *truth;
        for name in fresh.drain(..) {
            let home = self.router.home_of_conversation(&name.0);
            let is_there = |client: &Client| match name.0.parties() {
                Parties::Private(a, b) => client.user == a || client.user == b,
                // The group's home must have heard that somebody is there.
                Parties::Group(_) => {
                    let (at, to) = (usize::from(client.session.shard.0), usize::from(home.0));
                    client.session.shard == home || self.hosts[at].arrived[to] >= client.known_after[to]
                }
            };
            let there = self.clients.iter().enumerate();
            let there = there.filter(|(_, client)| client.alive && is_there(client)).map(|(n, _)| n as u32);
            messages.get_mut(&name).unwrap().expected = there.collect();
        }
    }

    fn look(&mut self) {
        let at = self.shard();
        self.look_one(at, self.reads_fail);
    }

    fn look_one(&mut self, at: usize, failing: bool) -> bool {
        let host = &mut self.hosts[at];
        let mut later = Vec::new();
        let (activations, reads) = (std::mem::take(&mut host.activations), std::mem::take(&mut host.reads));
        let surveys = std::mem::take(&mut host.surveys);
        let mut any = !activations.is_empty() || !reads.is_empty() || !surveys.is_empty();
        for (conversation, recall) in activations {
            let activation = self.hosts[at].view.activate(&conversation, &recall);
            let host = &mut self.hosts[at];
            match self.rng.random_range(0..10) {
                0 if failing => self.rules[at].not_activated(&conversation, self.now, host),
                // Reads overtake one another.
                1..4 if failing => later.push((conversation, recall)),
                _ => self.rules[at].activated(&conversation, activation, self.now, host),
            }
        }
        self.hosts[at].activations.extend(later);
        for (read, conversation, range) in reads {
            let page = self.hosts[at].view.read(&conversation, range);
            if failing && self.rng.random_bool(0.1) {
                self.rules[at].no_page(read, &mut self.hosts[at]);
            } else {
                self.rules[at].page(read, &page, self.now, &mut self.hosts[at]);
            }
        }
        for (read, looks) in surveys {
            let found = self.hosts[at].view.survey(&looks);
            self.rules[at].surveyed(read, found, self.now, &mut self.hosts[at]);
        }
        any |= self.let_in(at, failing);
        any
    }

    fn turn(&mut self) {
        let at = self.shard();
        self.turn_one(at);
    }

    fn turn_one(&mut self, at: usize) -> bool {
        self.hosts[at].slice = 0;
        let more = self.rules[at].turn(self.now, &mut self.hosts[at]);
        // The last member it comes to gets all that is brought together, and a receipt goes to all sessions of a user at once.
        let most = self.fanout_slice + (FANOUT_TOGETHER as u32 - 1).max(USER_CONNECTIONS);
        assert!(self.hosts[at].slice <= most, "a turn sends no more than its slice");
        more
    }

    fn pass_time(&mut self) {
        self.now.uptime += 100;
        // The wall clock is set back now and then.
        let step = self.rng.random_range(0..2000);
        self.now.wall.0 =
            if self.rng.random_bool(0.1) { self.now.wall.0 - step } else { self.now.wall.0 + step };
    }

    fn user(&mut self) -> String {
        format!("u{}", self.rng.random_range(0..self.size.users))
    }

    fn group(&mut self) -> String {
        format!("g{}", self.rng.random_range(0..self.size.groups))
    }

    fn alive(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.clients.len()).filter(|n| self.clients[*n].alive).collect();
        (!alive.is_empty()).then(|| alive[self.rng.random_range(0..alive.len())])
    }

    fn close(&mut self) {
        if let Some(n) = self.alive() {
            self.end(n);
        }
    }

    fn end(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if std::mem::take(&mut client.alive) {
            let at = usize::from(client.session.shard.0);
            self.rules[at].closed(client.session, self.now, &mut self.hosts[at]);
        }
    }

    fn command(&mut self) {
        let Some(n) = self.alive() else { return };
        self.number += 1;
        let (number, group) = (self.number, self.group());
        let id = self.rng.random_bool(0.7).then(|| format!("i{number}"));
        let with_id = id.as_ref().map_or(String::new(), |id| format!(r#","id":"{id}""#));
        let target = if self.rng.random_bool(0.6) {
            format!(r#""group":"{group}""#)
        } else {
            format!(r#""to":"{}""#, self.user())
        };
        let rest = match self.rng.random_range(0..100) {
            0..55 => {
                let text = format!(r#"{{"type":"message",{target},"message":{{"n":{number}}}{with_id}}}"#);
                if let Some(id) = &id {
                    let (user, text) = (self.clients[n].user.clone(), text.clone());
                    self.sent.push(Sent { user, text, id: id.clone(), number });
                }
                self.clients[n].wrote.insert(number);
                return self.post(n, id, &text);
            }
            55..67 => return self.send_again(n),
            67..78 => format!(r#""joinGroup","group":"{group}""#),
            78..82 => format!(r#""leaveGroup","group":"{group}""#),
            82..86 => format!(r#""typing",{target}"#),
            86..89 => format!(r#""members","group":"{group}""#),
            89..91 => format!(r#""history","conversation":"g:{group}","limit":5"#),
            91..93 => format!(r#""history","conversation":"g:{group}","after":0,"limit":5"#),
            93..94 => r#""history","conversation":"u:u0:u1","limit":5"#.to_owned(),
            94..96 => self.sync(n),
            96..97 => self.cursor(n),
            97..98 => r#""message","message":"to everyone""#.to_owned(),
            _ => r#""ping""#.to_owned(),
        };
        // These are not answered, except by an error.
        let unanswered = ["\"typing\"", "\"received\"", "\"read\""];
        let id = id.filter(|_| !unanswered.iter().any(|name| rest.starts_with(name)));
        // What pages may say depends on when they were asked for.
        let pages = rest.starts_with("\"sync\"") || rest.starts_with("\"history\"");
        let id = id.or_else(|| pages.then(|| format!("i{number}")));
        let with_id = id.as_ref().map_or(String::new(), |id| format!(r#","id":"{id}""#));
        self.post(n, id, &format!(r#"{{"type":{rest}{with_id}}}"#));
    }

    /// A `sync` of one who holds something of some conversations.
    fn sync(&mut self, n: usize) -> String {
        let held: Vec<String> = self.clients[n]
            .got
            .keys()
            .filter(|_| self.rng.random())
            .map(|(conversation, seq)| format!(r#""{conversation}":{seq}"#))
            .take(1)
            .collect();
        format!(r#""sync","cursors":{{{}}}"#, held.join(","))
    }

    /// A `read` or `received` of something committed, in any conversation.
    fn cursor(&mut self, n: usize) -> String {
        let truth = self.truth.borrow();
        let own = truth.messages.keys().filter(|(conversation, _)| match conversation.parties() {
            Parties::Private(a, b) => self.clients[n].user == a || self.clients[n].user == b,
            Parties::Group(_) => true,
        });
        let own: Vec<&Name> = own.collect();
        if own.is_empty() {
            return r#""ping""#.to_owned();
        }
        let (conversation, seq) = own[self.rng.random_range(0..own.len())];
        let command = if self.rng.random() { "read" } else { "received" };
        format!(r#""{command}","conversation":"{conversation}","seq":{seq}"#)
    }

    fn send_again(&mut self, n: usize) {
        let client = &self.clients[n];
        let own = self.sent.iter().rev().filter(|sent| sent.user == client.user);
        let recent: Vec<&Sent> = own.filter(|sent| !client.waiting.contains_key(&sent.id)).take(6).collect();
        if recent.is_empty() {
            return;
        }
        let sent = recent[self.rng.random_range(0..recent.len())];
        let (id, text, number) = (sent.id.clone(), sent.text.clone(), sent.number);
        if self.rng.random_bool(0.1) {
            // Other content: refused, or stored when the first was not; then the first is the other one.
            let other = text.replace(&format!(r#"{{"n":{number}}}"#), &format!(r#"{{"n":{}}}"#, self.number));
            self.clients[n].wrote.insert(self.number);
            return self.post(n, Some(id), &other);
        }
        self.clients[n].wrote.insert(number);
        self.post(n, Some(id), &text);
    }

    fn post(&mut self, n: usize, id: Option<String>, text: &str) {
        let client = &mut self.clients[n];
        let order = self.truth.borrow().order;
        client.waiting.extend(id.map(|id| (id, order)));
        let request = Encoding::Json.decode(text.as_bytes()).unwrap();
        let at = usize::from(client.session.shard.0);
        self.rules[at].command(client.session, request, self.now, &mut self.hosts[at]);
    }

    /// Hands frames to clients, and looks at what must hold at all times.
    fn after_step(&mut self) {
        let (truth, scribe) = (self.truth.borrow(), self.scribe.borrow());
        for (rules, host) in self.rules.iter().zip(&mut self.hosts) {
            rules.invariants();
            for (conn, frame) in host.sent.drain(..) {
                // A connection that was just replaced may still get its ack: it is closed behind it.
                if let Some(client) = self.clients.get_mut(conn.index as usize).filter(|client| client.alive)
                {
                    let (encoding, event) = scribe.read(&frame);
                    assert_eq!(encoding, client.encoding, "{event}");
                    self.seen.see(event);
                    client.receive(event, &truth);
                }
            }
            for (conn, _) in host.closed.drain(..) {
                self.clients[conn.index as usize].alive = false;
            }
        }
        let mut sessions = [0; ENCODINGS];
        let alive = self.clients.iter().filter(|client| client.alive);
        alive.for_each(|client| sessions[client.encoding.index()] += 1);
        assert_eq!(scribe.sessions, sessions, "the sessions of each encoding are known");
    }

    /// No more commands: everything under way comes to its end.
    fn rest(&mut self) {
        loop {
            let mut any = false;
            for at in 0..self.rules.len() {
                for to in 0..self.rules.len() {
                    any |= self.deliver_one(at, to, false);
                }
                any |= self.look_one(at, false) | self.poll_one(at, false) | self.turn_one(at);
            }
            self.after_step();
            if !any && self.hosts.iter().all(|host| host.links.iter().all(|link| link.is_empty())) {
                break;
            }
        }
    }
}
