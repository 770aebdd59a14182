//! The log's files: made ahead of need, full of zeros. Knows where commits begin, not what they are.
//!
//! A segment is `<number of its first commit, 20 digits>.log`, always of the same size. Its first [`FIRST`] bytes are a header, commits
//! follow without gaps, zeros follow them:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `LWLOG` and three zeros |
//! | 8–11 | the format's version, [`VERSION`] |
//! | 12–15 | how many bytes the file was made with; 0 in those of the first servers |
//! | 16–31 | which store it belongs to |
//! | 32–39, 40–47, 48–55 | what its first commit follows: commit number, position, checksum |
//! | 56–63 | XXH3 of bytes 0–55 |
//!
//! Zeros are written and synced before a segment is used: a commit then changes no length and no block map of the file, which makes
//! its `fdatasync` about half as expensive, and no bytes of an earlier file can be taken for commits.

use super::commit::{Link, u32_at, u64_at};
use crate::log::Position;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The format's version; another one is refused.
pub(super) const VERSION: u32 = 1;
/// Where the first commit begins (bytes).
pub(super) const FIRST: usize = 4096;

const MAGIC: [u8; 8] = *b"LWLOG\0\0\0";
const HEADER: usize = 64;
const SUM_AT: usize = 56;
/// Zeros written at a time (bytes).
const ZEROS: usize = 1 << 20;

/// Which store a segment belongs to: a number made once, so that files of two stores cannot be mixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreId(pub u128);

/// What a segment's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub store: StoreId,
    /// What its first commit follows.
    pub after: Link,
    /// How many bytes its file was made with, if it says so.
    pub len: Option<u64>,
}

/// Why a header is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    /// It was damaged, or is of something else.
    Damaged,
    /// It is of another version of the format.
    Version(u32),
}

impl Header {
    pub(super) fn write(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        // Settings allow no more than 1 GiB.
        let len = self.len.and_then(|len| u32::try_from(len).ok()).unwrap_or(0);
        bytes[12..16].copy_from_slice(&len.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.after.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.after.position.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.after.sum.to_le_bytes());
        let sum = xxh3_64(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the header of a segment's bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BadHeader> {
        let head = bytes.get(..FIRST).ok_or(BadHeader::Damaged)?;
        let (header, rest) = head.split_at(HEADER);
        if header[..8] != MAGIC || xxh3_64(&header[..SUM_AT]) != u64_at(header, SUM_AT) {
            return Err(BadHeader::Damaged);
        }
        match u32_at(header, 8) {
            VERSION if rest.iter().any(|b| *b != 0) => return Err(BadHeader::Damaged),
            VERSION => {}
            other => return Err(BadHeader::Version(other)),
        }
        let store = u128::from(u64_at(header, 16)) | u128::from(u64_at(header, 24)) << 64;
        let after = Link {
            number: u64_at(header, 32),
            position: Position(u64_at(header, 40)),
            sum: u64_at(header, 48),
        };
        let len = Some(u64::from(u32_at(header, 12))).filter(|len| *len > 0);
        Ok(Self { store: StoreId(store), after, len })
    }
}

/// A segment's file.
#[derive(Debug)]
pub struct Segment {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Segment {
    /// Opens one that is there, to write on.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::of(OpenOptions::new().read(true).write(true).open(path)?, path.into())
    }

