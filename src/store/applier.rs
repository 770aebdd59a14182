//! The view's thread: applies commits in their order, puts them on the disk now and then, frees the log's segments behind that. Knows
//! no shards.
//!
//! What is in the log must come into the view, and nothing later before it. While it cannot, the log takes nothing more, and the
//! view is opened again and again until it can.

use super::backlog::{Committed, Hurry, Taker};
use super::replay::catch_up;
use super::shared::{Shared, lets_others_write_first};
use crate::limits::PERSIST_BYTES;
use crate::log::disk::{self, Health, StoreId};
use crate::log::{Position, record};
use crate::view::disk::{DiskView, ViewError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the thread waits before it tries again what the database refused.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How long a server that ends waits for the view to be put away.
const REST: Duration = Duration::from_secs(20);

/// Up to where the view was applied; readers wait for what their shard knows to be committed.
#[derive(Debug)]
pub(super) struct Applied {
    state: Mutex<State>,
    changed: Condvar,
    hurry: Hurry,
}

#[derive(Debug)]
struct State {
    position: Position,
    /// Why it does not follow the log any more, if it does not.
    fails: Option<String>,
}

impl Applied {
    pub(super) fn new(position: Position, hurry: Hurry) -> Self {
        Self { state: Mutex::new(State { position, fails: None }), changed: Condvar::new(), hurry }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reaches(&self, position: Position) {
        *self.lock() = State { position, fails: None };
        self.changed.notify_all();
    }

    fn fails(&self, why: String) {
        self.lock().fails = Some(why);
        self.changed.notify_all();
    }

    /// Up to where the view was applied.
    pub(super) fn position(&self) -> Position {
        self.lock().position
    }

    /// Why the view cannot be written, if it cannot.
    pub(super) fn why(&self) -> Option<String> {
        self.lock().fails.clone()
    }

    /// Waits until the view has `position`; false when it fails, or does not within `patience`.
    pub(super) fn wait(&self, position: Position, patience: Duration) -> bool {
        let waits = |state: &mut State| state.position < position && state.fails.is_none();
        if waits(&mut self.lock()) {
            self.hurry.hurry();
        }
        let waited = self.changed.wait_timeout_while(self.lock(), patience, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.position >= position
    }
}

/// The thread's state.
pub(super) struct Applier {
    pub view: Arc<Shared>,
    pub applied: Arc<Applied>,
    pub health: Arc<Health>,
    /// The server ends: what cannot be applied now will be by the next one.
    pub closing: Arc<AtomicBool>,
    pub log: PathBuf,
    pub store: StoreId,
    /// What the log held when it was opened (bytes): a server that was killed again and again may never have come to free it.
    pub unsaved: u64,
}

impl Applier {
    /// Runs until the log's thread has ended; then all is put on the disk.
    pub(super) fn run(self, commits: &Taker) {
        lets_others_write_first();
        let (mut taken, mut unsaved) = (Vec::new(), self.unsaved);
        loop {
            if unsaved >= PERSIST_BYTES {
                unsaved = 0;
                self.persist();
            }
            let bytes = commits.take(&mut taken);
            if bytes == 0 {
                break;
            }
            let Some(position) = self.insist(taken[0].first, |view| apply(view, &taken)) else { return };
            self.applied.reaches(position);
            taken.clear();
            unsaved += bytes as u64;
        }
        self.persist();
        // Without it nothing is lost: the next start only takes longer.
        if let Err(error) = self.view.with(|view| view.rest(REST)) {
            eprintln!("warning: the view could not be put away: {error}; the next start reads its journal");
        }
    }

    /// Does something to the view that has everything before `next`, as often as it takes; none if the server ends meanwhile.
    fn insist<T>(&self, next: Position, act: impl Fn(&DiskView) -> Result<T, ViewError>) -> Option<T> {
        let mut done = self.view.with(&act);
        if let Err(error) = &done {
            eprintln!("error: the view cannot be written: {error}; nothing more is stored until it can be");
            self.health.is_followed(false);
            self.applied.fails(format!("the view cannot be written: {error}"));
        }
        while done.is_err() {
            if self.closing.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(TRY_AGAIN);
            let upto = Position(next.0 - 1);
            let caught_up = || self.view.with(|view| catch_up(view, &self.log, self.store, upto));
            done = self.view.reopen().and_then(|()| caught_up()).and_then(|()| self.view.with(&act));
            if done.is_ok() {
                eprintln!("note: the view can be written again");
                self.health.is_followed(true);
            }
        }
        done.ok()
    }

    fn persist(&self) {
        let applied = self.applied.position();
        let Some(durable) = self.insist(Position(applied.0 + 1), DiskView::persist) else { return };
        self.applied.reaches(applied);
        if let Err(error) = disk::free(&self.log, durable) {
            eprintln!("warning: the log's old files cannot be removed: {error}");
        }
    }
}

fn apply(view: &DiskView, commits: &[Committed]) -> Result<Position, ViewError> {
    let mut applying = view.applying()?;
    for commit in commits {
        let mut body = &commit.body[..];
        for position in (commit.first.0..).take(commit.records as usize) {
            let read = record::read(&mut body);
            let (_, record) =
                read.map_err(|_| ViewError::Damaged("the log's thread wrote what is no record"))?;
            applying.apply(Position(position), &record);
        }
    }
    applying.commit()
}
