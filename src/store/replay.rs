//! What a store has when it is opened: the log looked at, held against the view and made whole, what the view lacks read from it. Knows no threads.

use super::folder::Folder;
use super::{Report, StoreError};
use crate::limits::APPLY_BYTES;
use crate::log::Position;
use crate::log::Record;
use crate::log::disk::{self, Found, Short, StoreId, Tail};
use crate::view::disk::{Applying, DiskView, ViewError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a long replay is told of.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What was found of a log.
pub(super) struct Logged {
    found: Found,
    /// What its commits take (bytes).
    pub(super) used: u64,
}

/// Reads all of the log, and changes nothing.
pub(super) fn read_log(folder: &Folder) -> Result<Logged, StoreError> {
    let found = disk::read(&folder.log(), folder.id(), &mut |_, _, _| {}).map_err(StoreError::Log)?;
    if let Some(Short { file, made, is }) = found.lost() {
        let file = file.display();
        eprintln!(
            "warning: {file} has {is} of the {made} bytes it was made with: messages that stood behind are lost; if you have a copy of the folder, stop and restore it"
        );
    }
    let used = found.segments.iter().map(|piece| piece.used).sum();
    Ok(Logged { found, used })
}

/// Makes the log whole, unless the view does not fit to it, and applies what the view lacks: by then it is in the log for good.
pub(super) fn replay(
    folder: &Folder,
    view: &DiskView,
    Logged { found, .. }: Logged,
) -> Result<(Option<Tail>, Report), StoreError> {
    let failed_view = |error| StoreError::View(folder.view(), error);
    let (cut, begins, head) = (found.cut.clone(), found.begins(), found.head());
    let applied = view.applied().map_err(failed_view)?;
    if begins > applied {
        return Err(StoreError::Gap { applied, begins });
    }
    if head < applied && !found.may_have_lost() {
        return Err(StoreError::Short { applied, ends: head });
    }
    let tail = found.mend().map_err(StoreError::Log)?;
    if head < applied {
        eprintln!(
            "warning: the log ends at record {}, the view has {}: the machine lost its power; going on from there",
            head.0, applied.0
        );
        view.goes_on_from(head).map_err(failed_view)?;
    }
    catch_up(view, &folder.log(), folder.id(), head).map_err(failed_view)?;
    Ok((tail, Report { cut, replayed: head.0.saturating_sub(applied.0), head }))
}

/// Applies what the view lacks of the log's records up to `upto`.
pub(super) fn catch_up(view: &DiskView, log: &Path, store: StoreId, upto: Position) -> Result<(), ViewError> {
    let applied = view.applied()?;
    if applied >= upto {
        return Ok(());
    }
    let (mut chunk, mut failed) = (Chunk::new(view), None);
    let (mut replayed, mut told) = (0, Instant::now());
    let mut each = |position, _, record: Record| {
        if position > applied && position <= upto && failed.is_none() {
            replayed += 1;
            failed = chunk.apply(position, &record).err();
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("note: reading the log into the view: {replayed} records so far");
            }
        }
    };
    disk::read(log, store, &mut each).map_err(ViewError::Log)?;
    failed.map_or_else(|| chunk.finish(), Err)
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
            Record::Member { .. } | Record::Cursor { .. } | Record::Trim { .. } | Record::Delete { .. } => 0,
        };
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), ViewError> {
        self.bytes = 0;
        self.applying.take().map_or(Ok(()), |applying| applying.commit().map(|_| ()))
    }
}
