//! Connections come and go at a rate while others chat. Knows no socket.
use super::common::{Book, LoadArgs};
use super::entry::Heard;
use super::pairs::{Pairs, PairsArgs};
use super::rest::{self, RestArgs};
use super::{shares, with_run};
use crate::control::{Control, Phase};
use crate::engine::{After, Beside, ConnId, Driver, End, Io, Next};
use crate::latency::Latency;
use crate::limits::{CHURN_BEHIND_MAX, CHURN_CLOSE_NS, CHURN_SPARE_MAX};
use crate::report::{ChurnPart, Parts, Report, Table};
use crate::schedule::Schedule;
use crate::target::{TargetArgs, positive};
use anyhow::ensure;
use clap::Args;
use std::collections::VecDeque;

/// Options of `churn`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChurnArgs {
    /// Connections that come and go
    #[arg(long, default_value_t = 1000)]
    pub(crate) connections: usize,
    /// How many of them come a second, and as many go
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    pub(crate) churn_rate: f64,
    /// Users who stay and chat in pairs; an even number
    #[arg(long, default_value_t = 100)]
    pub(crate) users: usize,
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &ChurnArgs) -> anyhow::Result<Report> {
    let threads = args.threads.max(1);
    ensure!(
        options.users.is_multiple_of(2) && options.users >= 2 * threads,
        "--users must be an even number, and a pair at least for each thread"
    );
    ensure!(options.connections >= 10 * threads, "--connections must be 10 at least for each thread");
    let pairs = PairsArgs {
        users: options.users,
        ids: false,
        rest: RestArgs { idle: 0 },
        load: options.load.clone(),
    };
    let users = shares(options.users, 2, threads);
    let comers = shares(options.connections, 1, threads);
    let work: Vec<usize> = users.iter().zip(&comers).map(|(users, comers)| users + comers).collect();
    with_run(args, options.load.window.window(), &options.rest.added(&work), |run| {
        let drivers = (0..threads)
            .map(|part| {
                let first = users[..part].iter().sum();
                let pairs = Pairs::new(run.control, &pairs, (part, threads), first, users[part]);
                // Beyond the connections at rest, whose numbers follow those of `work`.
                let first = options.users + comers[..part].iter().sum::<usize>();
                let rate = (options.churn_rate, part, threads);
                let names = (first + options.rest.idle + options.connections, comers[part]);
                Beside::new(pairs, users[part], Churn::new(run.control, rate, names))
            })
            .collect();
        let drivers = options.rest.beside(run, drivers, &work);
        let (mut measured, drivers) = run.drive_sparing(drivers, options.rest.spare())?;
        rest::close(&drivers, &mut measured.faults);
        let mut part = ChurnPart::default();
        let mut sign_in = Latency::default();
        for driver in drivers.iter().map(|driver| &driver.first) {
            driver.first.close(&mut measured);
            measured.faults.add(&driver.second.book.faults);
            driver.second.tell(&mut part, &mut sign_in);
        }
        part.sign_in_us = sign_in.quantiles();
        part.server_cpu_us_per_connection =
            measured.server.filter(|_| part.came > 0).map(|server| server.cpu * 1e6 / part.came as f64);
        let workload = format!(
            "{} connections, of which {}/s go and others come; {} users chat in pairs beside them{}, {}",
            options.connections,
            options.churn_rate,
            options.users,
            options.rest.describe(),
            options.load.describe("pair")
        );
        let books = drivers.iter().map(|driver| &driver.first.first.book);
        let table = Table::new("churn", workload).with(run, measured, books);
        Ok(Report { parts: Parts { churn: Some(part), ..Parts::default() }, ..table })
    })
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be signed in, as it was meant to since this time.
    Coming(u64),
    In,
    /// Its close frame left at this time, and has not been answered.
    Going(u64),
    Away,
}

/// One thread's comers and goers.
struct Churn<'a> {
    book: Book<'a>,
    /// How many a second, this thread, and how many threads there are.
    rate: (f64, usize, usize),
    /// Number of the first user.
    first: usize,
    stages: Vec<Stage>,
    /// Who is in, the longest first; who is away, likewise.
    inside: VecDeque<u32>,
    away: VecDeque<u32>,
    coming: usize,
    /// How many more are to go.
    to_go: usize,
    /// When those were meant to come for whom nobody is away.
    owed: VecDeque<u64>,
    /// Since when who is going, the longest first. Some have gone since.
    going: VecDeque<(u64, u32)>,
    schedule: Option<Schedule>,
    sign_in: Latency,
    came: u64,
    went: u64,
    skipped: u64,
    unclosed: u64,
    /// When this driver last looked.
    seen: u64,
}

impl<'a> Churn<'a> {
    fn new(control: &'a Control, rate: (f64, usize, usize), (first, count): (usize, usize)) -> Self {
        let part = rate.1;
        Self {
            book: Book::new(control, part),
            rate,
            first,
            stages: vec![Stage::Coming(0); count],
            inside: VecDeque::with_capacity(count),
            away: VecDeque::with_capacity(count),
            coming: count,
            to_go: 0,
            owed: VecDeque::new(),
            going: VecDeque::new(),
            schedule: None,
            sign_in: Latency::default(),
            came: 0,
            went: 0,
            skipped: 0,
            unclosed: 0,
            seen: 0,
        }
    }

