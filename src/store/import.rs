//! A store of an export: each line is checked against those before it, and the first wrong one is named. Knows no file: whoever asks has the
//! lines.

use super::StoreError;
use super::folder::{Folder, Mark, Origin};
use super::lines::{self, Counts, Line};
use super::stopped::{CACHE, Progress, Tell};
use crate::ids::{ConversationId, GroupName, Seq, UserName};
use crate::limits::{APPLY_BYTES, EXPORT_LINE_MAX};
use crate::log::disk;
use crate::log::{Position, Record};
use crate::view::Cursor;
use crate::view::disk::{Applying, DiskView, ViewError};
use std::fmt;
use std::io::{self, BufRead, Read};
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
    let mut order = Order::default();
    let mut origin = None;
    let mut text = Vec::new();
    for number in 1.. {
        let wrong = |what: &str| ImportError::Line(number, what.into());
        text.clear();
        lines.take(EXPORT_LINE_MAX).read_until(b'\n', &mut text).map_err(ImportError::Read)?;
        if text.is_empty() {
            break;
        }
        if text.pop() != Some(b'\n') {
            return Err(wrong("it does not end: the export was cut, or the line is too long"));
        }
        let line = std::str::from_utf8(&text).map_err(|_| wrong("it is not UTF-8"))?;
        let line = Line::read(line)
            .and_then(|line| order.takes(&line).map(|()| line))
            .map_err(|what| wrong(&what))?;
        if let Line::Export(lines::Origin { store, position }) = &line {
            let from = Origin { store: Mark(*store), position: Position(*position) };
            making.position = stands(from)?;
            origin = Some(from);
        }
        making.take(line, progress)?;
    }
    making.finish()?;
    let position = making.position;
    let (Some(origin), true) = (origin, order.ended) else {
        return Err(ImportError::Line(order.lines + 1, "there is none: the export was cut".into()));
    };
    view.goes_on_from(position)?;
    Ok((origin, order.counts))
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

/// What lines came so far, for what may come next: in one order, so that a line that comes twice is noticed.
#[derive(Default)]
struct Order {
    lines: u64,
    counts: Counts,
    conversation: Option<(ConversationId, Seq)>,
    /// The lowest that its conversation may keep.
    first: Seq,
    last: Seq,
    member: Option<(GroupName, UserName)>,
    cursor: Option<(ConversationId, UserName)>,
    ended: bool,
}

impl Order {
    fn takes(&mut self, line: &Line) -> Result<(), String> {
        if self.ended {
            return Err("it stands behind the `end`".into());
        }
        if (self.lines == 0) != matches!(line, Line::Export(_)) {
            return Err("an export begins with one line of type `export`".into());
        }
        self.lines += 1;
        match line {
            Line::Export(_) => Ok(()),
            Line::Conversation(conversation, head, first) => self.conversation(conversation, *head, *first),
            Line::Message(message) => {
                self.counts.messages += 1;
                self.message(&message.conversation, message.seq, message.prev)
            }
            Line::Member(group, user, _) => self.member(group, user),
            Line::Cursor(conversation, user, _) => self.cursor(conversation, user),
            Line::End(counts) => {
                self.conversation_ends()?;
                self.ended = true;
                if *counts == self.counts {
                    Ok(())
                } else {
                    Err(format!("it counts {counts:?}, there were {:?}", self.counts))
                }
            }
        }
    }

    fn conversation(&mut self, conversation: &ConversationId, head: Seq, first: Seq) -> Result<(), String> {
        self.conversation_ends()?;
        if self.is_past_messages() || self.conversation.as_ref().is_some_and(|(last, _)| last >= conversation)
        {
            return Err("conversations stand in the order of their names, before all members".into());
        }
        self.counts.conversations += 1;
        (self.conversation, self.first, self.last) = (Some((conversation.clone(), head)), first, Seq(0));
        Ok(())
    }

    fn message(&mut self, conversation: &ConversationId, seq: Seq, prev: Seq) -> Result<(), String> {
        let Some((_, head)) = self
            .conversation
            .as_ref()
            .filter(|(current, _)| current == conversation && !self.is_past_messages())
        else {
            return Err("a message stands behind its conversation".into());
        };
        if seq <= self.last || prev >= seq || seq > *head || (self.last != Seq(0) && prev != self.last) {
            let (seq, prev, last, head) = (seq.0, prev.0, self.last.0, head.0);
            return Err(format!("`seq` {seq} and `prev` {prev} do not follow {last}, up to the head {head}"));
        }
        if seq < self.first {
            return Err(format!("`seq` {} is below the conversation's `first` {}", seq.0, self.first.0));
        }
        self.last = seq;
        Ok(())
    }

    fn conversation_ends(&self) -> Result<(), String> {
        match &self.conversation {
            // All of it may have been trimmed.
            Some((_, head)) if self.last == Seq(0) && self.first > *head => Ok(()),
            Some((conversation, head)) if *head != self.last && !self.is_past_messages() => {
                Err(format!("before it, messages of {conversation} are missing up to the head {}", head.0))
            }
            _ => Ok(()),
        }
    }

    fn member(&mut self, group: &GroupName, user: &UserName) -> Result<(), String> {
        self.conversation_ends()?;
        let this = (group.clone(), user.clone());
        if self.cursor.is_some() || self.member.as_ref().is_some_and(|last| *last >= this) {
            return Err(
                "members stand in the order of their groups' and their own names, before all cursors".into(),
            );
        }
        self.counts.members += 1;
        self.member = Some(this);
        Ok(())
    }

    fn cursor(&mut self, conversation: &ConversationId, user: &UserName) -> Result<(), String> {
        self.conversation_ends()?;
        let this = (conversation.clone(), user.clone());
        if self.cursor.as_ref().is_some_and(|last| *last >= this) {
            return Err("cursors stand in the order of their conversations' and users' names".into());
        }
        self.counts.cursors += 1;
        self.cursor = Some(this);
        Ok(())
    }

    fn is_past_messages(&self) -> bool {
        self.member.is_some() || self.cursor.is_some()
    }
}
