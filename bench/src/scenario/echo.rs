//! Any WebSocket echo server: messages come back to who sent them. Knows no socket.
use super::common::{Book, LoadArgs};
use super::entry::user_name;
use super::{Run, open, run_on, shares};
use crate::control::Control;
use crate::engine::{ConnId, Driver, Io, Next};
use crate::ledger::Stream;
use crate::report::{Report, Table};
use crate::schedule::Schedule;
use crate::target::{Target, TargetArgs};
use crate::wire::dialect::{Answer, Encoding, To};
use crate::wire::marker::Kind;
use crate::wire::template::{Message, Template};
use anyhow::ensure;
use clap::Args;
use std::sync::atomic::Ordering::Relaxed;

/// Options of `echo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EchoArgs {
    /// Connections
    #[arg(long, default_value_t = 1000)]
    pub(crate) connections: usize,
    /// Bare TCP, no WebSocket: the server sends every byte back; --payload bytes are a message
    #[arg(long)]
    pub(crate) tcp: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

struct Caller {
    template: Template,
    sent: u32,
    inbox: Stream,
}

/// The connections of one thread.
struct Echo<'a> {
    book: Book<'a>,
    options: &'a EchoArgs,
    /// This thread, and how many there are.
    part: (usize, usize),
    /// The thread's first connection among all.
    first: usize,
    callers: Vec<Caller>,
    /// Connections whose server waits for messages.
    ready: usize,
    schedule: Option<Schedule>,
    started: bool,
    turn_of: usize,
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &EchoArgs) -> anyhow::Result<Report> {
    check(args)?;
    on(&open(args)?, args, options)
}

/// Refuses an encoding: what an echo server is sent is the bare payload.
pub(crate) fn check(args: &TargetArgs) -> anyhow::Result<()> {
    ensure!(args.encoding() == Encoding::Json, "--encoding is for chat: an echo server gets bare payloads");
    ensure!(args.tokens.place().is_none(), "--token-key is for chat: nobody signs in on an echo server");
    Ok(())
}

/// The same on a server that is there already.
pub(crate) fn on(target: &Target, args: &TargetArgs, options: &EchoArgs) -> anyhow::Result<Report> {
    ensure!(!options.tcp || args.compress().is_none(), "--compress is WebSocket's: bare TCP has none");
    ensure!(!options.tcp || target.tls.is_none(), "echo --tcp speaks no TLS: --url tcp://…");
    ensure!(options.connections > 0, "--connections must be 1 or more");
    let shares = shares(options.connections, 1, args.threads.clamp(1, options.connections));
    run_on(target, args, options.load.window.window(), &shares, |run| {
        let caller = |at: usize| Caller {
            template: template(options, run.control, u32::try_from(at).unwrap_or(u32::MAX)),
            sent: 0,
            inbox: Stream::default(),
        };
        let drivers = (0..shares.len())
            .map(|part| {
                let first = shares[..part].iter().sum();
                Echo {
                    book: Book::new(run.control, part),
                    options,
                    part: (part, shares.len()),
                    first,
                    callers: (first..first + shares[part]).map(caller).collect(),
                    ready: 0,
                    schedule: None,
                    started: false,
                    turn_of: 0,
                }
            })
            .collect();
        let tcp = options.tcp.then_some(options.load.payload as usize);
        let (mut measured, drivers) = Run { tcp, ..*run }.drive(drivers)?;
        for driver in &drivers {
            measured.faults.add(&driver.book.faults);
            driver.callers.iter().for_each(|caller| caller.inbox.close(caller.sent, &mut measured.faults));
        }
        let (connections, payload) = (options.connections, options.load.payload);
        let loop_kind = options.load.describe("connection");
        let tcp = if options.tcp { ", bare TCP" } else { "" };
        let workload = format!("{connections} connections{tcp}, {payload} B, {loop_kind}");
        Ok(Table::new("echo", workload).with(run, measured, drivers.iter().map(|driver| &driver.book)))
    })
}

/// What one connection sends.
fn template(options: &EchoArgs, control: &Control, sender: u32) -> Template {
    let (payload, run) = (options.load.payload as usize, control.run());
    if options.tcp {
        return Template::unframed(payload, run, sender);
    }
    let dialect = control.dialect();
    Template::new(Message { dialect, to: To::Back, payload, sender, run, ids: false })
}

impl Echo<'_> {
    fn name(&self, conn: ConnId) -> String {
        user_name(self.book.control.run(), self.first + conn)
    }

    fn send(&mut self, io: &mut Io<'_>, conn: ConnId, time: u64) {
        let caller = &mut self.callers[conn];
        io.send(conn, caller.template.stamp(Kind::Work, caller.sent, time));
        caller.sent += 1;
        self.book.sent();
    }

    fn begin(&mut self, io: &mut Io<'_>, start: u64, now: u64) {
        self.started = true;
        self.schedule = self.options.load.schedule(self.part.0, self.part.1, start);
        if self.schedule.is_none() {
            for conn in 0..self.callers.len() {
                for _ in 0..self.options.load.in_flight.unwrap_or(0) {
                    self.send(io, conn, now);
                }
            }
        }
    }

    fn send_due(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(mut schedule) = self.schedule.take() else { return Next::Event };
        while self.book.sending(schedule.next()) {
            let Some(intended) = schedule.due(now) else { break };
            self.send(io, self.turn_of, intended);
            io.flush();
            self.book.left(intended);
            self.turn_of = (self.turn_of + 1) % self.callers.len();
        }
        let next = self.options.load.next(&schedule);
        self.schedule = Some(schedule);
        next
    }
}

impl Driver for Echo<'_> {
    fn path(&self, conn: ConnId) -> Option<String> {
        let name = self.name(conn);
        self.book.dialect().path(&name, &name)
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let ready = self.options.tcp || self.book.greet(io, conn);
        self.ready += usize::from(ready);
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let Some(mark) = self.book.mark(payload) else {
            let answer = self.book.answer(io, conn, payload);
            self.ready += usize::from(answer == Answer::Welcome);
            return;
        };
        if mark.sender as usize != self.first + conn {
            self.book.faults.misdelivered += 1;
            return;
        }
        if self.callers[conn].inbox.arrived(mark.seq, &mut self.book.faults) {
            self.book.delivered(mark.time, now);
        }
        if self.schedule.is_none() && self.book.sending(now) {
            self.send(io, conn, now);
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else {
            if self.ready == self.callers.len() {
                self.book.ready();
            }
            return Next::Event;
        };
        if !self.started {
            self.begin(io, start, now);
        }
        let next = self.send_due(io, now);
        if self.book.sending(now) {
            return next;
        }
        let tallies = self.book.tallies;
        if tallies.delivered.load(Relaxed) >= tallies.sent.load(Relaxed) {
            self.book.done();
        }
        Next::Event
    }
}
