//! The thread beside those that measure: begins and ends the parts of a run, looks at both sides at the window's ends,
//! closes the moments and shows how it goes. Knows no workload.
use super::{Measured, Run};
use crate::control::{Control, Phase};
use crate::interrupt;
use crate::limits::{LINGER_MS, PAGE_MS, SETTLE_FROM, SETTLE_SECONDS, SETUP_SECONDS};
use crate::procstat::{self, Sample};
use crate::progress::{Glance, Progress, Stage};
use crate::report::{Memory, MemoryAt};
use crate::scrape::{self, Page};
use crate::timeline::Timeline;
use std::time::{Duration, Instant};

/// Longest sleep between two looks at the clock and the keyboard: while something is waited for, and in the window.
const NAP: Duration = Duration::from_millis(5);
const WINDOW_NAP: Duration = Duration::from_millis(50);

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;

/// Both sides before the first connection.
pub(super) struct Before {
    server: Option<Sample>,
    memory: MemoryAt,
}

/// Both sides and the counters at one moment.
struct Look {
    at: Instant,
    server: Option<Sample>,
    generator: Option<Sample>,
    sent: u64,
    deliveries: u64,
    acks: u64,
    bytes_sent: u64,
    bytes_received: u64,
    heartbeats: u64,
    packed: u64,
    unpacked: u64,
}

/// The one who watches.
pub(super) struct Watch<'a> {
    run: &'a Run<'a>,
    control: &'a Control,
    before: Before,
    /// Connections that may fail during the set-up.
    spare: u64,
    timeline: Timeline<'a>,
    progress: Progress,
    interrupted: bool,
    /// The present stage, and when it began.
    stage: Stage,
    since: u64,
}

impl Before {
    pub(super) fn of(run: &Run<'_>) -> Self {
        let server = run.target.pid.and_then(Sample::exact);
        Self { memory: memory(server.as_ref(), 0), server }
    }
}

impl<'a> Watch<'a> {
    pub(super) fn new(run: &'a Run<'a>, before: Before, spare: u64) -> Self {
        Self {
            run,
            control: run.control,
            before,
            spare,
            timeline: Timeline::new(run.control, run.target.pid),
            progress: Progress::new(run.args.quiet),
            interrupted: false,
            stage: Stage::SettingUp,
            since: run.control.now(),
        }
    }

    /// Sees a run through all its parts, until every thread that measures has left.
    pub(super) fn through(mut self) -> Measured {
        let rss_half = self.set_up();
        let mut measured = if self.control.over() { Measured::default() } else { self.load() };
        let plateau = self.memory(self.control.connected());
        measured.connected = plateau.connections;
        self.control.finish();
        let threads = self.control.threads();
        self.pass(Stage::Closing, |control| if control.left() < threads { u64::MAX } else { 0 });
        let after = self.settled();
        measured.rss_before = self.before.server.as_ref().map(|sample| sample.rss);
        measured.rss_half = rss_half;
        measured.interrupted = self.interrupted;
        let past = self.timeline.finish();
        measured.course.measured =
            self.control.start().zip(self.control.measured()).map(|(start, (from, to))| {
                let since_start = |time: u64| (time - start) as f64 / 1e9;
                (since_start(from), since_start(to))
            });
        measured.course.memory = Some(Memory { before: self.before.memory, plateau, after });
        (measured.course.moments, measured.course.heat) = (past.moments, past.heat);
        measured.course.slices = past.slices;
        measured
    }

    /// Waits for everyone to be signed in; on the way looks at the server's memory once, half-way.
    fn set_up(&mut self) -> Option<(u64, u64)> {
        let connections = self.connections();
        let patience = self.patience();
        let mut half = None;
        while !self.control.ready() && !self.control.over() {
            if self.control.failed() > self.spare {
                let failed = self.control.failed();
                self.control.call_off(&format!(
                    "{failed} of {connections} connections failed while they were set up"
                ));
            } else if self.control.now() - self.since > patience {
                self.control.call_off(&format!(
                    "not all of {connections} connections were open, signed in and heard after {:?}",
                    Duration::from_nanos(patience)
                ));
            }
            let opened = self.control.total(|tallies| &tallies.opened);
            if half.is_none() && opened >= connections / 2 {
                half = self.run.target.pid.and_then(procstat::rss).map(|rss| (opened, rss));
            }
            self.tick(Stage::SettingUp, u64::MAX);
            std::thread::sleep(NAP);
        }
        half
    }

