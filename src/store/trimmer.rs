//! The trimmer's thread: looks through the view for what is kept longer than it should be, asks the conversations' homes to trim it, and has
//! the database be rid of it. Knows no rules.
//!
//! A trim is a record like any other, written by its conversation's home. What a home does not write now is found again by the next look.

use super::applier::Applied;
use super::port::Answer;
use super::readers::Count;
use super::shared::{Shared, lets_others_write_first};
use super::{Wake, wall};
use crate::ids::{ConversationId, Millis, Seq};
use crate::limits::{LOOKED_AT_ONCE, TRIMS_WAITING};
use crate::log::Position;
use crate::route::Router;
use crate::view::disk::{Bounds, Looked, ViewError};
use flume::{Receiver, RecvTimeoutError, Sender};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The longest and the shortest time between two looks through everything.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_LEAST: Duration = Duration::from_millis(100);
/// A message goes at most so much of the time it may be kept too late (one part of so many).
const LATE: u32 = 10;
/// The thread rests so many times as long as it looks.
const REST: u32 = 9;
/// Tables are written anew when so much is gone from them (bytes), and one part of so many.
const SWEEP_LEAST: u64 = 4 << 20;
const SWEEP_SHARE: u64 = 4;

/// How long messages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// After it they go, if it is not zero.
    pub max_age: Duration,
    /// What a conversation keeps at most (bytes), if it is not zero.
    pub max_bytes: u64,
}

impl Retention {
    /// Whether anything ever goes.
    pub(super) fn is_bounded(self) -> bool {
        !self.max_age.is_zero() || self.max_bytes > 0
    }
}

/// The thread's state.
pub(super) struct Trimmer {
    pub retention: Retention,
    pub router: Router,
    pub view: Arc<Shared>,
    pub applied: Arc<Applied>,
    pub count: Arc<Count>,
    pub answers: Vec<Sender<Answer>>,
    pub wakes: Vec<Wake>,
    /// Where the view is, and the room to leave there (bytes).
    pub folder: PathBuf,
    pub min_free: u64,
    pub ended: Receiver<()>,
}

/// When everything was looked at and nothing was to be done: up to where, and the oldest message then.
type Idle = Option<(Position, Option<Millis>)>;

impl Trimmer {
    /// Runs until the other end of `ended` is dropped.
    pub(super) fn run(self) {
        lets_others_write_first();
        let Retention { max_age, .. } = self.retention;
        let pause = if max_age.is_zero() { PAUSE } else { (max_age / LATE).clamp(PAUSE_LEAST, PAUSE) };
        let mut idle: Idle = None;
        while self.rests(pause) {
            let (applied, bounds) = (self.applied.position(), self.bounds());
            let nothing_since = |(at, oldest): (Position, Option<Millis>)| {
                at == applied && oldest.is_none_or(|oldest| oldest >= bounds.since)
            };
            if idle.is_some_and(nothing_since) {
                continue;
            }
            idle = self.look(bounds).unwrap_or_default().map(|oldest| (applied, oldest));
            if let Err(error) = self.sweep() {
                eprintln!("warning: the room of messages that went cannot be had back: {error}");
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let Retention { max_age, max_bytes } = self.retention;
        let age = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        let since = if age == 0 { 0 } else { wall().0.saturating_sub(age) };
        Bounds { since: Millis(since), bytes: if max_bytes == 0 { u64::MAX } else { max_bytes } }
    }

    /// Whether the thread goes on after so long.
    fn rests(&self, long: Duration) -> bool {
        self.ended.recv_timeout(long) == Err(RecvTimeoutError::Timeout)
    }

    /// Looks at all conversations; the oldest message, if nothing was to be done. A view that cannot be read is the applier's to tell of.
    fn look(&self, bounds: Bounds) -> Result<Option<Option<Millis>>, ViewError> {
        let (mut from, mut oldest, mut nothing) = (None, None, true);
        loop {
            let begun = Instant::now();
            let Looked { due, next, oldest: here, messages, bytes } =
                self.view.with(|view| view.over(from.as_ref(), bounds, LOOKED_AT_ONCE))?;
            self.count.trimmed_messages.fetch_add(messages, Ordering::Relaxed);
            self.count.trimmed_bytes.fetch_add(bytes, Ordering::Relaxed);
            nothing &= due.is_empty();
            oldest = here.into_iter().chain(oldest).min();
            self.ask(due);
            if !self.rests(begun.elapsed() * REST) {
                return Ok(None);
            }
            if next.is_none() {
                return Ok(nothing.then_some(oldest));
            }
            from = next;
        }
    }

    fn ask(&self, due: Vec<(ConversationId, Seq)>) {
        let mut asked = vec![false; self.answers.len()];
        for (conversation, first) in due {
            let home = usize::from(self.router.home_of_conversation(&conversation).0);
            // A home that is behind is asked again by the next look.
            if self.answers[home].len() < TRIMS_WAITING
                && self.answers[home].send(Answer::Trim(conversation, first)).is_ok()
            {
                self.count.trims.fetch_add(1, Ordering::Relaxed);
                asked[home] = true;
            }
        }
        for (wake, _) in self.wakes.iter().zip(asked).filter(|(_, asked)| *asked) {
            wake();
        }
    }

    /// Has the database write its tables anew once enough is gone from them, where there is room to.
    fn sweep(&self) -> Result<(), ViewError> {
        let (gone, space) = self.view.with(|view| Ok((view.gone()?, view.messages_space())))?;
        if gone < SWEEP_LEAST.max(space / SWEEP_SHARE) || !self.has_room(space) {
            return Ok(());
        }
        // Not by `with`: it takes long, and nobody who has to open the view again waits for it.
        let view = self.view.with(|view| Ok(view.clone()))?;
        view.sweep()?;
        self.count.sweeps.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn has_room(&self, space: u64) -> bool {
        rustix::fs::statvfs(&self.folder).is_ok_and(|stat| {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            free >= self.min_free.saturating_add(space)
        })
    }
}
