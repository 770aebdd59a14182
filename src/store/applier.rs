//! The view's thread: applies commits in their order, puts them on the disk now and then, frees the log's segments behind that. Knows
//! no shards.

use crate::limits::{APPLY_BYTES, PERSIST_BYTES};
use crate::log::disk::{self, Health};
use crate::log::{Position, Record, record};
use crate::view::disk::{Applying, DiskView, ViewError};
use flume::Receiver;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the thread waits before it tries again what the database refused.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A commit's records, as the log has them.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub first: Position,
    pub records: u32,
    pub body: Arc<[u8]>,
}

/// Up to where the view was applied; readers wait for what their shard knows to be committed.
#[derive(Debug)]
pub(super) struct Applied {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    position: Position,
    /// Why it does not follow the log any more, if it does not.
    fails: Option<String>,
}

impl Applied {
    pub(super) fn new(position: Position) -> Self {
        Self { state: Mutex::new(State { position, fails: None }), changed: Condvar::new() }
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
        let waited = self.changed.wait_timeout_while(self.lock(), patience, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.position >= position
    }
}

/// Records on their way into the view, a bounded number of bytes at a time.
pub(super) struct Chunk<'a> {
    view: &'a DiskView,
    applying: Option<Applying<'a>>,
    bytes: usize,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(view: &'a DiskView) -> Self {
        Self { view, applying: None, bytes: 0 }
    }

    pub(super) fn apply(&mut self, position: Position, record: &Record) -> Result<(), ViewError> {
        if self.bytes >= APPLY_BYTES {
            self.finish()?;
        }
        let applying = match &mut self.applying {
            Some(applying) => applying,
            none => none.insert(self.view.applying()?),
        };
        applying.apply(position, record);
        self.bytes += match record {
            Record::Message(message) => message.bytes.len(),
            Record::Member { .. } => 0,
        };
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), ViewError> {
        self.bytes = 0;
        self.applying.take().map_or(Ok(()), |applying| applying.commit().map(|_| ()))
    }
}

/// The thread's state.
pub(super) struct Applier {
    view: DiskView,
    applied: Arc<Applied>,
    health: Arc<Health>,
    log: PathBuf,
    unsaved: usize,
}

impl Applier {
    pub(super) fn new(view: DiskView, applied: Arc<Applied>, health: Arc<Health>, log: PathBuf) -> Self {
        Self { view, applied, health, log, unsaved: 0 }
    }

    /// Runs until the log's thread has ended; then all is put on the disk.
    pub(super) fn run(mut self, commits: &Receiver<Committed>) {
        let mut taken = Vec::new();
        while let Ok(first) = commits.recv() {
            let mut bytes = first.body.len();
            taken.push(first);
            while bytes < APPLY_BYTES
                && let Ok(commit) = commits.try_recv()
            {
                bytes += commit.body.len();
                taken.push(commit);
            }
            self.insist(&taken);
            taken.clear();
            self.unsaved += bytes;
            if self.unsaved >= PERSIST_BYTES {
                self.persist();
            }
        }
        self.persist();
    }

    /// Applies until it has worked: what is in the log must come into the view, and nothing later before it.
    fn insist(&self, commits: &[Committed]) {
        let mut told = false;
        loop {
            match self.apply(commits) {
                Ok(position) => {
                    if told {
                        eprintln!("note: the view can be written again");
                        self.health.is_followed(true);
                    }
                    return self.applied.reaches(position);
                }
                Err(error) if !told => {
                    eprintln!(
                        "error: the view cannot be written: {error}; nothing more is stored until it can be"
                    );
                    self.health.is_followed(false);
                    self.applied.fails(format!("the view cannot be written: {error}"));
                }
                Err(_) => {}
            }
            told = true;
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn apply(&self, commits: &[Committed]) -> Result<Position, ViewError> {
        let mut applying = self.view.applying()?;
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

    fn persist(&mut self) {
        self.unsaved = 0;
        match self.view.persist() {
            Ok(durable) => {
                if let Err(error) = disk::free(&self.log, durable) {
                    eprintln!("warning: the log's old files cannot be removed: {error}");
                }
            }
            Err(error) => {
                eprintln!("error: the view cannot be put on the disk: {error}; the log keeps its files");
            }
        }
    }
}