    /// Nanoseconds for everyone to be set up.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seconds of a set-up
    fn patience(&self) -> u64 {
        if let Some(patience) = self.run.args.patience {
            return patience.as_nanos() as u64;
        }
        let connections = self.connections();
        let paced = self.run.args.pace(1).map_or(0, |pace| (connections as f64 / pace) as u64);
        (SETUP_SECONDS + connections / 1000 + paced) * 1_000_000_000
    }

    /// From the beginning of the load until nothing is on its way any more.
    fn load(&mut self) -> Measured {
        let ready = self.run.target.pid.and_then(Sample::of);
        let setup = self.before.server.as_ref().zip(ready.as_ref());
        let setup_cpu = setup.map(|(before, ready)| ready.since(before).cpu);
        // Where there is no warm-up, the page is asked for before the load.
        let warm = !self.control.window().warmup.is_zero();
        let page = if warm { None } else { self.page(scrape::PATIENCE) };
        self.control.begin();
        let window = |control: &Control| control.measured().unwrap_or((0, 0));
        // The page is asked for outside the window: answering it is no part of the workload.
        self.pass(Stage::WarmingUp, |control| window(control).0.saturating_sub(PAGE_MS * MS));
        let before = if warm { self.page_before(window(self.control).0) } else { page };
        self.pass(Stage::WarmingUp, |control| window(control).0);
        let start = self.look();
        self.pass(Stage::Measuring, |control| window(control).1);
        let end = self.look();
        let pages = before.and_then(|before| Some((before, self.page(scrape::PATIENCE)?)));
        self.drain();
        let usage = |(end, start): (&Sample, &Sample)| end.since(start);
        let mut measured = Measured {
            seconds: end.at.duration_since(start.at).as_secs_f64(),
            sent: end.sent - start.sent,
            deliveries: end.deliveries - start.deliveries,
            acks: end.acks - start.acks,
            bytes_sent: end.bytes_sent - start.bytes_sent,
            bytes_received: end.bytes_received - start.bytes_received,
            packed: end.packed - start.packed,
            unpacked: end.unpacked - start.unpacked,
            heartbeats_measured: end.heartbeats - start.heartbeats,
            server: end.server.as_ref().zip(start.server.as_ref()).map(usage),
            generator: end.generator.as_ref().zip(start.generator.as_ref()).map(usage),
            setup_cpu,
            ..Measured::default()
        };
        if let Some(((before, from), (after, to))) = pages {
            let enters = |page: &Page| page.total("longwire_ring_enters_total");
            let enters = enters(&after).zip(enters(&before)).map(|(after, before)| after - before);
            measured.ring_enters_per_delivery =
                enters.filter(|_| to > from).map(|enters| enters / (to - from) as f64);
            measured.course.server_counters = after.since(&before);
        }
        measured
    }

    /// Until nothing is on its way, and a little longer: drivers say when all has come that they wait for, and what comes twice
    /// or to someone else may come last.
    fn drain(&mut self) {
        let mut read_on = None;
        self.pass(Stage::Draining, |control| {
            let now = control.now();
            if control.phase(now) == Phase::Over {
                return 0;
            }
            if !control.done() {
                return u64::MAX;
            }
            *read_on.get_or_insert(now + LINGER_MS * MS)
        });
    }

    /// The page just before the window begins, which does not wait for it: half of the time that is left is the window's.
    fn page_before(&self, window: u64) -> Option<(Page, u64)> {
        let left = window.saturating_sub(self.control.now()).min(PAGE_MS * MS);
        if left > 0 { self.page(Duration::from_nanos(left / 2)) } else { None }
    }

    /// Goes on until the time that `until` says, which may change as the run does.
    fn pass(&mut self, stage: Stage, mut until: impl FnMut(&Control) -> u64) {
        if self.stage != stage {
            (self.stage, self.since) = (stage, self.control.now());
        }
        loop {
            let end = until(self.control);
            self.tick(stage, end);
            let now = self.control.now();
            if now >= end || (self.control.over() && stage != Stage::Closing) {
                return;
            }
            let nap = if end == u64::MAX { NAP } else { WINDOW_NAP };
            let next = end.min(self.timeline.due()).saturating_sub(now);
            std::thread::sleep(nap.min(Duration::from_nanos(next)));
        }
    }

