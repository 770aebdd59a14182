//! How the log's thread fares, for those who may not ask it: shards before they append, the control thread. Knows no file.

use crate::log::Position;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the commit times that are told apart (µs); a last kind takes what is longer.
pub const COMMIT_TIMES: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Whether the log takes records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Condition {
    /// It does.
    Whole = 0,
    /// The disk has less room than it is to keep free.
    Full = 1,
    /// A write or a sync failed; it is tried again.
    Broken = 2,
}

/// What the log has done since it was opened.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Work {
    pub commits: u64,
    pub records: u64,
    pub syncs: u64,
    /// Written, headers included.
    pub bytes: u64,
    /// Writes and syncs that failed.
    pub failures: u64,
    /// Commits that took longer than [`super::Plan::watchdog`].
    pub slow: u64,
    /// Room on the disk when it was last looked at (bytes).
    pub free: u64,
    /// How many commits took up to as long as [`COMMIT_TIMES`] says, each counted in one place; the last took longer.
    pub times: [u64; COMMIT_TIMES.len() + 1],
    /// All of those times together.
    pub time: Duration,
}

/// Numbers that one thread writes and others read, each by itself.
#[derive(Debug, Default)]
struct Tally {
    commits: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
    free: AtomicU64,
    times: [AtomicU64; COMMIT_TIMES.len() + 1],
    nanos: AtomicU64,
}

/// Written by the log's thread, read by all.
#[derive(Debug)]
pub struct Health {
    condition: AtomicU8,
    born: Instant,
    /// When the commit under way began (µs since `born`, plus one); 0 when there is none.
    since: AtomicU64,
    /// The position of the last commit that may be told.
    head: AtomicU64,
    tally: Tally,
    /// Why the log takes no records, for people.
    why: Mutex<String>,
    /// Whether what follows the log does not any more: it takes records until too many wait, but nobody should give it any.
    unfollowed: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            condition: AtomicU8::new(Condition::Whole as u8),
            born: Instant::now(),
            since: AtomicU64::new(0),
            head: AtomicU64::new(0),
            tally: Tally::default(),
            why: Mutex::default(),
            unfollowed: AtomicBool::new(false),
        }
    }
}

fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// Adds to a number that only this thread writes: no instruction that locks is needed.
fn add(number: &AtomicU64, more: u64) {
    number.store(read(number).wrapping_add(more), Ordering::Relaxed);
}

impl Health {
    /// Whether the log takes records.
    #[inline]
    pub fn condition(&self) -> Condition {
        match self.condition.load(Ordering::Relaxed) {
            0 => Condition::Whole,
            1 => Condition::Full,
            _ => Condition::Broken,
        }
    }

    /// Whether records may be queued for it.
    #[inline]
    pub fn takes_records(&self) -> bool {
        self.condition() == Condition::Whole && !self.unfollowed.load(Ordering::Relaxed)
    }

    /// Told by who follows the log: that this fails, or works again.
    pub fn is_followed(&self, followed: bool) {
        self.unfollowed.store(!followed, Ordering::Relaxed);
    }

    /// Why it takes none, if it takes none.
    pub fn why(&self) -> Option<String> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.condition() != Condition::Whole).then(why)
    }

    /// How long the commit under way has taken.
    pub fn stuck_for(&self) -> Option<Duration> {
        let since = read(&self.since).checked_sub(1)?;
        self.born.elapsed().checked_sub(Duration::from_micros(since))
    }

    /// The last record that anyone may have been told to be committed.
    pub fn head(&self) -> Position {
        Position(self.head.load(Ordering::Acquire))
    }

    /// What the log has done.
    pub fn work(&self) -> Work {
        let tally = &self.tally;
        Work {
            commits: read(&tally.commits),
            records: read(&tally.records),
            syncs: read(&tally.syncs),
            bytes: read(&tally.bytes),
            failures: read(&tally.failures),
            slow: read(&tally.slow),
            free: read(&tally.free),
            times: std::array::from_fn(|n| read(&tally.times[n])),
            time: Duration::from_nanos(read(&tally.nanos)),
        }
    }

    pub(super) fn reaches(&self, position: Position) {
        self.head.store(position.0, Ordering::Release);
    }

    pub(super) fn set(&self, condition: Condition, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.condition.store(condition as u8, Ordering::Relaxed);
    }

    pub(super) fn begins(&self) {
        let now = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    pub(super) fn synced(&self) {
        add(&self.tally.syncs, 1);
    }

    pub(super) fn was_slow(&self) {
        add(&self.tally.slow, 1);
    }

    /// A write or a sync has failed.
    pub fn failed(&self) {
        add(&self.tally.failures, 1);
    }

    pub(super) fn has_free(&self, bytes: u64) {
        self.tally.free.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn committed(&self, records: u32, bytes: usize, took: Duration) {
        let tally = &self.tally;
        add(&tally.commits, 1);
        add(&tally.records, u64::from(records));
        add(&tally.bytes, bytes as u64);
        let micros = took.as_micros();
        let kind = COMMIT_TIMES.partition_point(|bound| u128::from(*bound) < micros);
        add(&tally.times[kind], 1);
        add(&tally.nanos, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_by_how_long_it_took() {
        let health = Health::default();
        for micros in [1, 50, 51, 5_000_001] {
            health.committed(2, 100, Duration::from_micros(micros));
        }
        let work = health.work();
        assert_eq!((work.commits, work.records, work.bytes), (4, 8, 400));
        assert_eq!((work.times[0], work.times[1], work.times[COMMIT_TIMES.len()]), (2, 1, 1));
        assert_eq!(work.time, Duration::from_micros(5_000_103));
    }

    #[test]
    fn a_reason_is_told_while_it_holds() {
        let health = Health::default();
        assert_eq!(health.why(), None);
        health.set(Condition::Full, "no room".into());
        assert_eq!(health.why().as_deref(), Some("no room"));
        health.set(Condition::Whole, String::new());
        assert_eq!(health.why(), None);
    }
}
