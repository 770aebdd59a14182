//! Commits on their way from the log's thread to the view's: bounded in bytes, and taken many at a time. Knows neither thread.
//!
//! At `fsync` a commit is often a handful of messages, and what a view costs is by the batch: so its thread waits a little for more, unless a
//! reader waits for what is there.

use crate::limits::{APPLY_BYTES, BACKLOG_BYTES};
use crate::log::Position;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the view's thread waits for more than there is.
const GATHER: Duration = Duration::from_millis(5);
/// What a commit takes besides its records (bytes, about).
const OVERHEAD: usize = 64;

/// A commit's records, as the log has them.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub first: Position,
    pub records: u32,
    pub body: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct State {
    commits: VecDeque<Committed>,
    bytes: usize,
    /// Somebody waits for what is here or about to come.
    hurry: bool,
    /// One of the two ends is gone.
    ended: bool,
}

#[derive(Debug, Default)]
struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

/// The log's end.
#[derive(Debug)]
pub(super) struct Giver(Arc<Backlog>);

/// The view's end.
#[derive(Debug)]
pub(super) struct Taker(Arc<Backlog>);

/// Whoever cannot wait for more to be gathered.
#[derive(Debug)]
pub(super) struct Hurry(Arc<Backlog>);

/// A backlog's ends.
pub(super) fn backlog() -> (Giver, Taker, Hurry) {
    let backlog = Arc::<Backlog>::default();
    (Giver(Arc::clone(&backlog)), Taker(Arc::clone(&backlog)), Hurry(backlog))
}

impl Giver {
    /// Waits while the view is [`BACKLOG_BYTES`] behind; what comes after its end is nobody's.
    pub(super) fn give(&self, commit: Committed) {
        let full = |state: &mut State| state.bytes >= BACKLOG_BYTES && !state.ended;
        let waited = self.0.changed.wait_while(self.0.lock(), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let before = state.bytes;
        state.bytes += commit.body.len() + OVERHEAD;
        state.commits.push_back(commit);
        // Whoever gathers need not know of each.
        if before == 0 || state.hurry || state.bytes >= APPLY_BYTES {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Taker {
    /// Takes [`APPLY_BYTES`] of commits, about, or what there is after a little; 0 bytes once there will be no more.
    pub(super) fn take(&self, into: &mut Vec<Committed>) -> usize {
        let nothing = |state: &mut State| state.commits.is_empty() && !state.ended;
        let waited = self.0.changed.wait_while(self.0.lock(), nothing);
        let little = |state: &mut State| state.bytes < APPLY_BYTES && !state.hurry && !state.ended;
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(state, GATHER, little);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        while bytes < APPLY_BYTES
            && let Some(commit) = state.commits.pop_front()
        {
            bytes += commit.body.len() + OVERHEAD;
            into.push(commit);
        }
        state.bytes -= bytes;
        state.hurry &= !state.commits.is_empty();
        self.0.changed.notify_all();
        bytes
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Hurry {
    /// Has what there is, or else the next to come, taken at once.
    pub(super) fn hurry(&self) {
        self.0.lock().hurry = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn commit(n: u64, bytes: usize) -> Committed {
        Committed { first: Position(n), records: 1, body: vec![0; bytes].into() }
    }

    #[test]
    fn what_is_given_is_taken_in_order_and_then_there_is_an_end() {
        let (giver, taker, _hurry) = backlog();
        let gives = std::thread::spawn(move || (0..1000).for_each(|n| giver.give(commit(n, 50_000))));
        let (mut taken, mut next) = (Vec::new(), 0);
        while taker.take(&mut taken) > 0 {
            assert!(taken.iter().map(|commit| commit.body.len()).sum::<usize>() < APPLY_BYTES + 50_000);
            for commit in taken.drain(..) {
                assert_eq!(commit.first, Position(next));
                next += 1;
            }
        }
        gives.join().unwrap();
        assert_eq!(next, 1000);
    }

    #[test]
    fn it_is_bounded_in_bytes_and_its_giver_does_not_wait_for_a_taker_that_is_gone() {
        let (giver, taker, _hurry) = backlog();
        let small = (0..10_000).map(|n| giver.give(commit(n, 100)));
        assert_eq!(small.count(), 10_000, "many small ones hold nobody up");
        (0..BACKLOG_BYTES / APPLY_BYTES - 1)
            .for_each(|n| giver.give(commit(n as u64, APPLY_BYTES - OVERHEAD)));
        assert!(giver.0.lock().bytes >= BACKLOG_BYTES - APPLY_BYTES);
        let waits = std::thread::spawn(move || (0..2).for_each(|n| giver.give(commit(n, APPLY_BYTES))));
        drop(taker);
        waits.join().unwrap();
    }

    #[test]
    fn nobody_in_a_hurry_waits_for_more() {
        let (giver, taker, hurry) = backlog();
        hurry.hurry();
        giver.give(commit(1, 10));
        assert_eq!(taker.take(&mut Vec::new()), 10 + OVERHEAD);
        assert!(!giver.0.lock().hurry, "it is over when all was taken");
        let began = Instant::now();
        giver.give(commit(2, 10));
        taker.take(&mut Vec::new());
        assert!(began.elapsed() >= GATHER, "without it more is waited for");
    }
}