    /// What is to be done every now and then.
    fn tick(&mut self, stage: Stage, end: u64) {
        if interrupt::requested() && !self.interrupted {
            self.interrupted = true;
            self.progress.say("interrupted: the report of what there is follows; once more ends at once");
            self.control.stop_early();
        }
        if self.control.now() >= self.timeline.due() {
            self.timeline.turn();
        }
        let (run, control, since) = (self.run, self.control, self.since);
        let last = self.timeline.last();
        self.progress.show(|| {
            let per_second = |count: u64| last.map_or(0.0, |last| count as f64 / last.seconds.max(1e-9));
            let connections = run.shares.iter().sum::<usize>() as u64;
            let (connected, now) = (control.connected(), control.now());
            let known = end != u64::MAX && stage != Stage::Closing;
            let passed = now.saturating_sub(since) as f64 / end.saturating_sub(since).max(1) as f64;
            Glance {
                stage,
                connected,
                connections,
                sent: last.map_or(0.0, |last| per_second(last.sent)),
                delivered: last.map_or(0.0, |last| per_second(last.delivered)),
                p99: last.and_then(|last| last.latency).map(|latency| latency.p99 / 1e3),
                errors: control.total(|tallies| &tallies.errors) + control.failed(),
                share: if known { passed } else { connected as f64 / connections as f64 }.min(1.0),
                left: known.then(|| Duration::from_nanos(end.saturating_sub(now))),
            }
        });
    }

    /// Memory when the kernel has taken the sockets back, as far as that is worth waiting for.
    fn settled(&mut self) -> MemoryAt {
        let until = self.control.now() + SETTLE_SECONDS * 1_000_000_000;
        let (mut before, mut steady) = (u64::MAX, 0);
        while self.connections() > SETTLE_FROM
            && !self.interrupted
            && self.control.now() < until
            && steady < 6
        {
            let slab = procstat::slab().unwrap_or(0);
            // A two-hundredth is the noise of a machine at rest.
            (before, steady) = if slab < before - before / 200 { (slab, 0) } else { (before, steady + 1) };
            let next = self.control.now() + 500_000_000;
            self.pass(Stage::Closing, |_| next);
        }
        self.memory(0)
    }

    fn connections(&self) -> u64 {
        self.run.shares.iter().sum::<usize>() as u64
    }

    /// The server's metrics page, and how many deliveries there had been by then.
    fn page(&self, patience: Duration) -> Option<(Page, u64)> {
        let page = Page::fetch(self.run.target.metrics.as_deref()?, patience);
        let page = page.map_err(|error| self.control.note(&format!("metrics: {error:#}"))).ok()?;
        Some((page, self.control.total(|tallies| &tallies.delivered)))
    }

    fn memory(&self, connections: u64) -> MemoryAt {
        memory(self.run.target.pid.and_then(Sample::exact).as_ref(), connections)
    }

    fn look(&self) -> Look {
        // The counters first: a look at a large process takes its time.
        Look {
            at: Instant::now(),
            sent: self.control.total(|tallies| &tallies.sent),
            deliveries: self.control.total(|tallies| &tallies.delivered),
            acks: self.control.total(|tallies| &tallies.acked),
            bytes_sent: self.control.total(|tallies| &tallies.bytes_sent),
            bytes_received: self.control.total(|tallies| &tallies.bytes_received),
            heartbeats: self.control.total(|tallies| &tallies.pings),
            packed: self.control.total(|tallies| &tallies.packed),
            unpacked: self.control.total(|tallies| &tallies.unpacked),
            generator: Sample::own(),
            server: self.run.target.pid.and_then(Sample::exact),
        }
    }
}

fn memory(server: Option<&Sample>, connections: u64) -> MemoryAt {
    MemoryAt {
        connections,
        server_rss: server.map(|sample| sample.rss),
        generator_rss: procstat::own_rss().unwrap_or(0),
        slab: procstat::slab().unwrap_or(0),
    }
}
