//! What every driver keeps: its thread's counters, histograms and ledger; and the load's options.
use super::acks::Acks;
use crate::control::{Control, Phase, Tallies, Window};
use crate::engine::{ConnId, Next, bump};
use crate::latency::Latency;
use crate::ledger::Faults;
use crate::schedule::Schedule;
use crate::target::positive;
use crate::wire::acked::{Acked, Ids};
use crate::wire::marker::{self, Found, Kind, Mark};
use clap::Args;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Options of every workload that sends.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// Bytes of each message's payload
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(marker::SIZE as i64..=(1 << 20)))]
    pub(crate) payload: u32,
    /// Open loop: messages a second in all, latency counted from the intended time
    #[arg(long, required = false, value_parser = positive)]
    pub(crate) rate: f64,
    /// Closed loop in place of a rate, for capacity: messages under way, per pair, group or connection
    #[arg(long, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) in_flight: Option<u32>,
    /// Open loop: exponential gaps in place of even ones
    #[arg(long, conflicts_with = "in_flight")]
    pub(crate) poisson: bool,
    /// Open loop: seed of the gaps
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Open loop: never sleep between messages (steadier latency, one core burnt)
    #[arg(long, conflicts_with = "in_flight")]
    pub(crate) spin: bool,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
}

/// How long a run lasts.
#[derive(Debug, Clone, Args)]
pub(crate) struct WindowArgs {
    /// Measured time
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// Time under load before it
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) warmup: Duration,
    /// Time at most for what is still under way at the end
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) drain: Duration,
}

impl WindowArgs {
    pub(crate) fn window(&self) -> Window {
        Window { warmup: self.warmup, duration: self.duration, drain: self.drain }
    }
}

impl LoadArgs {
    /// Whether messages follow a schedule, and not each other.
    pub(crate) fn open_loop(&self) -> bool {
        self.in_flight.is_none()
    }

    /// The loop in a report's words.
    pub(crate) fn describe(&self, unit: &str) -> String {
        let (rate, seed) = (self.rate, self.seed);
        match self.in_flight {
            Some(in_flight) => format!("closed loop, {in_flight} in flight per {unit}"),
            None if self.poisson => format!("open loop, {rate}/s, exponential gaps (seed {seed})"),
            None => format!("open loop, {rate}/s, even gaps"),
        }
    }

    /// The schedule of one thread, in an open loop.
    pub(crate) fn schedule(&self, part: usize, of: usize, start: u64) -> Option<Schedule> {
        let seed = self.poisson.then_some(self.seed);
        self.open_loop().then(|| Schedule::new(self.rate, part, of, start, seed))
    }

    /// When to look at the schedule again.
    pub(crate) fn next(&self, schedule: &Schedule) -> Next {
        if self.spin { Next::Spin } else { Next::At(schedule.next()) }
    }
}

/// One thread's share of what is measured.
pub(crate) struct Book<'a> {
    pub(crate) control: &'a Control,
    pub(crate) tallies: &'a Tallies,
    pub(crate) latency: Latency,
    /// Latencies told apart: of every other slice of the window, when it is cut into slices; of slow readers.
    pub(crate) second: Latency,
    pub(crate) lag: Latency,
    pub(crate) faults: Faults,
    /// Of an open loop's messages meant for the window, those that left within it.
    pub(crate) in_time: u64,
    ids: Ids,
    acks: Acks,
    ready: bool,
    done: bool,
    /// A slice's nanoseconds; 0: the window is whole.
    slice: u64,
}

impl<'a> Book<'a> {
    pub(crate) fn new(control: &'a Control, thread: usize) -> Self {
        control.part_added();
        Self {
            control,
            tallies: control.tallies(thread),
            latency: Latency::default(),
            second: Latency::default(),
            lag: Latency::default(),
            faults: Faults::default(),
            in_time: 0,
            ids: Ids::new(control.run()),
            acks: Acks::default(),
            ready: false,
            done: false,
            slice: 0,
        }
    }

    /// Expects acks: `writers` says which connection writes under each number from `first` on, if one of this thread does.
    pub(crate) fn with_acks(mut self, first: usize, writers: impl Iterator<Item = Option<ConnId>>) -> Self {
        self.acks = Acks::new(first, writers);
        self
    }