    /// One that was just made.
    pub(super) fn of(file: File, path: PathBuf) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, path, len })
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size (bytes).
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes what stands in a part of it once more, and returns when it is on the disk. After a sync that failed the kernel may
    /// hold bytes that are not there, and that no other sync would write.
    pub(super) fn write_again(&self, part: Range<u64>) -> io::Result<()> {
        let mut bytes = vec![0; (part.end - part.start) as usize];
        self.file.read_exact_at(&mut bytes, part.start)?;
        self.file.write_all_at(&bytes, part.start)?;
        self.sync()
    }

    /// Writes all of `bytes` at `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        super::faults::check(&self.path, super::faults::Fault::Write)?;
        self.file.write_all_at(bytes, offset)
    }

    /// Returns when what was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        super::faults::check(&self.path, super::faults::Fault::Sync)?;
        self.file.sync_data()
    }

    /// Makes everything from `offset` on zeros again, on the disk too, whatever the kernel still holds of those bytes after a failed
    /// write. The file gets no shorter on the way: others may take the room, and a kill must not leave what looks like damage.
    pub(super) fn erase_from(&self, offset: u64) -> io::Result<()> {
        fill(&self.file, offset, self.len)?;
        self.file.sync_all()
    }

    /// Gives a file that was cut its length again, in zeros.
    pub(super) fn fill_up(&mut self, len: u64) -> io::Result<()> {
        fill(&self.file, self.len, len)?;
        self.file.sync_all()?;
        self.len = len;
        Ok(())
    }
}

/// A segment's name, by the number of its first commit.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The segments of a folder by the number of their first commit, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "log")
            && let Ok(first) = stem.parse::<u64>()
        {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes the segments whose records all lie at or below `position`; the last one stays.
///
/// # Errors
/// When a file cannot be read or removed.
pub fn free(folder: &Path, position: Position) -> io::Result<()> {
    let files = list(folder)?;
    let mut removed = false;
    for (old, next) in files.iter().zip(files.iter().skip(1)) {
        let mut head = vec![0; FIRST];
        File::open(&next.1)?.read_exact_at(&mut head, 0)?;
        // Where the next one begins is where this one ends; what is damaged is not removed either.
        let Ok(header) = Header::read(&head) else { break };
        if header.after.position > position {
            break;
        }
        fs::remove_file(&old.1)?;
        removed = true;
    }
    if removed { sync_folder(folder) } else { Ok(()) }
}

/// Removes segments that were begun behind a commit and never used: what follows that commit stands elsewhere.
pub(super) fn remove_unused(folder: &Path, last: u64, used: &Path) -> io::Result<()> {
    for (first, path) in list(folder)? {
        if first > last && path != used {
            fs::remove_file(path)?;
        }
    }
    sync_folder(folder)
}

/// Zeros from `from` to `to`: written, since a hole would be filled with the first commits, at their cost.
pub(super) fn fill(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    use std::io::Seek;
    let zeros = vec![0; ZEROS];
    file.seek(io::SeekFrom::Start(from))?;
    let mut left = to.saturating_sub(from);
    while left > 0 {
        let now = left.min(ZEROS as u64);
        file.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}

/// A new name in a folder outlives a power loss only when the folder is synced too.
///
/// # Errors
/// When it cannot be.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::spare::Spare;
    use super::*;

    const HEADER_OF_IT: Header = Header {
        store: StoreId(7 << 70 | 5),
        after: Link { number: 41, position: Position(900), sum: 3 },
        len: Some(1 << 16),
    };

    #[test]
    fn a_header_with_a_flipped_bit_is_none() {
        let mut bytes = vec![0; FIRST];
        bytes[..HEADER].copy_from_slice(&HEADER_OF_IT.write());
        for bit in 0..FIRST * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::read(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(Header::read(&bytes).is_ok());
        assert_eq!(Header::read(&bytes[..HEADER]), Err(BadHeader::Damaged));
    }

    #[test]
    fn what_is_erased_is_zeros_of_the_same_length() {
        let folder = tempfile::tempdir().unwrap();
        let segment =
            Spare::new(folder.path().into(), 1 << 16).begin(HEADER_OF_IT.store, HEADER_OF_IT.after).unwrap();
        segment.write(&[9; 3000], FIRST as u64).unwrap();
        segment.erase_from(FIRST as u64 + 1000).unwrap();
        let bytes = fs::read(segment.path()).unwrap();
        assert_eq!(bytes.len(), 1 << 16);
        assert!(bytes[FIRST..FIRST + 1000].iter().all(|b| *b == 9));
        assert!(bytes[FIRST + 1000..].iter().all(|b| *b == 0));
    }
}
