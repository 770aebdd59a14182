//! The storm's connections of one thread. Knows no socket.
//!
//! Back is who is admitted again, or with `--sync` who has then been told what it missed. For that everybody has conversations:
//! before the load each user writes to some others, waits until all have, and takes in what it did not know.
use super::super::Run;
use super::super::common::Book;
use super::super::entry::Heard;
use super::devices::Devices;
use super::{How, StormArgs};
use crate::engine::{After, ConnId, Driver, End, Io, Next};
use crate::latency::Latency;
use crate::limits::{FAILURE_KINDS_MAX, RETRIES_MAX, RETRY_MAX_NS, RETRY_NS, STORM_BEGINNING, STORM_SLICE};
use crate::procstat::Sample;
use crate::report::StormRound;
use crate::wire::dialect::To;
use crate::wire::sync;
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};

/// Nanoseconds of the unit in which a connection keeps when it went: 32 bits of them are half a day.
const TICK: u64 = 10_000;

/// One storm, as all threads see it.
#[derive(Debug, Default)]
struct Round {
    went: AtomicU64,
    /// Connections that were not there to go.
    away: AtomicU64,
    /// Threads whose connections have all gone.
    gone: AtomicUsize,
    back: AtomicU64,
    /// Nanoseconds until the last one was back.
    last: AtomicU64,
    /// The server's use of its cores, at the first end and at the last return.
    server: Mutex<(Option<Sample>, Option<f64>)>,
    /// Conversations that those who came back were told of.
    told: AtomicU64,
}

/// What the threads have in common.
#[derive(Debug)]
pub(super) struct Shared {
    threads: usize,
    rounds: Box<[Round]>,
    sync: bool,
    /// Users, and those of them whose conversations are begun.
    users: usize,
    begun: AtomicUsize,
}

impl Shared {
    pub(super) fn new(options: &StormArgs, threads: usize) -> Self {
        let rounds = (0..options.rounds).map(|_| Round::default()).collect();
        let users = options.connections as usize;
        Self { threads, rounds, sync: options.sync, users, begun: AtomicUsize::new(0) }
    }

    /// Whether those who come back in this round ask for what they missed.
    fn syncs(&self, round: usize) -> bool {
        self.sync && round.is_multiple_of(2)
    }

    /// What there is to say about each.
    pub(super) fn rounds(&self) -> Vec<StormRound> {
        let of = |(at, round): (usize, &Round)| {
            let (went, back) = (round.went.load(Acquire), round.back.load(Acquire));
            let whole = went > 0 && went == back;
            let cpu = round.server.lock().unwrap_or_else(PoisonError::into_inner).1;
            StormRound {
                synced: self.syncs(at).then(|| round.told.load(Acquire)),
                went,
                away: round.away.load(Acquire),
                back,
                seconds: whole.then(|| round.last.load(Acquire) as f64 / 1e9),
                server_cpu_us_per_connection: cpu.filter(|_| whole).map(|cpu| cpu * 1e6 / went as f64),
            }
        };
        self.rounds.iter().enumerate().map(of).collect()
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being opened or signed in.
    Coming,
    /// Beginning its conversations: so many are not acked yet.
    Beginning(u8),
    /// Waiting until everybody has.
    Begun,
    /// Asking for all of them, and saying that they are read.
    Learning,
    Reading,
    /// Signed in again, and asking for what it missed.
    Asking,
    In,
    /// Asked to end.
    Going,
    /// To be opened again at its time.
    Waiting,
    /// Not in this run any more.
    Lost,
}

/// A connection, in few bytes: there may be a million.
#[derive(Debug, Clone, Copy)]
struct Traveller {
    /// When it went, in ticks since the window began.
    went: u32,
    round: u16,
    tries: u8,
    stage: Stage,
}

/// One thread's part.
pub(super) struct Storm<'a> {
    pub(super) book: Book<'a>,
    run: Run<'a>,
    how: How,
    shared: &'a Shared,
    /// Number of the first user.
    first: usize,
    travellers: Vec<Traveller>,
    /// What they hold, where they ask by it.
    devices: Option<Devices>,
    /// Who is to begin conversations; how many do, or ask for all that they have.
    to_begin: VecDeque<ConnId>,
    beginning: usize,
    /// Those up to here have asked for all of it.
    learning: usize,
    /// How many are in, or lost.
    settled: usize,
    /// The round that is on, and how far its connections have gone.
    round: Option<usize>,
    next_round: usize,
    cursor: usize,
    retries: BinaryHeap<Reverse<(u64, u32)>>,
    rng: Rng,
    pub(super) back: Latency,
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) given_up: u64,
}

