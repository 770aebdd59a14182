//! What a log's files hold, read when it is opened: everything, or a refusal that names file and offset. Knows no writer.
//!
//! A server that is killed, or a machine that loses its power, leaves the last commit half written at most: nobody was told of it, and
//! it is cut off. Anything else that is not as it was written is damage, and is never skipped: bytes with a whole commit behind
//! them, bytes behind the end that a stopped server wrote, bytes further behind the last whole commit than one commit reaches, a
//! segment that is missing.

use super::commit::{self, ALIGN, Broken, Kind, Link};
use super::segment::{self, BadHeader, FIRST, Header, Segment, StoreId};
use crate::ids::PartitionId;
use crate::limits::COMMIT_BYTES_MAX;
use crate::log::{Position, Record, record};
use std::fmt;
use std::io;
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
#[derive(Debug)]
pub struct Found {
    /// None for a log without a segment.
    pub tail: Option<Tail>,
    /// What was cut off at its end.
    pub cut: Option<Cut>,
    /// Its segments by the position before their first record, oldest first.
    pub segments: Vec<(Position, PathBuf)>,
}

/// One segment, as it was read.
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

/// A log that was read, and not changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspected {
    /// Its segments, oldest first.
    pub pieces: Vec<Piece>,
    /// Half a commit at its end, which the next start will cut off.
    pub torn: Option<Cut>,
    /// Its last commit.
    pub link: Link,
    /// Whether its last server stopped in good order.
    pub ended: bool,
}

/// What takes records as they are found.
type Each<'a> = &'a mut dyn FnMut(Position, PartitionId, Record);

/// One segment's bytes being read.
struct Reader<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    offset: usize,
    link: Link,
    ended: bool,
}

/// Reads all of a log; half a commit at its end is cut off.
pub fn recover(folder: &Path, store: StoreId, each: Each<'_>) -> Result<Found, OpenError> {
    let Inspected { pieces, torn, link, .. } = inspect(folder, store, each)?;
    let tail = match pieces.last() {
        Some(last) => Some(tail(last, link, torn.is_some())?),
        None => None,
    };
    let segments = pieces.into_iter().map(|piece| (piece.after, piece.file)).collect();
    Ok(Found { tail, cut: torn, segments })
}

/// Reads all of a log and changes nothing.
pub fn inspect(folder: &Path, store: StoreId, each: Each<'_>) -> Result<Inspected, OpenError> {
    let io = |error| OpenError::Io(folder.into(), error);
    let files = segment::list(folder).map_err(io)?;
    let mut found = Inspected::default();
    for (n, (first, file)) in files.iter().enumerate() {
        let bytes = std::fs::read(file).map_err(|error| OpenError::Io(file.clone(), error))?;
        let header = header(file, &bytes, store)?;
        let follows = (n == 0 || found.link == header.after) && *first == header.after.number + 1;
        if !follows {
            return Err(damaged(file, 0, "it does not follow the segment before it: one is missing"));
        }
        let mut reader = Reader { file, bytes: &bytes, offset: FIRST, link: header.after, ended: false };
        let broken = reader.commits(each)?;
        if !reader.is_rest_zero() {
            if n + 1 != files.len() {
                return Err(damaged(file, reader.offset, broken.text()));
            }
            reader.must_be_torn(broken)?;
            found.torn = Some(reader.cut());
        }
        (found.link, found.ended) = (reader.link, reader.ended);
        found.pieces.push(reader.piece(header.after));
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

fn tail(last: &Piece, link: Link, cut: bool) -> Result<Tail, OpenError> {
    let io = |error| OpenError::Io(last.file.clone(), error);
    let segment = Segment::open(&last.file).map_err(io)?;
    if cut {
        segment.erase_from(last.used).map_err(io)?;
    }
    Ok(Tail { segment, offset: last.used, link })
}

fn damaged(file: &Path, offset: usize, what: &'static str) -> OpenError {
    OpenError::Damaged { file: file.into(), offset: offset as u64, what }
}

impl Reader<'_> {
    /// Reads commits up to the first place where none is, and says why none is there.
    fn commits(&mut self, each: Each<'_>) -> Result<Broken, OpenError> {
        loop {
            let commit = match commit::read(&self.bytes[self.offset..], self.link) {
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
            self.ended = commit.kind == Kind::End;
            self.offset += commit::size(commit.body.len());
            self.link = commit.link;
        }
    }

    fn is_rest_zero(&self) -> bool {
        self.bytes[self.offset..].iter().all(|b| *b == 0)
    }

    /// Half a commit may stand here, and nothing else.
    fn must_be_torn(&self, broken: Broken) -> Result<(), OpenError> {
        if self.ended {
            return Err(damaged(self.file, self.offset, "bytes behind the end that a stopped server wrote"));
        }
        let rest = &self.bytes[self.offset..];
        let whole = |at: usize| commit::read_any(&rest[at..]).is_ok();
        if (0..rest.len()).step_by(ALIGN).any(whole) {
            return Err(damaged(self.file, self.offset, broken.text()));
        }
        let reach = commit::size(COMMIT_BYTES_MAX);
        match rest.get(reach..).and_then(|far| far.iter().position(|b| *b != 0)) {
            Some(at) => Err(damaged(self.file, self.offset + reach + at, "bytes where none were written")),
            None => Ok(()),
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

    fn cut(&self) -> Cut {
        let rest = &self.bytes[self.offset..];
        let bytes = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last as u64 + 1);
        Cut { file: self.file.into(), offset: self.offset as u64, bytes }
    }
}
