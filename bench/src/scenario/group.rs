//! One publisher, a group of everyone. Knows no socket.
use super::common::{Book, LoadArgs};
use super::entry::user_name;
use super::{Run, shares, with_run};
use crate::control::Control;
use crate::engine::{ConnId, Driver, Io, Next};
use crate::ledger::Stream;
use crate::report::{Report, Table};
use crate::schedule::Schedule;
use crate::target::TargetArgs;
use crate::wire::dialect::{Answer, To};
use crate::wire::marker::Kind;
use crate::wire::template::{Message, Template};
use anyhow::ensure;
use clap::Args;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

/// Nanoseconds after which a probe is repeated that not everyone has.
const PROBE_EVERY: u64 = 300_000_000;

/// Options of `group`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GroupArgs {
    /// Members, the publisher included
    #[arg(long, default_value_t = 1000)]
    pub(crate) members: usize,
    /// Give each message an `id`, so that the server acks it
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// What the threads of a group have in common.
#[derive(Debug, Default)]
struct Shared {
    joined: AtomicUsize,
    /// The probe under way, and how many members have it.
    probe: AtomicU32,
    probed: AtomicUsize,
    /// All members had the last probe, so nothing is under way.
    settled: AtomicBool,
    sent: AtomicU32,
}

#[derive(Default)]
struct Member {
    inbox: Stream,
}

/// The members of one thread; the first one of the first thread is the publisher.
struct Group<'a> {
    book: Book<'a>,
    options: &'a GroupArgs,
    shared: &'a Shared,
    names: (u32, usize),
    members: Vec<Member>,
    publisher: Option<Publisher>,
    /// The message after which this thread woke the publisher last.
    woke_after: u32,
}

struct Publisher {
    template: Template,
    probe_at: u64,
    schedule: Option<Schedule>,
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &GroupArgs) -> anyhow::Result<Report> {
    args.dialect.check_ids(options.ids)?;
    ensure!(options.members >= 2, "--members must be 2 or more");
    let shares = shares(options.members, 1, args.threads.clamp(1, options.members));
    let shared = Shared::default();
    with_run(args, options.load.window.window(), &shares, |run| {
        let number = run.control.run();
        let mut first = 0;
        let drivers = (0..shares.len())
            .map(|part| {
                let names = (number, first);
                first += shares[part];
                Group {
                    book: Book::new(run.control, part),
                    options,
                    shared: &shared,
                    names,
                    members: (0..shares[part]).map(|_| Member::default()).collect(),
                    publisher: (part == 0).then(|| Publisher::new(options, run.control)),
                    woke_after: 0,
                }
            })
            .collect();
        let (mut measured, drivers) = run.drive(drivers)?;
        let sent = shared.sent.load(Acquire);
        for driver in &drivers {
            measured.faults.add(&driver.book.faults);
            if options.ids {
                measured.faults.unacked += driver.book.unacked();
            }
            let quiet = usize::from(driver.publisher.is_some());
            driver.members[quiet..].iter().for_each(|member| member.inbox.close(sent, &mut measured.faults));
        }
        Ok(report(run, options, measured, &drivers))
    })
}

fn report(run: &Run<'_>, options: &GroupArgs, measured: super::Measured, drivers: &[Group<'_>]) -> Report {
    let loop_kind = options.load.describe("group");
    let (members, payload) = (options.members, options.load.payload);
    let workload = format!("one publisher in a group of {members}, {payload} B payload, {loop_kind}");
    Table::new("group", workload).with(run, measured, drivers.iter().map(|driver| &driver.book))
}

fn group_name(run: u32) -> String {
    format!("g{run:08x}")
}

impl Publisher {
    fn new(options: &GroupArgs, control: &Control) -> Self {
        let run = control.run();
        let template = Template::new(Message {
            dialect: control.dialect(),
            to: To::Group(&group_name(run)),
            payload: options.load.payload as usize,
            sender: 0,
            run,
            ids: options.ids,
        });
        Self { template, probe_at: 0, schedule: None }
    }
}