impl<'a> Storm<'a> {
    pub(super) fn new(
        run: &Run<'a>,
        part: usize,
        options: &StormArgs,
        shared: &'a Shared,
        (first, count): (usize, usize),
    ) -> Self {
        let traveller = Traveller { went: 0, round: 0, tries: 0, stage: Stage::Coming };
        Self {
            book: Book::new(run.control, part),
            run: *run,
            how: options.how,
            shared,
            first,
            travellers: vec![traveller; count],
            devices: options.sync.then(|| {
                let everyone = options.users..options.users + options.connections as usize;
                Devices::new(run.control.run(), everyone, (first, count), options.conversations)
            }),
            to_begin: VecDeque::new(),
            beginning: 0,
            learning: 0,
            settled: 0,
            round: None,
            next_round: 0,
            cursor: 0,
            retries: BinaryHeap::new(),
            rng: Rng::with_seed(options.load.seed.wrapping_add(part as u64)),
            back: Latency::default(),
            failed: BTreeMap::new(),
            given_up: 0,
        }
    }

    /// When the window began.
    fn origin(&self) -> u64 {
        self.book.control.measured().map_or(0, |(from, _)| from)
    }

    fn server(&self) -> Option<Sample> {
        self.run.target.pid.and_then(Sample::of)
    }

    /// A connection is signed in: what follows before it is back, or there for the first time.
    fn signed_in(&mut self, io: &mut Io<'_>, conn: ConnId, now: u64) {
        let traveller = &mut self.travellers[conn];
        match (&self.devices, traveller.stage) {
            (Some(devices), Stage::Coming) if self.next_round == 0 => {
                traveller.stage = Stage::Beginning(u8::try_from(devices.writes()).unwrap_or(u8::MAX));
                self.to_begin.push_back(conn);
                self.begin(io);
            }
            (Some(devices), Stage::Coming) if self.shared.syncs(traveller.round.into()) => {
                io.say(conn, &devices.ask(conn, None));
                traveller.stage = Stage::Asking;
            }
            (_, Stage::Reading) => {
                self.beginning -= 1;
                self.is_in(conn, now);
            }
            (_, Stage::Coming) => self.is_in(conn, now),
            _ => {}
        }
    }

    /// Lets the next ones write to those with whom they begin conversations: all at once would be more than a server has to take.
    fn begin(&mut self, io: &mut Io<'_>) {
        let Some(devices) = &self.devices else { return };
        while self.beginning < STORM_BEGINNING
            && let Some(conn) = self.to_begin.pop_front()
        {
            self.beginning += 1;
            let dialect = self.book.dialect();
            for other in devices.writes_to(conn) {
                io.say(conn, &dialect.message(To::User(&other), "hello", Some("begun")));
            }
        }
    }

    /// One of the conversations that it begins is there.
    fn acked(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let traveller = &mut self.travellers[conn];
        if let Stage::Beginning(left) = traveller.stage {
            traveller.stage = if left > 1 { Stage::Beginning(left - 1) } else { Stage::Begun };
            if left > 1 {
                return;
            }
            self.beginning -= 1;
            self.begin(io);
            if self.shared.begun.fetch_add(1, AcqRel) + 1 == self.shared.users {
                self.book.control.wake_all();
            }
        }
    }

