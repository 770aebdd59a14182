//! Private messages between pairs of users. Knows no socket.
use super::common::{Book, LoadArgs};
use super::entry::user_name;
use super::rest::{self, RestArgs, WithRest};
use super::{Measured, Run, open, run_on, shares};
use crate::control::Control;
use crate::engine::{After, ConnId, Driver, End, Io, Next};
use crate::ledger::Stream;
use crate::report::{Report, Table};
use crate::schedule::Schedule;
use crate::target::{Target, TargetArgs};
use crate::wire::dialect::{Answer, To};
use crate::wire::marker::Kind;
use crate::wire::template::{Message, Template};
use anyhow::ensure;
use clap::Args;
use std::sync::atomic::Ordering::Relaxed;

/// Nanoseconds between two probes of a pair whose way is not open yet.
const PROBE_EVERY: u64 = 100_000_000;

/// Options of `pairs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PairsArgs {
    /// Users, an even number
    #[arg(long, default_value_t = 1000)]
    pub(crate) users: usize,
    /// Give each message an `id`, so that the server acks it; both frames count
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

struct User {
    template: Template,
    name: String,
    sent: u32,
    inbox: Stream,
    /// A probe of the partner has come.
    proven: bool,
}

/// The pairs of one thread: connections 2k and 2k + 1 talk to each other.
pub(crate) struct Pairs<'a> {
    pub(crate) book: Book<'a>,
    options: &'a PairsArgs,
    part: usize,
    of: usize,
    first: usize,
    users: Vec<User>,
    signed_in: usize,
    proven: usize,
    probe_at: u64,
    schedule: Option<Schedule>,
    started: bool,
    turn_of: usize,
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &PairsArgs) -> anyhow::Result<Report> {
    on(&open(args)?, args, options)
}

/// The same on a server that is there already.
pub(crate) fn on(target: &Target, args: &TargetArgs, options: &PairsArgs) -> anyhow::Result<Report> {
    beside(target, args, options, |_| {})
}

/// The same with something else going on meanwhile.
pub(crate) fn beside(
    target: &Target,
    args: &TargetArgs,
    options: &PairsArgs,
    meanwhile: impl FnOnce(&Control) + Send,
) -> anyhow::Result<Report> {
    args.dialect()?.check_ids(options.ids)?;
    ensure!(options.users >= 2 && options.users.is_multiple_of(2), "--users must be an even number");
    let shares = shares(options.users, 2, args.threads.clamp(1, options.users / 2));
    run_on(target, args, options.load.window.window(), &options.rest.added(&shares), |run| {
        let mut first = 0;
        let drivers = (0..shares.len())
            .map(|part| {
                let driver = Pairs::new(run.control, options, (part, shares.len()), first, shares[part]);
                first += shares[part];
                driver
            })
            .collect();
        let drivers = options.rest.beside(run, drivers, &shares);
        let (mut measured, drivers) = std::thread::scope(|scope| {
            scope.spawn(|| meanwhile(run.control));
            run.drive_sparing(drivers, options.rest.spare())
        })?;
        drivers.iter().for_each(|driver| driver.first.close(&mut measured));
        rest::close(&drivers, &mut measured.faults);
        Ok(report(run, options, measured, &drivers))
    })
}

