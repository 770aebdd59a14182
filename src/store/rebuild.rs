//! A store's view made anew, of an export and of the log's records behind it. Knows no file of the export: whoever asks has its lines.

use super::folder::{Folder, Origin};
use super::import::{ImportError, make_view};
use super::replay::Chunk;
use super::stopped::{CACHE, Progress, Stopped, Tell};
use crate::log::Position;
use crate::log::disk::Found;
use crate::view::disk::DiskView;
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// What a view was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// Messages of the export.
    pub messages: u64,
    /// Records of the log behind it.
    pub applied: u64,
    /// Records that are in neither.
    pub lost: u64,
    /// Where the view before it is.
    pub old: PathBuf,
}

/// Why the view is as it was.
#[derive(Debug)]
pub enum RebuildError {
    /// The store or the export says.
    Import(ImportError),
    /// The export is of another store.
    OtherStore,
    /// It has records that the log has not: it is newer than the log.
    Newer {
        /// The last record of the export.
        export: Position,
        /// Of the log.
        log: Position,
    },
    /// Records between the export, or the beginning, and the log are in neither.
    Gap {
        /// The last record before them.
        export: Position,
        /// The last of them.
        begins: Position,
    },
    /// Without an export: what the store began with is not in its log.
    NeedsExport,
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(error) => write!(f, "{error}"),
            Self::OtherStore => {
                write!(f, "the export is of another store; it can be imported into an empty folder")
            }
            Self::Newer { export, log } => write!(
                f,
                "the export has records up to {}, the log ends at {}: files of the log are missing",
                export.0, log.0
            ),
            Self::Gap { export, begins } => write!(
                f,
                "records {} to {} are neither in the export nor in the log; take a newer export, or accept their loss with --accept-loss",
                export.0 + 1,
                begins.0
            ),
            Self::NeedsExport => {
                write!(f, "the store began with an export, which is not in its log: name one")
            }
        }
    }
}

impl std::error::Error for RebuildError {}

impl<E: Into<ImportError>> From<E> for RebuildError {
    fn from(error: E) -> Self {
        Self::Import(error.into())
    }
}

/// Makes the view anew. Without an export, of the log alone, which must then have all records since the beginning.
///
/// # Errors
/// [`RebuildError`]; then the view is as it was.
pub fn rebuild(
    path: &Path,
    export: Option<&mut dyn BufRead>,
    accept_loss: bool,
    tell: Tell<'_>,
) -> Result<Rebuilt, RebuildError> {
    let store = Stopped::open(path)?;
    let mut progress = Progress::new(tell, "records of the log checked");
    let log = store.log(&mut |_, _| progress.step())?;
    let part = store.folder.view_part()?;
    progress.now("messages of the export applied");
    let (from, messages) = match export {
        Some(lines) => {
            let mut refused = None;
            let mut stands = |origin| {
                stands(&store.folder, origin)
                    .and_then(|from| may_follow(from, &log, accept_loss).map(|()| from))
                    .map_err(|error| {
                        let told = ImportError::Line(1, error.to_string());
                        refused = Some(error);
                        told
                    })
            };
            let made = make_view(&part, lines, &mut stands, &mut progress);
            let (_, counts) = match (made, refused) {
                (_, Some(refused)) => return Err(refused),
                (made, None) => made?,
            };
            (DiskView::open(&part, CACHE)?.applied()?, counts.messages)
        }
        None if store.folder.origin().is_some() => return Err(RebuildError::NeedsExport),
        None => {
            may_follow(Position(0), &log, accept_loss)?;
            (Position(0), 0)
        }
    };
    let applied = follow(&store, &part, log.head(), &mut progress)?;
    let lost = log.begins().0.saturating_sub(from.0);
    let old = store.folder.swap_view(&part)?;
    Ok(Rebuilt { messages, applied, lost, old })
}

/// After which record of this store's log an export stands.
fn stands(folder: &Folder, export: Origin) -> Result<Position, RebuildError> {
    if export.store == folder.mark() {
        Ok(export.position)
    } else if folder.origin() == Some(export) {
        Ok(Position(0))
    } else {
        Err(RebuildError::OtherStore)
    }
}

fn may_follow(from: Position, log: &Found, accept_loss: bool) -> Result<(), RebuildError> {
    let (begins, ends) = (log.begins(), log.head());
    if ends < from {
        return Err(RebuildError::Newer { export: from, log: ends });
    }
    if begins > from && !accept_loss {
        return Err(RebuildError::Gap { export: from, begins });
    }
    Ok(())
}

/// Applies what the log has behind the view in `part`, up to its `head`.
fn follow(
    store: &Stopped,
    part: &Path,
    head: Position,
    progress: &mut Progress<'_>,
) -> Result<u64, ImportError> {
    let view = DiskView::open(part, CACHE)?;
    let from = view.applied()?;
    let (mut chunk, mut failed, mut applied) = (Chunk::new(&view), None, 0);
    progress.now("records of the log applied");
    store.log(&mut |position, record| {
        if position > from && failed.is_none() {
            progress.step();
            applied += 1;
            failed = chunk.apply(position, &record).err();
        }
    })?;
    failed.map_or(Ok(()), Err).and_then(|()| chunk.finish())?;
    // Also where the log has no more than its position, and what lies before it is lost.
    view.goes_on_from(head)?;
    Ok(applied)
}
