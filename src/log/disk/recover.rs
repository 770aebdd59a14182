//! What a log's files hold, read when it is opened: everything, or a refusal that names file and offset. Knows no writer.
//!
//! A server that is killed, or a machine that loses its power, leaves the last commit half written at most: nobody was told of it, and
//! it is cut off. Of commits that were told before they were synced a loss of power may take any, so all behind the first that is
//! missing are cut off. Anything else that is not as it was written is damage, and is never skipped: bytes with a whole
//! synced commit behind them, bytes behind the end that a stopped server wrote, bytes further behind the last whole commit than one
//! commit reaches, a segment that is missing.
//!
//! Reading changes nothing. [`Found::mend`] then cuts, takes the end away, so that what is written next is no damage behind it, and
//! writes and syncs the last commit once more: whoever reads it may rely on it, and the server that wrote it may not have come to its
//! sync, or it may have failed.

use super::chunks::Chunks;
use super::commit::{self, ALIGN, Broken, Kind, Link};
use super::segment::{self, BadHeader, FIRST, Header, Segment, StoreId};
use crate::ids::PartitionId;
use crate::limits::COMMIT_BYTES_MAX;
use crate::log::{Position, Record, record};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The files are not as they were written.
    Damaged {
        /// Which one.
        file: PathBuf,
        /// Where in it (bytes).
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It was written by another version of Longwire.
    Version {
        /// Which file.
        file: PathBuf,
        /// Its version of the format.
        found: u32,
    },
    /// A file could not be read or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { file, offset, what } => write!(
                f,
                "{} is damaged at byte {offset}: {what}; restore it from a copy (nothing was changed)",
                file.display()
            ),
            Self::Version { file, found } => write!(
                f,
                "{} has version {found} of the format, this server reads version {}: use the server that wrote it to export, then import",
                file.display(),
                segment::VERSION
            ),
            Self::Io(file, error) => write!(f, "{}: {error}", file.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// A half-written commit at the end that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Where.
    pub file: PathBuf,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes were not zero before.
    pub bytes: u64,
}

/// A last file that is shorter than it was made, which neither a kill nor a loss of power does: nobody knows what stood there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Short {
    /// Which one.
    pub file: PathBuf,
    /// How many bytes it was made with.
    pub made: u64,
    /// How many it has.
    pub is: u64,
}

/// Where a log goes on.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Tail {
    pub segment: Segment,
    /// Where the next commit is written.
    pub offset: u64,
    pub link: Link,
}

/// A log as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// What is to be cut off.
    pub cut: Option<Cut>,
    /// What is missing at the end of its last file.
    pub short: Option<Short>,
    /// Its segments, oldest first.
    pub segments: Vec<Piece>,
    last: Option<Last>,
}

/// One segment, as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which one.
    pub file: PathBuf,
    /// The position before its first record.
    pub after: Position,
    /// Its commits.
    pub commits: u64,
    /// Their records.
    pub records: u64,
    /// Where the last commit ends (bytes).
    pub used: u64,
}

/// The end of the last segment.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Last {
    file: PathBuf,
    /// Where the next commit is to stand.
    offset: usize,
    link: Link,
    /// Where the last commit stands.
    commit: Range<usize>,
    /// Where the mark of a good end stands.
    end: Option<Range<usize>>,
    /// The last commit was told before it was synced.
    unsynced: bool,
}

impl Found {
    /// The position of the last record.
    pub fn head(&self) -> Position {
        self.last.as_ref().map_or(Position(0), |last| last.link.position)
    }

    /// The position before its first record.
    pub fn begins(&self) -> Position {
        self.segments.first().map_or_else(|| self.head(), |piece| piece.after)
    }

    /// Whether its last server stopped in good order.
    pub fn has_end(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.end.is_some())
    }

    /// Whether a loss of power may have taken what was told.
    pub fn may_have_lost(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.unsynced)
    }

    /// What is missing of its last file, if anything may have stood there: behind the end of a server that stopped nothing did.
    pub fn lost(&self) -> Option<&Short> {
        self.short.as_ref().filter(|_| !self.has_end())
    }

    /// Makes it whole, to be written on; none for a log without a segment.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn mend(self) -> Result<Option<Tail>, OpenError> {
        let Some(Last { file, offset, link, commit, end, .. }) = self.last else { return Ok(None) };
        let mend = || {
            let mut segment = Segment::open(&file)?;
            if let Some(short) = &self.short {
                segment.fill_up(short.made)?;
            }
            if self.cut.is_some() {
                segment.erase_from(offset as u64)?;
            }
            if let Some(end) = end {
                segment.write(&vec![0; end.len()], end.start as u64)?;
            }
            segment.write_again(commit.start as u64..commit.end as u64)?;
            Ok(segment)
        };
        let segment = mend().map_err(|error| OpenError::Io(file.clone(), error))?;
        Ok(Some(Tail { segment, offset: offset as u64, link }))
    }
}

/// What takes records as they are found.
type Each<'a> = &'a mut dyn FnMut(Position, PartitionId, Record);

/// One segment being read.
struct Reader<'a> {
    file: &'a Path,
    store: StoreId,
    bytes: Chunks,
    offset: usize,
    link: Link,
    last: Range<usize>,
    /// Before the end of a stopped server: where it stands, and what it follows.
    ended: Option<(Range<usize>, Link)>,
    unsynced: bool,
}