    /// Once everybody's conversations are begun, a few more ask for theirs.
    fn learn(&mut self, io: &mut Io<'_>) -> Next {
        if self.shared.begun.load(Acquire) < self.shared.users || self.devices.is_none() {
            return Next::Event;
        }
        while self.beginning < STORM_BEGINNING && self.learning < self.travellers.len() {
            let conn = self.learning;
            self.learning += 1;
            if self.travellers[conn].stage == Stage::Begun {
                self.travellers[conn].stage = Stage::Learning;
                self.beginning += 1;
                io.say(conn, &Devices::ask_all(None));
            }
        }
        Next::Event
    }

    /// A connection was told what it did not hold, or a page of it.
    fn told(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let (Some(devices), stage) = (&mut self.devices, self.travellers[conn].stage) else { return };
        let told = match sync::answer(payload) {
            Ok(told) => told,
            Err(error) => return self.book.control.call_off(&format!("an answer to sync: {error}")),
        };
        match (stage, &told.next) {
            (Stage::Learning, next) => {
                devices.learn(conn, &told).iter().for_each(|read| io.say(conn, read));
                match next {
                    Some(next) => io.say(conn, &Devices::ask_all(Some(next))),
                    None if devices.unknown(conn) > 0 => {
                        let (name, unknown) = (self.book.name(self.first + conn), devices.unknown(conn));
                        self.book
                            .control
                            .call_off(&format!("sync told {name} nothing of {unknown} conversations"));
                    }
                    None => {
                        // What it said before is done when this is answered.
                        self.travellers[conn].stage = Stage::Reading;
                        self.book.ask(io, conn, &self.book.name(self.first + conn));
                    }
                }
            }
            (Stage::Asking, next) => {
                let round = &self.shared.rounds[usize::from(self.travellers[conn].round)];
                round.told.fetch_add(told.conversations.len() as u64, AcqRel);
                match next {
                    Some(next) => io.say(conn, &devices.ask(conn, Some(next))),
                    None => self.is_in(conn, now),
                }
            }
            _ => {}
        }
    }

    /// A connection is there, or back.
    fn is_in(&mut self, conn: ConnId, now: u64) {
        let traveller = &mut self.travellers[conn];
        traveller.stage = Stage::In;
        traveller.tries = 0;
        let (went, round) = (u64::from(traveller.went) * TICK, usize::from(traveller.round));
        self.settled += 1;
        if self.next_round == 0 {
            return;
        }
        let since = self.origin();
        self.back.record(now.saturating_sub(since + went));
        let began = self.round_time(round).map_or(0, |(from, _)| from);
        let round = &self.shared.rounds[round];
        round.last.fetch_max(now.saturating_sub(began), AcqRel);
        round.back.fetch_add(1, AcqRel);
        self.look(self.travellers[conn].round.into());
    }

    /// Looks at the server once everyone of a round is back.
    fn look(&self, round: usize) {
        let round = &self.shared.rounds[round];
        let all_gone = round.gone.load(Acquire) == self.shared.threads;
        if all_gone && round.back.load(Acquire) == round.went.load(Acquire) {
            let mut server = round.server.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = server.0.take() {
                server.1 = self.server().map(|after| after.since(&before).cpu);
            }
        }
    }

    /// A round's beginning and end.
    fn round_time(&self, round: usize) -> Option<(u64, u64)> {
        let (from, _) = self.book.control.measured()?;
        let whole = u64::try_from(self.book.control.window().duration.as_nanos()).unwrap_or(u64::MAX);
        let each = whole / self.shared.rounds.len() as u64;
        (round < self.shared.rounds.len())
            .then(|| (from + each * round as u64, from + each * (round as u64 + 1)))
    }