fn report(
    run: &Run<'_>,
    options: &PairsArgs,
    measured: Measured,
    drivers: &[WithRest<'_, Pairs<'_>>],
) -> Report {
    let loop_kind = options.load.describe("pair");
    let acks = if options.ids { ", acked" } else { "" };
    let (users, payload, rest) = (options.users, options.load.payload, options.rest.describe());
    let workload = format!("{users} users in pairs{rest}, {payload} B payload{acks}, {loop_kind}");
    Table::new("pairs", workload).with(run, measured, drivers.iter().map(|driver| &driver.first.book))
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(
        control: &'a Control,
        options: &'a PairsArgs,
        (part, of): (usize, usize),
        first: usize,
        count: usize,
    ) -> Self {
        let run = control.run();
        let name = |user: usize| user_name(run, user);
        let user = |user: usize| User {
            template: Template::new(Message {
                dialect: control.dialect(),
                to: To::User(&name(user ^ 1)),
                payload: options.load.payload as usize,
                sender: u32::try_from(user).unwrap_or(u32::MAX),
                run,
                ids: options.ids,
            }),
            name: name(user),
            sent: 0,
            inbox: Stream::default(),
            proven: false,
        };
        let mut book = Book::new(control, part);
        if options.ids {
            book = book.with_acks(first, (0..count).map(Some));
        }
        Self {
            book,
            options,
            part,
            of,
            first,
            users: (first..first + count).map(user).collect(),
            signed_in: 0,
            proven: 0,
            probe_at: 0,
            schedule: None,
            started: false,
            turn_of: 0,
        }
    }

    /// Books what was sent and never came.
    pub(crate) fn close(&self, measured: &mut Measured) {
        measured.faults.add(&self.book.faults);
        for (at, user) in self.users.iter().enumerate() {
            user.inbox.close(self.users[at ^ 1].sent, &mut measured.faults);
        }
        if self.options.ids {
            measured.faults.unacked += self.book.unacked();
        }
    }

    fn send(&mut self, io: &mut Io<'_>, from: ConnId, time: u64) {
        let user = &mut self.users[from];
        io.send(from, user.template.stamp(Kind::Work, user.sent, time));
        user.sent += 1;
        self.book.sent_by(self.first + from, time);
    }

    fn probe(&mut self, io: &mut Io<'_>, from: ConnId, time: u64) {
        let number = u32::try_from(time / 1_000).unwrap_or(u32::MAX);
        io.send(from, self.users[from].template.stamp(Kind::Probe, number, time));
    }

    /// Until both directions of every pair have carried a probe: that a user is signed in is not answered in the
    /// tutorial's dialect.
    fn set_up(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        if self.proven == self.users.len() {
            self.book.ready();
            return Next::Event;
        }
        if self.signed_in == self.users.len() && now >= self.probe_at {
            self.probe_at = now + PROBE_EVERY;
            for from in (0..self.users.len()).step_by(2) {
                if !self.users[from].proven {
                    self.probe(io, from, now);
                }
            }
        }
        Next::Event
    }

    fn probed(&mut self, io: &mut Io<'_>, conn: ConnId, now: u64) {
        if !std::mem::replace(&mut self.users[conn].proven, true) {
            self.proven += 1;
        }
        if conn % 2 == 1 && !self.started {
            self.probe(io, conn, now);
        }
    }

    fn begin(&mut self, io: &mut Io<'_>, start: u64, now: u64) {
        self.started = true;
        if self.users.is_empty() {
            return;
        }
        self.schedule = self.options.load.schedule(self.part, self.of, start);
        if self.schedule.is_none() {
            for from in (0..self.users.len()).step_by(2) {
                for _ in 0..self.options.load.in_flight.unwrap_or(0) {
                    self.send(io, from, now);
                }
            }
        }
    }

    /// Sends what is due; each user in turn.
    fn send_due(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(mut schedule) = self.schedule.take() else { return Next::Event };
        while self.book.sending(schedule.next()) {
            let Some(intended) = schedule.due(now) else { break };
            self.send(io, self.turn_of, intended);
            io.flush();
            self.book.left(intended);
            self.turn_of = (self.turn_of + 1) % self.users.len();
        }
        let next = self.options.load.next(&schedule);
        self.schedule = Some(schedule);
        next
    }

    /// Whether everything sent has come, acks included.
    fn quiet(&self) -> bool {
        let sent = self.book.tallies.sent.load(Relaxed);
        let acked = !self.options.ids || self.book.tallies.acked.load(Relaxed) >= sent;
        acked && self.book.tallies.delivered.load(Relaxed) >= sent
    }
}

impl Driver for Pairs<'_> {
    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, end: &End) -> After {
        // Connections at rest may fail, and the run goes on; it cannot go on without this one.
        if !self.started && self.options.rest.spare() > 0 {
            self.book
                .control
                .call_off(&format!("the connection of user {} failed: {end}", self.first + conn));
        }
        After::Fail
    }

    fn path(&self, conn: ConnId) -> Option<String> {
        self.book.dialect().path(&self.users[conn].name, &self.users[conn ^ 1].name)
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        Some(self.users[conn].name.clone())
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let signed_in = self.book.enter(io, conn, &self.users[conn].name);
        self.signed_in += usize::from(signed_in);
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let Some(mark) = self.book.mark(payload) else {
            let answer = self.book.admit(io, conn, payload, || self.users[conn].name.clone());
            self.signed_in += usize::from(answer == Answer::Authenticated);
            return;
        };
        if mark.sender as usize != self.first + (conn ^ 1) {
            self.book.faults.misdelivered += u64::from(mark.kind == Kind::Work);
            return;
        }
        match mark.kind {
            Kind::Probe => self.probed(io, conn, now),
            Kind::Broadcast => {}
            Kind::Work => {
                if self.users[conn].inbox.arrived(mark.seq, &mut self.book.faults) {
                    self.book.delivered(mark.time, now);
                }
                if self.schedule.is_none() && self.book.sending(now) {
                    self.send(io, conn, now);
                }
            }
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else { return self.set_up(io, now) };
        if !self.started {
            self.begin(io, start, now);
        }
        if self.book.sending(now) {
            return self.send_due(io, now);
        }
        // What became due while this thread was away is still owed: the schedule ends, not the generator's patience.
        self.send_due(io, now);
        if self.quiet() {
            self.book.done();
        }
        Next::Event
    }
}
