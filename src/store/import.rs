//! A store of an export's lines. Knows no file, whoever asks has the lines, and not which of them may follow one another.

use super::StoreError;
use super::folder::{Folder, Mark, Origin};
use super::lines::{self, Counts, Line};
use super::order;
use super::stopped::{CACHE, Progress, Tell};
use crate::ids::Seq;
use crate::limits::APPLY_BYTES;
use crate::log::disk;
use crate::log::{Position, Record};
use crate::view::Cursor;
use crate::view::disk::{Applying, DiskView, ViewError};
use std::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why nothing was imported.
#[derive(Debug)]
pub enum ImportError {
    /// The store says.
    Store(StoreError),
    /// The view cannot be made.
    View(ViewError),
    /// The folder cannot be changed.
    Folder(io::Error),
    /// There is something in the store already.
    NotEmpty(PathBuf),
    /// A line, by its number, cannot be taken.
    Line(u64, String),
    /// The lines cannot be read.
    Read(io::Error),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::View(error) => write!(f, "the view cannot be made: {error}"),
            Self::Folder(error) => write!(f, "the store's folder cannot be changed: {error}"),
            Self::NotEmpty(path) => {
                write!(f, "{} has a store with records; an export goes into an empty one", path.display())
            }
            Self::Line(number, what) => {
                write!(f, "line {number} of the export: {what}; nothing was imported")
            }
            Self::Read(error) => write!(f, "the export cannot be read: {error}; nothing was imported"),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ViewError> for ImportError {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl From<io::Error> for ImportError {
    fn from(error: io::Error) -> Self {
        Self::Folder(error)
    }
}

/// What was imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Imported {
    /// Conversations with their messages.
    pub conversations: u64,
    /// Of all conversations.
    pub messages: u64,
    /// Memberships of groups.
    pub members: u64,
    /// How far users have got in conversations.
    pub cursors: u64,
}

/// Makes a store of an export's lines, in a folder without one or with an empty one.
///
/// # Errors
/// [`ImportError`]; then the store is as empty as before.
pub fn import(path: &Path, lines: &mut dyn BufRead, tell: Tell<'_>) -> Result<Imported, ImportError> {
    let mut folder = Folder::open(path).map_err(StoreError::Folder)?;
    if !is_empty(&folder)? {
        return Err(ImportError::NotEmpty(path.into()));
    }
    let part = folder.view_part()?;
    let mut progress = Progress::new(tell, "messages imported");
    // The log is empty: its first record follows all of this.
    let (origin, counts) = make_view(&part, lines, &mut |_| Ok(Position(0)), &mut progress)?;
    let old = folder.swap_view(&part)?;
    folder.begins_with(origin)?;
    std::fs::remove_dir_all(old)?;
    let Counts { conversations, messages, members, cursors } = counts;
    Ok(Imported { conversations, messages, members, cursors })
}

fn is_empty(folder: &Folder) -> Result<bool, ImportError> {
    let log = disk::read(&folder.log(), folder.id(), &mut |_, _, _| {}).map_err(StoreError::Log)?;
    let view = DiskView::open(&folder.view(), CACHE)?;
    Ok(log.head() == Position(0) && view.walk().next().is_none() && view.members().next().is_none())
}

/// Makes a view of an export's lines and puts it on the disk. What the export was made of says where in the log it stands.
pub(super) fn make_view(
    part: &Path,
    lines: &mut dyn BufRead,
    stands: &mut dyn FnMut(Origin) -> Result<Position, ImportError>,
    progress: &mut Progress<'_>,
) -> Result<(Origin, Counts), ImportError> {
    let view = DiskView::open(part, CACHE)?;
    let mut making = Making { view: &view, applying: None, bytes: 0, position: Position(0) };
    let mut origin = None;
    let counts = order::read(lines, &mut |line| {
        if let Line::Export(lines::Origin { store, position }) = &line {
            let from = Origin { store: Mark(*store), position: Position(*position) };
            making.position = stands(from)?;
            origin = Some(from);
        }
        Ok(making.take(line, progress)?)
    })?;
    let Some(origin) = origin else { unreachable!("an export that has ended has begun") };
    making.finish()?;
    view.goes_on_from(making.position)?;
    Ok((origin, counts))
}

/// A view on its way, a bounded number of bytes at a time.
struct Making<'a> {
    view: &'a DiskView,
    applying: Option<Applying<'a>>,
    bytes: usize,
    position: Position,
}

impl Making<'_> {
    fn take(&mut self, line: Line, progress: &mut Progress<'_>) -> Result<(), ViewError> {
        if self.bytes >= APPLY_BYTES {
            self.finish()?;
        }
        // What a line costs besides its content, about.
        self.bytes += 128;
        let applying = match &mut self.applying {
            Some(applying) => applying,
            none => none.insert(self.view.applying()?),
        };
        match line {
            Line::Conversation(conversation, head, first) => {
                applying.begin(&conversation, head);
                if first > Seq(0) {
                    applying.put(&Record::Trim { conversation, first });
                }
            }
            Line::Message(message) => {
                progress.step();
                self.bytes += message.bytes.len();
                applying.put(&Record::Message(Arc::from(message)));
            }
            Line::Member(group, user, seq) => {
                applying.put(&Record::Member { group, user, joined: true, seq });
            }
            Line::Cursor(conversation, user, Cursor { received, read }) => {
                applying.put(&Record::Cursor { conversation, user, received, read });
            }
            Line::Export(_) | Line::End(_) => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ViewError> {
        self.bytes = 0;
        self.applying.take().map_or(Ok(()), |applying| applying.commit().map(|_| ()))
    }
}
