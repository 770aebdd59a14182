//! What the threads of a run share: the clock, the phase, the counters, the reason to stop. Knows no socket.
use crate::engine::End;
use crate::wire::dialect::Dialect;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A counter with one writing thread.
pub(crate) type Tally = AtomicU64;

/// How long the parts of a run last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    /// How long to wait for what is still on its way.
    pub(crate) drain: Duration,
}

/// Where in the run a time lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connections are being opened and signed in.
    Setup,
    /// Under load, not measured.
    Warmup,
    /// Measured.
    Measure,
    /// Nothing new is sent; what is on its way may arrive.
    Drain,
    /// Past everything.
    Over,
}

/// The counters of one thread, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tallies {
    /// Connections upgraded.
    pub(crate) opened: Tally,
    /// Connections of those that have ended.
    pub(crate) closed: Tally,
    pub(crate) sent: Tally,
    pub(crate) delivered: Tally,
    pub(crate) acked: Tally,
    pub(crate) errors: Tally,
    /// Messages of another run.
    pub(crate) foreign: Tally,
}

/// Shared by the threads of one run.
#[derive(Debug)]
pub(crate) struct Control {
    /// This run's number: names, groups, ids and marks differ from those of the run before.
    run: u32,
    dialect: Arc<Dialect>,
    origin: Instant,
    window: Window,
    /// Nanoseconds at which the load begins; 0 while it has not been set.
    start: AtomicU64,
    ready: AtomicUsize,
    over: AtomicBool,
    failed: AtomicUsize,
    /// The first reason of each kind: why the run was called off, a connection's failure, a server's error.
    notes: Mutex<Vec<String>>,
    /// One for each thread: its rings ring it too.
    bells: Box<[OwnedFd]>,
    tallies: Box<[Tallies]>,
}

/// Reasons kept for the report.
const NOTES_MAX: usize = 5;

impl Control {
    pub(crate) fn new(window: Window, threads: usize, dialect: Arc<Dialect>) -> anyhow::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self {
            run: fastrand::u32(..),
            dialect,
            origin: Instant::now(),
            window,
            start: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            failed: AtomicUsize::new(0),
            notes: Mutex::default(),
            bells: (0..threads)
                .map(|_| eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC))
                .collect::<Result<_, _>>()?,
            tallies: (0..threads).map(|_| Tallies::default()).collect(),
        })
    }

    /// The run's number.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// What the server is told and answers.
    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Nanoseconds since the run's origin.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Begins the load.
    pub(crate) fn begin(&self) {
        self.start.store(self.now().max(1), Release);
        self.wake_all();
    }

    /// When the load began, if it has.
    pub(crate) fn start(&self) -> Option<u64> {
        Some(self.start.load(Acquire)).filter(|&start| start > 0)
    }

    /// Beginning and end of the measured window.
    pub(crate) fn measured(&self) -> Option<(u64, u64)> {
        let from = self.start()? + nanos(self.window.warmup);
        Some((from, from + nanos(self.window.duration)))
    }

    /// Where `time` lies.
    pub(crate) fn phase(&self, time: u64) -> Phase {
        match self.measured() {
            None => Phase::Setup,
            Some((from, _)) if time < from => Phase::Warmup,
            Some((_, to)) if time < to => Phase::Measure,
            Some((_, to)) if time < to + nanos(self.window.drain) => Phase::Drain,
            Some(_) => Phase::Over,
        }
    }

    /// One thread's connections are signed in.
    pub(crate) fn thread_ready(&self) {
        self.ready.fetch_add(1, Release);
    }

    /// How many threads are.
    pub(crate) fn ready(&self) -> usize {
        self.ready.load(Acquire)
    }

    /// Ends the run for every thread.
    pub(crate) fn finish(&self) {
        self.over.store(true, Release);
        self.wake_all();
    }

    /// Ends the run because it cannot be what was asked for.
    pub(crate) fn call_off(&self, why: &str) {
        self.note(why);
        self.failed.fetch_max(1, Relaxed);
        self.finish();
    }

    /// Whether the run has ended.
    pub(crate) fn over(&self) -> bool {
        self.over.load(Acquire)
    }

    /// Counts a connection that failed or was closed.
    pub(crate) fn connection_failed(&self, why: &End) {
        self.failed.fetch_add(1, Relaxed);
        self.note(&format!("connection: {why}"));
    }

    /// How many did.
    pub(crate) fn failed(&self) -> usize {
        self.failed.load(Relaxed)
    }

    /// Keeps a reason for the report, once.
    pub(crate) fn note(&self, what: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if notes.len() < NOTES_MAX && !notes.iter().any(|note| note == what) {
            notes.push(what.to_owned());
        }
    }

    /// The reasons kept.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The counters of a thread.
    pub(crate) fn tallies(&self, thread: usize) -> &Tallies {
        &self.tallies[thread]
    }

    /// A counter's sum over the threads.
    pub(crate) fn total(&self, counter: impl Fn(&Tallies) -> &Tally) -> u64 {
        self.tallies.iter().map(|tallies| counter(tallies).load(Relaxed)).sum()
    }

    /// The descriptor that wakes a thread.
    pub(crate) fn bell(&self, thread: usize) -> BorrowedFd<'_> {
        self.bells[thread].as_fd()
    }

    /// Wakes every thread.
    pub(crate) fn wake_all(&self) {
        for bell in &self.bells {
            // It cannot fill: a run writes it some thousand times, not 2^64.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_follow_each_other() {
        let second = Duration::from_secs(1);
        let dialect = Dialect::named("tutorial").unwrap();
        let control =
            Control::new(Window { warmup: second, duration: 2 * second, drain: second }, 1, dialect).unwrap();
        assert_eq!(control.phase(control.now()), Phase::Setup);
        control.begin();
        let start = control.start().unwrap();
        let seconds = |s: u64| start + s * 1_000_000_000;
        assert_eq!(control.phase(seconds(0)), Phase::Warmup);
        assert_eq!(control.phase(seconds(1)), Phase::Measure);
        assert_eq!(control.phase(seconds(3)), Phase::Drain);
        assert_eq!(control.phase(seconds(4)), Phase::Over);
    }
}