impl Group<'_> {
    fn receivers(&self) -> u64 {
        self.options.members as u64 - 1
    }

    /// Until everyone has joined and one probe, the last one sent, has reached every member.
    fn set_up(&mut self, io: &mut Io<'_>, now: u64) {
        if self.shared.settled.load(Acquire) {
            return self.book.ready();
        }
        let Some(publisher) = &mut self.publisher else { return };
        if self.shared.joined.load(Acquire) < self.options.members {
            return;
        }
        if self.shared.probed.load(Acquire) == self.options.members - 1 {
            self.shared.settled.store(true, Release);
            self.book.control.wake_all();
        } else if now >= publisher.probe_at {
            publisher.probe_at = now + PROBE_EVERY;
            self.shared.probed.store(0, Release);
            let number = self.shared.probe.fetch_add(1, AcqRel) + 1;
            io.send(0, publisher.template.stamp(Kind::Probe, number, now));
        }
    }

    /// Whether the window has room: counted in deliveries, so with more than one in flight a quick member may be
    /// ahead of a slow one.
    fn room(&self) -> bool {
        let sent = u64::from(self.shared.sent.load(Relaxed));
        let delivered = self.book.control.total(|tallies| &tallies.delivered);
        sent * self.receivers()
            < delivered + u64::from(self.options.load.in_flight.unwrap_or(0)) * self.receivers()
    }

    fn publish(&mut self, io: &mut Io<'_>, intended: u64) {
        let Some(publisher) = &mut self.publisher else { return };
        let seq = self.shared.sent.fetch_add(1, AcqRel);
        io.send(0, publisher.template.stamp(Kind::Work, seq, intended));
        self.book.sent();
    }

    fn publish_due(&mut self, io: &mut Io<'_>, start: u64, now: u64) -> Next {
        let Some(publisher) = &mut self.publisher else { return Next::Event };
        let schedule = publisher.schedule.take().or_else(|| self.options.load.schedule(0, 1, start));
        let Some(mut schedule) = schedule else {
            while self.book.sending(now) && self.room() {
                self.publish(io, now);
            }
            return Next::Event;
        };
        while self.book.sending(schedule.next()) {
            let Some(intended) = schedule.due(now) else { break };
            self.publish(io, intended);
            self.book.left(intended);
        }
        let next = if self.book.sending(now) { self.options.load.next(&schedule) } else { Next::Event };
        if let Some(publisher) = &mut self.publisher {
            publisher.schedule = Some(schedule);
        }
        next
    }

    /// Tells the publisher's thread, once for each message, that its window has room again.
    fn wake_publisher(&mut self, now: u64) {
        let sent = self.shared.sent.load(Acquire);
        let closed_loop = !self.options.load.open_loop() && self.book.sending(now);
        if self.publisher.is_none() && closed_loop && self.woke_after != sent && self.room() {
            self.woke_after = sent;
            self.book.control.wake_all();
        }
    }

    fn quiet(&self) -> bool {
        let sent = u64::from(self.shared.sent.load(Acquire));
        let acked = !self.options.ids || self.book.control.total(|tallies| &tallies.acked) >= sent;
        acked && self.book.control.total(|tallies| &tallies.delivered) >= sent * self.receivers()
    }

    fn name(&self, conn: ConnId) -> String {
        let (run, first) = self.names;
        user_name(run, first + conn)
    }

    fn join(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.book.join(io, conn, &group_name(self.names.0)) {
            self.shared.joined.fetch_add(1, AcqRel);
        }
    }
}

impl Driver for Group<'_> {
    fn path(&self, conn: ConnId) -> Option<String> {
        self.book.dialect().group_path(&self.name(conn), &group_name(self.names.0))
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.book.enter(io, conn, &self.name(conn)) {
            self.join(io, conn);
        }
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let Some(mark) = self.book.mark(payload) else {
            let (run, first) = self.names;
            match self.book.admit(io, conn, payload, || user_name(run, first + conn)) {
                Answer::Authenticated => self.join(io, conn),
                Answer::Joined => {
                    self.shared.joined.fetch_add(1, AcqRel);
                }
                _ => {}
            }
            return;
        };
        let own = conn == 0 && self.publisher.is_some();
        match mark.kind {
            Kind::Probe if !own && mark.seq == self.shared.probe.load(Acquire) => {
                self.shared.probed.fetch_add(1, AcqRel);
            }
            Kind::Work if own => {
                self.book.faults.misdelivered += u64::from(!self.book.dialect().own_group_messages());
            }
            Kind::Work if self.members[conn].inbox.arrived(mark.seq, &mut self.book.faults) => {
                self.book.delivered(mark.time, now);
            }
            _ => {}
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else {
            self.set_up(io, now);
            return Next::Event;
        };
        let next = self.publish_due(io, start, now);
        self.wake_publisher(now);
        if !self.book.sending(now) && self.quiet() {
            self.book.done();
        }
        next
    }
}