/// Reads all of a log and changes nothing.
///
/// # Errors
/// [`OpenError`].
pub fn read(folder: &Path, store: StoreId, each: Each<'_>) -> Result<Found, OpenError> {
    let io = |error| OpenError::Io(folder.into(), error);
    let files = segment::list(folder).map_err(io)?;
    let mut found = Found { cut: None, short: None, segments: Vec::new(), last: None };
    let mut link = None;
    for (n, (first, file)) in files.iter().enumerate() {
        let io = |error| OpenError::Io(file.clone(), error);
        let mut bytes = Chunks::open(file).map_err(io)?;
        let header = header(file, bytes.from(0).map_err(io)?, store)?;
        let is = bytes.len() as u64;
        let follows = link.is_none_or(|link| link == header.after) && *first == header.after.number + 1;
        if !follows {
            return Err(damaged(file, 0, "it does not follow the segment before it: one is missing"));
        }
        let mut reader = Reader::new(file, store, bytes, header.after);
        let broken = reader.commits(each)?;
        link = Some(reader.link);
        found.segments.push(reader.piece(header.after));
        let last = n + 1 == files.len();
        if reader.bytes.first_set(reader.offset).map_err(io)?.is_some() {
            if !last {
                return Err(damaged(file, reader.offset, broken.text()));
            }
            reader.unsynced = reader.must_be_torn(broken)?;
            found.cut = Some(reader.cut().map_err(io)?);
        }
        if last {
            let file = file.clone();
            found.short = header.len.filter(|made| *made > is).map(|made| Short { file, made, is });
            found.last = Some(reader.last());
        }
    }
    Ok(found)
}

fn header(file: &Path, bytes: &[u8], store: StoreId) -> Result<Header, OpenError> {
    let header = Header::read(bytes).map_err(|bad| match bad {
        BadHeader::Damaged => damaged(file, 0, "the segment's header is not as it was written"),
        BadHeader::Version(found) => OpenError::Version { file: file.into(), found },
    })?;
    if header.store == store { Ok(header) } else { Err(damaged(file, 16, "it belongs to another store")) }
}

fn damaged(file: &Path, offset: usize, what: &'static str) -> OpenError {
    OpenError::Damaged { file: file.into(), offset: offset as u64, what }
}

impl<'a> Reader<'a> {
    fn new(file: &'a Path, store: StoreId, bytes: Chunks, after: Link) -> Self {
        let (offset, last) = (FIRST, FIRST..FIRST);
        Self { file, store, bytes, offset, link: after, last, ended: None, unsynced: false }
    }

    /// Reads commits up to the first place where none is, and says why none is there.
    fn commits(&mut self, each: Each<'_>) -> Result<Broken, OpenError> {
        loop {
            let bytes =
                self.bytes.from(self.offset).map_err(|error| OpenError::Io(self.file.into(), error))?;
            let commit = match commit::read(bytes, self.link, self.store) {
                Ok(commit) => commit,
                Err(broken) => return Ok(broken),
            };
            let mut body = commit.body;
            for position in (commit.first.0..).take(commit.records as usize) {
                let (partition, record) = record::read(&mut body)
                    .map_err(|_| damaged(self.file, self.offset, "a record of the commit is none"))?;
                each(Position(position), partition, record);
            }
            if !body.is_empty() {
                return Err(damaged(self.file, self.offset, "the commit has more than its records"));
            }
            let stands = self.offset..self.offset + commit::size(commit.body.len());
            self.ended = (commit.kind == Kind::End).then(|| (stands.clone(), self.link));
            self.unsynced = commit.kind == Kind::Unsynced;
            (self.offset, self.link) = (stands.end, commit.link);
            self.last = stands;
        }
    }

    /// What was never synced may stand here, and nothing else; true if some of it may have been told.
    fn must_be_torn(&mut self, broken: Broken) -> Result<bool, OpenError> {
        if self.ended.is_some() {
            return Err(damaged(self.file, self.offset, "bytes behind the end that a stopped server wrote"));
        }
        let io = |error| OpenError::Io(self.file.into(), error);
        let mut unsynced = self.unsynced;
        let mut at = self.offset;
        while at < self.bytes.len() {
            let bytes = self.bytes.from(at).map_err(io)?;
            if bytes.starts_with(&[0; ALIGN]) {
                // None begins with zeros.
                let Some(set) = self.bytes.first_set(at).map_err(io)? else { break };
                at = set / ALIGN * ALIGN;
                continue;
            }
            match commit::read_any(bytes, self.store) {
                Ok((commit, _)) if commit.kind == Kind::Unsynced => unsynced = true,
                Ok(_) => return Err(damaged(self.file, self.offset, broken.text())),
                Err(_) => {}
            }
            at += ALIGN;
        }
        let far = self.bytes.first_set(self.offset + commit::size(COMMIT_BYTES_MAX)).map_err(io)?;
        match far {
            Some(at) if !unsynced => Err(damaged(self.file, at, "bytes where none were written")),
            _ => Ok(unsynced),
        }
    }

    fn piece(&self, after: Link) -> Piece {
        Piece {
            file: self.file.into(),
            after: after.position,
            commits: self.link.number - after.number,
            records: self.link.position.0 - after.position.0,
            used: self.offset as u64,
        }
    }

    fn last(self) -> Last {
        let (offset, link) = match &self.ended {
            Some((end, before)) => (end.start, *before),
            None => (self.offset, self.link),
        };
        // What stands before an end was synced with it.
        let commit = if self.ended.is_some() { FIRST..FIRST } else { self.last };
        let end = self.ended.map(|(end, _)| end);
        Last { file: self.file.into(), offset, link, commit, end, unsynced: self.unsynced }
    }

    fn cut(&mut self) -> io::Result<Cut> {
        let bytes = self.bytes.last_set(self.offset)?.map_or(0, |last| last + 1 - self.offset);
        Ok(Cut { file: self.file.into(), offset: self.offset as u64, bytes: bytes as u64 })
    }
}
