//! Everything a store has, as lines of JSON, in an order that depends on nothing but what is stored. Knows no file: whoever asks writes the
//! bytes.

use super::StoreError;
use super::lines::{Counts, Line, Origin};
use super::stopped::{Progress, Stopped, Tell};
use crate::log::Position;
use crate::view::disk::{DiskView, Entry, ViewError};
use std::fmt;
use std::io::{self, Write};

/// Lines gathered before they are written (bytes).
const GATHERED: usize = 64 << 10;

/// What was exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exported {
    /// Conversations with their messages.
    pub conversations: u64,
    /// Of all conversations.
    pub messages: u64,
    /// Memberships of groups.
    pub members: u64,
    /// How far users have got in conversations.
    pub cursors: u64,
    /// The position of the last record that went into it.
    pub position: Position,
}

/// Why an export was not finished.
#[derive(Debug)]
pub enum ExportError {
    /// The store says.
    Store(StoreError),
    /// Its view cannot be read.
    View(ViewError),
    /// Nobody takes the lines.
    Write(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::View(error) => write!(f, "the view cannot be read: {error}"),
            Self::Write(error) => write!(f, "the export cannot be written: {error}"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<ViewError> for ExportError {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    gathered: Vec<u8>,
}

impl Lines<'_> {
    fn line(&mut self, line: &Line) -> Result<(), ExportError> {
        line.write(&mut self.gathered).map_err(|error| ExportError::Write(error.into()))?;
        self.gathered.push(b'\n');
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.out.write_all(&self.gathered).map_err(ExportError::Write)?;
        self.gathered.clear();
        Ok(())
    }
}

/// Writes everything that a server would start with; where the log is damaged, `view_only` leaves it aside.
///
/// # Errors
/// [`ExportError`]; what was written has no last line then.
pub fn export(
    store: &Stopped,
    view_only: bool,
    out: &mut dyn Write,
    tell: Tell<'_>,
) -> Result<Exported, ExportError> {
    let mut progress = Progress::new(tell, "");
    let view = match view_only {
        true => store.view(),
        false => store.followed(&mut progress).map(|(view, _)| view),
    };
    let view = view.map_err(ExportError::Store)?;
    let position = view.applied()?;
    let mut lines = Lines { out, gathered: Vec::new() };
    lines.line(&Line::Export(origin(store, position)))?;
    progress.now("messages exported");
    let counts = of_view(&view, &mut lines, &mut progress)?;
    lines.line(&Line::End(counts))?;
    lines.flush()?;
    lines.out.flush().map_err(ExportError::Write)?;
    let Counts { conversations, messages, members, cursors } = counts;
    Ok(Exported { conversations, messages, members, cursors, position })
}

/// Which records these are: a store that has none of its own yet says what it began with, so that its export is the one it is made of.
fn origin(store: &Stopped, position: Position) -> Origin {
    match store.folder.origin().filter(|_| position == Position(0)) {
        Some(origin) => Origin { store: origin.store.0, position: origin.position.0 },
        None => Origin { store: store.folder.mark().0, position: position.0 },
    }
}

fn of_view(
    view: &DiskView,
    lines: &mut Lines<'_>,
    progress: &mut Progress<'_>,
) -> Result<Counts, ExportError> {
    let mut counts = Counts::default();
    for entry in view.walk() {
        match entry? {
            Entry::Conversation(conversation, head, first) => {
                counts.conversations += 1;
                lines.line(&Line::Conversation(conversation, head, first))?;
            }
            Entry::Message(message) => {
                progress.step();
                counts.messages += 1;
                lines.line(&Line::Message(message))?;
            }
        }
    }
    for member in view.members() {
        let (group, user, since) = member?;
        counts.members += 1;
        lines.line(&Line::Member(group, user, since))?;
    }
    for cursor in view.cursors() {
        let (conversation, user, cursor) = cursor?;
        counts.cursors += 1;
        lines.line(&Line::Cursor(conversation, user, cursor))?;
    }
    Ok(counts)
}