    /// Cuts the window into slices, the second of each two disturbed.
    pub(crate) fn alternate(&mut self, slice: u64) {
        self.slice = slice;
    }

    /// Whether `time` lies in a disturbed slice.
    pub(crate) fn disturbed(&self, time: u64) -> bool {
        let from = self.control.measured().map_or(0, |(from, _)| from);
        self.slice > 0 && time >= from && (time - from) / self.slice % 2 == 1
    }

    /// Says once that this driver is set up.
    pub(crate) fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.control.part_ready();
        }
    }

    /// Says once that nothing of this driver is under way any more.
    pub(crate) fn done(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.control.part_done();
        }
    }

    /// Whether a message meant for `time` is to be sent.
    pub(crate) fn sending(&self, time: u64) -> bool {
        matches!(self.control.phase(time), Phase::Warmup | Phase::Measure)
    }

    /// Counts a message sent.
    pub(crate) fn sent(&mut self) {
        bump(&self.tallies.sent, 1);
    }

    /// Counts a message that was meant to leave at `time`, and waits for its ack where writers have any.
    pub(crate) fn sent_by(&mut self, writer: usize, time: u64) {
        self.sent();
        self.acks.asked(writer, time);
    }

    /// Records how late an open loop's message left.
    pub(crate) fn left(&mut self, intended: u64) {
        let now = self.control.now();
        let lag = now.saturating_sub(intended);
        self.tallies.lag.record(lag);
        if self.control.phase(intended) == Phase::Measure {
            self.lag.record(lag);
            self.in_time += u64::from(self.control.phase(now) == Phase::Measure);
        }
    }

    /// Counts a delivery, and its latency when it was meant for the window.
    pub(crate) fn delivered(&mut self, intended: u64, now: u64) {
        let latency = now.saturating_sub(intended);
        bump(&self.tallies.delivered, 1);
        self.tallies.latency.record(latency);
        if self.control.phase(intended) == Phase::Measure {
            let kept = if self.disturbed(intended) { &mut self.second } else { &mut self.latency };
            kept.record(latency);
        }
    }

    /// The same for a delivery whose latency is no part of the run's: it is kept apart.
    pub(crate) fn delivered_apart(&mut self, intended: u64, now: u64) {
        bump(&self.tallies.delivered, 1);
        if self.control.phase(intended) == Phase::Measure {
            self.second.record(now.saturating_sub(intended));
        }
    }

    /// The mark in what arrived; `None` when there is none that is this run's.
    pub(crate) fn mark(&mut self, message: &[u8]) -> Option<Mark> {
        match Mark::find(message, self.control.dialect().bounds()) {
            Found::Whole(mark) if mark.run == self.control.run() => return Some(mark),
            // Names differ from run to run, so nothing but a broadcast is for two of them.
            Found::Whole(mark) if mark.kind == Kind::Broadcast => bump(&self.tallies.foreign, 1),
            Found::Whole(_) => self.faults.misdelivered += 1,
            Found::Broken => self.faults.corrupted += 1,
            Found::Nothing => {}
        }
        None
    }

    /// Counts each message's first ack. A second one is a duplicate; one for another connection's message is misdelivered.
    /// (Their order is not looked at: nothing promises one.)
    pub(super) fn acked(&mut self, conn: ConnId, message: &[u8]) {
        let new = match self.ids.read(message) {
            Acked::Work { sender, seq } => {
                let (new, meant) = self.acks.came(conn, (sender, seq), &mut self.faults);
                if let Some(meant) = meant.filter(|meant| self.control.phase(*meant) == Phase::Measure) {
                    self.acks.measured(meant, self.control.now());
                }
                new
            }
            Acked::Probe => false,
            Acked::Unnamed => true,
        };
        bump(&self.tallies.acked, u64::from(new));
    }

    /// How long acks took.
    pub(crate) fn ack_latency(&self) -> &Latency {
        &self.acks.latency
    }

    /// The longest time without one, in nanoseconds.
    pub(crate) fn ack_gap(&self) -> u64 {
        self.acks.gap
    }

    /// Messages of this thread that were never acked.
    pub(crate) fn unacked(&self) -> u64 {
        self.tallies.sent.load(Relaxed).saturating_sub(self.tallies.acked.load(Relaxed))
    }
}