    fn is_in(&mut self, conn: ConnId, now: u64) {
        let Stage::Coming(meant) = self.stages[conn] else { return };
        self.stages[conn] = Stage::In;
        self.coming -= 1;
        self.inside.push_back(number(conn));
        if self.book.control.phase(meant) == Phase::Measure && meant > 0 {
            self.came += 1;
            self.sign_in.record(now.saturating_sub(meant));
        }
    }

    /// Adds its numbers. Whoever was to come and never did was waited for until the end: leaving that time out would make
    /// a server that answers nobody the quickest of all.
    fn tell(&self, part: &mut ChurnPart, sign_in: &mut Latency) {
        sign_in.add(&self.sign_in);
        part.came += self.came;
        part.went += self.went;
        part.skipped += self.skipped;
        part.unclosed += self.unclosed;
        let coming = self.stages.iter().filter_map(|stage| match stage {
            Stage::Coming(meant) if *meant > 0 => Some(*meant),
            _ => None,
        });
        for meant in self.owed.iter().copied().chain(coming) {
            part.never_came += 1;
            if self.book.control.phase(meant) == Phase::Measure {
                sign_in.record(self.seen.saturating_sub(meant));
            }
        }
    }

    /// Lets those go who are to, as far as anybody is in: the others go as soon as they have come.
    fn let_go(&mut self, io: &mut Io<'_>, now: u64) {
        while self.to_go > 0 {
            let Some(conn) = self.inside.pop_front() else { return };
            // Whoever failed in the meantime is no longer in.
            if self.stages[conn as usize] == Stage::In {
                self.stages[conn as usize] = Stage::Going(now);
                self.going.push_back((now, conn));
                self.to_go -= 1;
                io.close(conn as usize);
            }
        }
    }

    /// Cuts those off whose close frame the server leaves unanswered: others are to come in their place.
    fn cut_off(&mut self, io: &mut Io<'_>, now: u64) {
        let over = |(since, _): &mut (u64, u32)| *since + CHURN_CLOSE_NS <= now;
        while let Some((since, conn)) = self.going.pop_front_if(over) {
            if self.stages[conn as usize] == Stage::Going(since) {
                self.unclosed += 1;
                io.cut(conn as usize);
            }
        }
    }

    fn begin(&mut self, io: &mut Io<'_>, start: u64, now: u64) {
        let (rate, part, of) = self.rate;
        self.schedule = Some(Schedule::new(rate, part, of, start, None));
        // Some are away from the start, so that nobody who is to come waits for another one to go.
        self.to_go = (self.stages.len() / 10).min(CHURN_SPARE_MAX);
        self.let_go(io, now);
    }

    fn turn_over(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(mut schedule) = self.schedule.take() else { return Next::Event };
        while self.book.sending(schedule.next()) {
            let Some(meant) = schedule.due(now) else { break };
            if self.owed.len() < CHURN_BEHIND_MAX {
                self.owed.push_back(meant);
                self.to_go += 1;
            } else {
                self.skipped += 1;
            }
        }
        self.let_go(io, now);
        self.cut_off(io, now);
        while !self.owed.is_empty() {
            let Some(conn) = self.away.pop_front() else { break };
            let Some(meant) = self.owed.pop_front() else { break };
            self.stages[conn as usize] = Stage::Coming(meant);
            self.coming += 1;
            io.reopen(conn as usize);
        }
        let next = if self.book.sending(now) { Next::At(schedule.next()) } else { Next::Event };
        self.schedule = Some(schedule);
        next
    }
}

#[allow(clippy::cast_possible_truncation)] // there are fewer than 2^32 connections
fn number(conn: ConnId) -> u32 {
    conn as u32
}

impl Driver for Churn<'_> {
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
            Heard::SignedIn | Heard::Asked => self.is_in(conn, now),
            Heard::Acked | Heard::Synced | Heard::Broadcast(_) | Heard::Nothing => {}
        }
    }

    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, _: &End) -> After {
        let stage = std::mem::replace(&mut self.stages[conn], Stage::Away);
        self.away.push_back(number(conn));
        match stage {
            Stage::Going(_) => {
                let measured = self.book.control.phase(self.book.control.now()) == Phase::Measure;
                self.went += u64::from(measured);
                After::Leave
            }
            Stage::Coming(_) => {
                self.coming -= 1;
                After::Fail
            }
            Stage::In | Stage::Away => After::Fail,
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else {
            if self.coming == 0 {
                self.book.ready();
            }
            return Next::Event;
        };
        if self.schedule.is_none() {
            self.begin(io, start, now);
        }
        self.seen = now;
        let next = self.turn_over(io, now);
        if !self.book.sending(now) && self.coming == 0 && self.owed.is_empty() {
            self.book.done();
        }
        next
    }
}
