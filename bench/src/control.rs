//! What the threads of a run share: the clock, the phase, the counters, the reason to stop. Knows no socket.
use crate::engine::End;
use crate::latency::Live;
use crate::limits::{FAILURE_KINDS_MAX, NOTES_MAX};
use crate::tokens::{Place, Tokens};
use crate::wire::dialect::Dialect;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Bytes of all frames, headers included: handed to the connections, and whole ones taken from them.
    pub(crate) bytes_sent: Tally,
    pub(crate) bytes_received: Tally,
    /// Messages that left compressed, and that came so.
    pub(crate) packed: Tally,
    pub(crate) unpacked: Tally,
    /// TLS handshakes, and those of them that went on with a session.
    pub(crate) handshakes: Tally,
    pub(crate) resumed: Tally,
    /// Upgrades answered by HTTP 503 with a time to come again, which the connection then did.
    pub(crate) told_to_wait: Tally,
    pub(crate) errors: Tally,
    /// Messages of another run.
    pub(crate) foreign: Tally,
    /// Heartbeats that the server asked for and got: WebSocket pings, or what its dialect has in their place.
    pub(crate) pings: Tally,
    /// How often the thread went on without sleeping: its CPU time then says nothing about its load.
    pub(crate) spun: Tally,
    /// Every delivery's latency, and how late every message left, in the whole run.
    pub(crate) latency: Live,
    pub(crate) lag: Live,
}

/// Shared by the threads of one run.
#[derive(Debug)]
pub(crate) struct Control {
    /// This run's number: names, groups, ids and marks differ from those of the run before.
    run: u32,
    dialect: Arc<Dialect>,
    tokens: Option<Arc<Tokens>>,
    origin: Instant,
    started: SystemTime,
    window: Window,
    /// Nanoseconds at which the load begins; 0 while it has not been set.
    start: AtomicU64,
    /// Drivers: each says when it is set up, and when nothing of it is on its way. A thread may have several.
    parts: AtomicUsize,
    ready: AtomicUsize,
    done: AtomicUsize,
    /// Threads that have ended, their connections closed.
    left: AtomicUsize,
    /// Nanoseconds at which the load was ended before its time; 0 while it was not.
    stopped: AtomicU64,
    over: AtomicBool,
    /// Why the run could not be what was asked for.
    called_off: Mutex<Option<String>>,
    failed: AtomicU64,
    /// Connections that failed, by kind.
    failures: Mutex<BTreeMap<String, u64>>,
    /// The first reasons: a connection's failure of each kind, a server's error.
    notes: Mutex<Vec<String>>,
    /// One for each thread: its rings ring it too.
    bells: Box<[OwnedFd]>,
    tallies: Box<[Tallies]>,
}

