//! The view as its readers and its only writer share it: opened anew when its database has given up. Knows no records.

use super::StoreError;
use crate::view::disk::{DiskView, ViewError};
use ioprio::{Class, Pid, Priority, Target};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// How nice the view's own threads are where they share cores with the shards: what they do need not be done now.
const NICE: i32 = 10;

/// The view, if it is open.
pub(super) struct Shared {
    folder: PathBuf,
    cache: u64,
    nice: bool,
    view: RwLock<Option<DiskView>>,
}

impl Shared {
    /// Opens it; its threads are nice where they share cores.
    pub(super) fn open(folder: PathBuf, cache: u64, nice: bool) -> Result<Self, StoreError> {
        let view = RwLock::new(None);
        let shared = Self { folder, cache, nice, view };
        match shared.start(DiskView::open) {
            Ok(view) => {
                *shared.view.write().unwrap_or_else(PoisonError::into_inner) = Some(view);
                Ok(shared)
            }
            Err(error) => Err(StoreError::View(shared.folder, error)),
        }
    }

    /// Does something with it; a reader waits while it is opened again.
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&DiskView) -> Result<T, ViewError>,
    ) -> Result<T, ViewError> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().map_or(Err(ViewError::Closed), act)
    }

    /// Closes it and opens it again: after a write that failed the database takes no other.
    pub(super) fn reopen(&self) -> Result<(), ViewError> {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        // The old one is gone before: it holds its folder.
        *view = None;
        *view = Some(self.start(DiskView::reopen)?);
        Ok(())
    }

    /// The threads that its database starts have the niceness and the place at the disk of the one that opens it.
    fn start(&self, open: fn(&Path, u64) -> Result<DiskView, ViewError>) -> Result<DiskView, ViewError> {
        let open = || {
            lets_others_write_first();
            if self.nice {
                // Nobody may forbid to be nicer.
                let _ = rustix::process::setpriority_process(None, NICE);
            }
            open(&self.folder, self.cache)
        };
        let opened = std::thread::scope(|scope| scope.spawn(open).join());
        opened.unwrap_or(Err(ViewError::Damaged("its database gave up")))
    }
}

/// What this thread writes to a disk waits for what others do, where the disk's scheduler knows of that (`mq-deadline`, `bfq`): a sync of the
/// log behind what a compaction writes would take tens of milliseconds. ioprio_set(2).
pub(super) fn lets_others_write_first() {
    // Nobody may forbid it, and without it acks only come later.
    let _ = ioprio::set_priority(Target::Process(Pid::from_raw(0)), Priority::new(Class::Idle));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_those_it_starts_let_others_write_first() {
        let class = || ioprio::get_priority(Target::Process(Pid::from_raw(0))).unwrap().class();
        let classes = std::thread::spawn(move || {
            lets_others_write_first();
            (class(), std::thread::spawn(class).join().unwrap())
        });
        assert_eq!(classes.join().unwrap(), (Some(Class::Idle), Some(Class::Idle)));
        assert_ne!(class(), Some(Class::Idle), "and nobody else does");
    }
}
