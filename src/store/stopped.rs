//! A store that no server has open, for commands that look at all of it. Knows no thread of a server and nothing of who asks.

use super::StoreError;
use super::folder::Folder;
use super::replay::Chunk;
use crate::log::disk::{self, Found};
use crate::log::{Position, Record};
use crate::view::disk::{DiskView, ViewError};
use std::path::Path;

/// The view's cache while all of it is read once (bytes).
pub(super) const CACHE: u64 = 32 << 20;
/// Whoever waits is told how far it has come after so many records.
const TELL_EVERY: u64 = 10_000;

/// Told now and then what is being done, and how many records of it are done.
pub type Tell<'a> = &'a mut dyn FnMut(&'static str, u64);

/// Counts what is done, and tells it now and then.
pub(super) struct Progress<'a> {
    tell: Tell<'a>,
    doing: &'static str,
    done: u64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(tell: Tell<'a>, doing: &'static str) -> Self {
        Self { tell, doing, done: 0 }
    }

    /// Something else is done from here on.
    pub(super) fn now(&mut self, doing: &'static str) {
        (self.doing, self.done) = (doing, 0);
    }

    pub(super) fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(TELL_EVERY) {
            (self.tell)(self.doing, self.done);
        }
    }
}

/// A stopped store, held until it is dropped: no server starts on it meanwhile.
pub struct Stopped {
    pub(super) folder: Folder,
}

impl Stopped {
    /// Takes the store of a folder.
    ///
    /// # Errors
    /// [`StoreError::Folder`]: there is none, or a server has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Folder::existing(path).map(|folder| Self { folder }).map_err(StoreError::Folder)
    }

    /// Its view as it is.
    pub(super) fn view(&self) -> Result<DiskView, StoreError> {
        DiskView::open(&self.folder.view(), CACHE).map_err(|error| self.of_view(error))
    }

    /// What its view says.
    pub(super) fn of_view(&self, error: ViewError) -> StoreError {
        StoreError::View(self.folder.view(), error)
    }

    /// Reads its log, and changes nothing.
    pub(super) fn log(&self, each: &mut dyn FnMut(Position, Record)) -> Result<Found, StoreError> {
        let each = &mut |position, _, record| each(position, record);
        disk::read(&self.folder.log(), self.folder.id(), each).map_err(StoreError::Log)
    }

    /// Its view with all that the log has: what the next start would serve. The log is not changed.
    pub(super) fn followed(&self, progress: &mut Progress<'_>) -> Result<(DiskView, Found), StoreError> {
        let view = self.view()?;
        let applied = view.applied().map_err(|error| self.of_view(error))?;
        let mut chunk = Chunk::new(&view);
        let mut failed = None;
        progress.now("applied from the log");
        let log = self.log(&mut |position, record| {
            if position > applied && failed.is_none() {
                progress.step();
                failed = chunk.apply(position, &record).err();
            }
        })?;
        failed.map_or(Ok(()), Err).and_then(|()| chunk.finish()).map_err(|error| self.of_view(error))?;
        no_gap(applied, &log)?;
        Ok((view, log))
    }
}

/// The log must reach from where the view ends.
pub(super) fn no_gap(applied: Position, log: &Found) -> Result<(), StoreError> {
    let (begins, ends) = (log.begins(), log.head());
    if begins > applied {
        return Err(StoreError::Gap { applied, begins });
    }
    if ends < applied { Err(StoreError::Short { applied, ends }) } else { Ok(()) }
}

/// What files below a folder take (bytes).
pub(super) fn size_of(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