impl Control {
    pub(crate) fn new(window: Window, threads: usize, dialect: Arc<Dialect>) -> anyhow::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self {
            run: fastrand::u32(..),
            dialect,
            tokens: None,
            origin: Instant::now(),
            started: SystemTime::now(),
            window,
            start: AtomicU64::new(0),
            parts: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            stopped: AtomicU64::new(0),
            over: AtomicBool::new(false),
            called_off: Mutex::default(),
            failed: AtomicU64::new(0),
            failures: Mutex::default(),
            notes: Mutex::default(),
            bells: (0..threads)
                .map(|_| eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC))
                .collect::<Result<_, _>>()?,
            tallies: (0..threads).map(|_| Tallies::default()).collect(),
        })
    }

    /// Users sign in by these, and not by name.
    pub(crate) fn with_tokens(self, tokens: Option<Arc<Tokens>>) -> Self {
        Self { tokens, ..self }
    }

    /// The run's number.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// What the server is told and answers.
    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// What the upgrade says of who connects: a token, where users show theirs there.
    pub(crate) fn bearer(&self, user: impl FnOnce() -> Option<String>) -> Option<String> {
        let tokens = self.tokens.as_ref().filter(|tokens| tokens.place() == Place::Upgrade)?;
        self.token(tokens, &user()?)
    }

    /// The message that signs a user in, by name or by token; `None` where the upgrade has done it, or nobody has to.
    pub(crate) fn sign_in(&self, user: &str) -> Option<Vec<u8>> {
        match &self.tokens {
            None => self.dialect.sign_in(user),
            Some(tokens) if tokens.place() == Place::Upgrade => None,
            Some(tokens) => self.dialect.sign_in_by_token(&self.token(tokens, user)?),
        }
    }

    fn token(&self, tokens: &Tokens, user: &str) -> Option<String> {
        tokens.sign(user).map_err(|error| self.call_off(&format!("{error:#}"))).ok()
    }

    /// Nanoseconds since the run's origin.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// When the run began, by the clock on the wall.
    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    /// How long its parts last.
    pub(crate) fn window(&self) -> Window {
        self.window
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
        let to = from + nanos(self.window.duration);
        Some(match self.stopped.load(Acquire) {
            0 => (from, to),
            stopped => (from.min(stopped), to.min(stopped)),
        })
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

    /// There is one driver more.
    pub(crate) fn part_added(&self) {
        self.parts.fetch_add(1, Release);
    }

    /// One driver's connections are signed in.
    pub(crate) fn part_ready(&self) {
        self.ready.fetch_add(1, Release);
    }

    /// Nothing of one driver is on its way any more.
    pub(crate) fn part_done(&self) {
        self.done.fetch_add(1, Release);
    }

    /// Whether all drivers' connections are signed in.
    pub(crate) fn ready(&self) -> bool {
        self.ready.load(Acquire) >= self.parts.load(Acquire)
    }

    /// Whether nothing of any driver is on its way any more.
    pub(crate) fn done(&self) -> bool {
        self.done.load(Acquire) >= self.parts.load(Acquire)
    }

    /// One thread has ended and closed its connections.
    pub(crate) fn thread_left(&self) {
        self.left.fetch_add(1, Release);
    }

    /// How many threads have.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Acquire)
    }

    /// Ends the run for every thread.
    pub(crate) fn finish(&self) {
        self.over.store(true, Release);
        self.wake_all();
    }

    /// Ends the load before its time: what is on its way may still arrive. Without a load there is nothing to wait for.
    pub(crate) fn stop_early(&self) {
        if self.start().is_none() {
            return self.finish();
        }
        let _ = self.stopped.compare_exchange(0, self.now(), Release, Relaxed);
        self.wake_all();
    }

    /// Ends the run because it cannot be what was asked for.
    pub(crate) fn call_off(&self, why: &str) {
        locked(&self.called_off).get_or_insert_with(|| why.to_owned());
        self.finish();
    }

    /// Why it was called off, if it was.
    pub(crate) fn called_off(&self) -> Option<String> {
        locked(&self.called_off).clone()
    }

    /// Whether the run has ended.
    pub(crate) fn over(&self) -> bool {
        self.over.load(Acquire)
    }

    /// Counts a connection that failed or was closed.
    pub(crate) fn connection_failed(&self, why: &End) {
        self.failed.fetch_add(1, Relaxed);
        let mut failures = locked(&self.failures);
        let mut kind = why.kind();
        if failures.len() >= FAILURE_KINDS_MAX && !failures.contains_key(&kind) {
            kind = "other".into();
        }
        let count = failures.entry(kind).or_default();
        *count += 1;
        let first = *count == 1;
        drop(failures);
        if first {
            self.note(&format!("connection: {why}"));
        }
    }

    /// How many did.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// How many in which way.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        locked(&self.failures).clone()
    }

    /// Connections that are open now.
    pub(crate) fn connected(&self) -> u64 {
        if self.left() == self.threads() {
            return 0;
        }
        // In this order: one that opens and ends in between must not make it negative.
        let closed = self.total(|tallies| &tallies.closed);
        self.total(|tallies| &tallies.opened).saturating_sub(closed)
    }

    /// Keeps a reason for the report, once.
    pub(crate) fn note(&self, what: &str) {
        let mut notes = locked(&self.notes);
        if notes.len() < NOTES_MAX && !notes.iter().any(|note| note == what) {
            notes.push(what.to_owned());
        }
    }

    /// The reasons kept.
    pub(crate) fn notes(&self) -> Vec<String> {
        locked(&self.notes).clone()
    }

    /// How many threads measure.
    pub(crate) fn threads(&self) -> usize {
        self.tallies.len()
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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

    fn running(seconds: u64) -> Control {
        let second = Duration::from_secs(1);
        let window = Window { warmup: second, duration: Duration::from_secs(seconds), drain: second };
        let control = Control::new(window, 1, Dialect::named("tutorial").unwrap()).unwrap();
        control.begin();
        control
    }

    #[test]
    fn a_run_stopped_early_drains_from_there() {
        let control = running(1000);
        control.stop_early();
        let (from, to) = control.measured().unwrap();
        assert_eq!(from, to, "stopped in the warm-up nothing was measured");
        assert_eq!((control.phase(to - 1), control.phase(to)), (Phase::Warmup, Phase::Drain));
        assert_eq!(control.phase(to + 1_000_000_000), Phase::Over);
        assert!(!control.over(), "what is on its way may arrive");
        let idle = Control::new(control.window(), 1, Dialect::named("tutorial").unwrap()).unwrap();
        idle.stop_early();
        assert!(idle.over(), "without a load there is nothing to wait for");
    }

    #[test]
    fn a_part_that_is_done_stands_for_no_other_that_is_not_ready() {
        let control = running(1);
        (0..2).for_each(|_| control.part_added());
        control.part_ready();
        control.part_done();
        assert_eq!((control.ready(), control.done()), (false, false));
        control.part_ready();
        assert_eq!((control.ready(), control.done()), (true, false));
        control.part_done();
        assert!(control.done());
    }

    #[test]
    fn failures_are_counted_by_kind_and_the_kinds_are_few() {
        let control = running(1);
        for code in 1000..1100 {
            control.connection_failed(&End::Closed(code, "go".into()));
            control.connection_failed(&End::Reset);
        }
        let failures = control.failures();
        assert_eq!((control.failed(), failures.values().sum::<u64>()), (200, 200));
        assert_eq!((failures["reset"], failures.len()), (100, FAILURE_KINDS_MAX + 1));
        assert!(control.notes().len() <= NOTES_MAX && control.notes()[0].contains("closed with 1000: go"));
    }

    #[test]
    fn the_first_reason_to_call_a_run_off_stays() {
        let control = running(1);
        control.call_off("one");
        control.call_off("two");
        assert_eq!((control.called_off().as_deref(), control.over()), (Some("one"), true));
    }
}
