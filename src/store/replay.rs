//! What the view lacks, read from the log when a store opens. Knows no threads.

use super::applier::Chunk;
use super::folder::Folder;
use super::{Report, StoreError};
use crate::log::disk::{self, Found};
use crate::log::{Durability, Position};
use crate::view::disk::DiskView;
use std::time::{Duration, Instant};

/// How often a long replay is told of.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Reads the log, and applies what the view lacks.
pub(super) fn replay(
    folder: &Folder,
    view: &DiskView,
    durability: Durability,
) -> Result<(Found, Report), StoreError> {
    let failed_view = |error| StoreError::View(folder.view(), error);
    let applied = view.applied().map_err(failed_view)?;
    let mut chunk = Chunk::new(view);
    let mut failed = None;
    let mut replayed = 0;
    let mut told = Instant::now();
    let found = disk::recover(&folder.log(), folder.id(), &mut |position, _, record| {
        if position > applied && failed.is_none() {
            replayed += 1;
            failed = chunk.apply(position, &record).err();
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("note: reading the log into the view: {replayed} records so far");
            }
        }
    })
    .map_err(StoreError::Log)?;
    if let Some(error) = failed {
        return Err(failed_view(error));
    }
    chunk.finish().map_err(failed_view)?;
    let head = found.tail.as_ref().map_or(Position(0), |tail| tail.link.position);
    let begins = found.segments.first().map_or(head, |(begins, _)| *begins);
    if begins > applied {
        return Err(StoreError::Gap { applied, begins });
    }
    if head < applied {
        if durability != Durability::Os {
            return Err(StoreError::Short { applied, ends: head });
        }
        eprintln!(
            "warning: the log ends at record {}, the view has {}: the machine lost its power; going on from there",
            head.0, applied.0
        );
        view.goes_on_from(head).map_err(failed_view)?;
    }
    let report = Report { cut: found.cut.clone(), replayed, head };
    Ok((found, report))
}