    /// Begins the next round when its time has come, and lets a few connections go.
    fn storm(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(at) = self.round else {
            return match self.round_time(self.next_round) {
                Some((from, _)) if now >= from && self.book.sending(now) => self.begin_round(now),
                Some((from, _)) if now < from => Next::At(from),
                _ => Next::Event,
            };
        };
        let end = (self.cursor + STORM_SLICE).min(self.travellers.len());
        #[allow(clippy::cast_possible_truncation)]
        // runs are shorter than half a day, rounds fewer than a thousand
        let (went, round) = (((now - self.origin()) / TICK) as u32, at as u16);
        let mut gone = 0;
        for conn in self.cursor..end {
            let traveller = &mut self.travellers[conn];
            if traveller.stage != Stage::In {
                continue;
            }
            (traveller.went, traveller.round, traveller.stage) = (went, round, Stage::Going);
            gone += 1;
            match self.how {
                How::Cut => io.cut(conn),
                How::Close => io.close(conn),
            }
        }
        self.settled -= gone;
        self.shared.rounds[at].went.fetch_add(gone as u64, AcqRel);
        self.shared.rounds[at].away.fetch_add((end - self.cursor - gone) as u64, AcqRel);
        self.cursor = end;
        if end < self.travellers.len() {
            // At once, and still not as a thread that was told to spin: a full core is a full core here.
            return Next::At(now);
        }
        self.round = None;
        self.shared.rounds[at].gone.fetch_add(1, Release);
        self.look(at);
        Next::Event
    }

    fn begin_round(&mut self, now: u64) -> Next {
        let at = self.next_round;
        (self.round, self.next_round, self.cursor) = (Some(at), at + 1, 0);
        let mut server = self.shared.rounds[at].server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.0.is_none() && server.1.is_none() {
            server.0 = self.server();
        }
        Next::At(now)
    }

    /// Opens those again whose wait is over.
    fn retry(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        while let Some(&Reverse((due, conn))) = self.retries.peek() {
            if due > now {
                return Next::At(due);
            }
            self.retries.pop();
            self.travellers[conn as usize].stage = Stage::Coming;
            io.reopen(conn as usize);
        }
        Next::Event
    }

    /// An attempt failed: another one follows, later each time, until there were too many.
    fn failed_attempt(&mut self, conn: ConnId, end: &End) {
        let kind = if self.failed.len() < FAILURE_KINDS_MAX { end.kind() } else { "other".into() };
        *self.failed.entry(kind).or_default() += 1;
        let traveller = &mut self.travellers[conn];
        if traveller.tries >= RETRIES_MAX {
            traveller.stage = Stage::Lost;
            self.given_up += 1;
            self.settled += 1;
            return;
        }
        let wait = (RETRY_NS << traveller.tries).min(RETRY_MAX_NS);
        traveller.tries += 1;
        traveller.stage = Stage::Waiting;
        let due = self.book.control.now() + self.rng.u64(wait / 2..=wait * 3 / 2);
        self.retries.push(Reverse((due, u32::try_from(conn).unwrap_or(u32::MAX))));
    }
}

impl Driver for Storm<'_> {
    fn path(&self, conn: ConnId) -> Option<String> {
        self.book.path_alone(self.first + conn)
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        Some(self.book.name(self.first + conn))
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.book.enter_alone(io, conn, self.first + conn);
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        match self.book.listen(io, (conn, self.first + conn), payload) {
            Heard::SignedIn | Heard::Asked => self.signed_in(io, conn, now),
            Heard::Acked => self.acked(io, conn),
            Heard::Synced => self.told(io, conn, payload, now),
            Heard::Broadcast(_) | Heard::Nothing => {}
        }
    }

    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, end: &End) -> After {
        match self.travellers[conn].stage {
            // However it ended: it was asked to.
            Stage::Going => {
                self.travellers[conn].stage = Stage::Coming;
                After::Reopen
            }
            Stage::Coming | Stage::Asking if self.next_round > 0 => {
                self.failed_attempt(conn, end);
                After::Leave
            }
            Stage::In => {
                self.travellers[conn].stage = Stage::Lost;
                After::Fail
            }
            _ => After::Fail,
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        if self.book.control.start().is_none() {
            if self.settled == self.travellers.len() {
                self.book.ready();
            }
            return self.learn(io);
        }
        let storm = self.storm(io, now);
        let retry = self.retry(io, now);
        if self.round.is_none() && !self.book.sending(now) && self.settled == self.travellers.len() {
            self.book.done();
        }
        storm.and(retry)
    }
}
