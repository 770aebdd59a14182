//! What every driver keeps: its thread's counters, histograms and ledger; and the load's options.
use crate::control::{Control, Phase, Tallies, Window};
use crate::engine::{ConnId, Next, bump};
use crate::latency::Latency;
use crate::ledger::{Faults, Stream};
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
    ids: Ids,
    /// Which of its messages each connection has an ack for, as far as there are any.
    acks: Vec<Stream>,
    /// Where a connection writes under several numbers: how many numbers there are, and acks are kept by them.
    ack_senders: usize,
    announced: u8,
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
            ids: Ids::new(control.run()),
            acks: Vec::new(),
            ack_senders: 0,
            announced: 0,
            slice: 0,
        }
    }

    /// Keeps acks by the sender's number, of which there are so many, and not by connection.
    pub(crate) fn acks_by_sender(mut self, senders: usize) -> Self {
        self.ack_senders = senders;
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
        self.announce(1);
    }

    /// Says once that nothing of this driver is under way any more.
    pub(crate) fn done(&mut self) {
        self.announce(2);
    }

    fn announce(&mut self, stage: u8) {
        if self.announced < stage {
            self.announced = stage;
            self.control.part_ready();
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

    /// Records how late an open loop's message left.
    pub(crate) fn left(&mut self, intended: u64) {
        let lag = self.control.now().saturating_sub(intended);
        self.tallies.lag.record(lag);
        if self.control.phase(intended) == Phase::Measure {
            self.lag.record(lag);
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
    pub(crate) fn mark(&mut self, payload: &[u8]) -> Option<Mark> {
        match Mark::find(payload) {
            Found::Whole(mark) if mark.run == self.control.run() => return Some(mark),
            // Names differ from run to run, so nothing but a broadcast is for two of them.
            Found::Whole(mark) if mark.kind == Kind::Broadcast => bump(&self.tallies.foreign, 1),
            Found::Whole(_) => self.faults.misdelivered += 1,
            Found::Broken => self.faults.corrupted += 1,
            Found::Nothing => {}
        }
        None
    }

    /// Counts each message's first ack. (Their order is not looked at: nothing promises one.)
    pub(super) fn acked(&mut self, conn: ConnId, text: &[u8]) {
        let new = match self.ids.read(text) {
            Acked::Work { sender, seq } => {
                let at = if self.ack_senders == 0 { conn } else { sender as usize % self.ack_senders };
                if self.acks.len() <= at {
                    self.acks.resize_with(at + 1, Stream::default);
                }
                self.acks[at].arrived(seq, &mut Faults::default())
            }
            Acked::Probe => false,
            Acked::Unnamed => true,
        };
        bump(&self.tallies.acked, u64::from(new));
    }

    /// Messages of this thread that were never acked.
    pub(crate) fn unacked(&self) -> u64 {
        self.tallies.sent.load(Relaxed).saturating_sub(self.tallies.acked.load(Relaxed))
    }
}
