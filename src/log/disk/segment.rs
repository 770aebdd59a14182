//! The log's files: made ahead of need, full of zeros. Knows where commits begin, not what they are.
//!
//! A segment is `<number of its first commit, 20 digits>.log`, always of the same size. Its first [`FIRST`] bytes are a header, commits
//! follow without gaps, zeros follow them:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `LWLOG` and three zeros |
//! | 8–11 | the format's version, [`VERSION`] |
//! | 12–15 | 0 |
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
/// The segment made ahead of need, and the one that its maker works on.
const SPARE: &str = "spare.tmp";
const SPARE_PART: &str = "spare.part";
/// The segment that the writer is about to begin: no other thread has that name.
const NEXT: &str = "next.tmp";
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
    fn write(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
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
        Ok(Self { store: StoreId(store), after })
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
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, path: path.into(), len })
    }

    /// Makes the segment that follows `after` of the spare file, or of a new one if there is none.
    pub(super) fn begin(folder: &Path, len: u64, header: Header) -> io::Result<Self> {
        let next = folder.join(NEXT);
        // Taken by its name first: whoever makes spares may put another one there at any time.
        let taken = fs::rename(folder.join(SPARE), &next).is_ok();
        if !taken || fs::metadata(&next)?.len() != len {
            make(&next, len)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&next)?;
        file.write_all_at(&header.write(), 0)?;
        file.sync_data()?;
        let path = folder.join(name(header.after.number + 1));
        fs::rename(&next, &path)?;
        if let Err(error) = sync_folder(folder) {
            // The log may go on in the segment before it, and this one would then not follow it.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
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

    /// Writes all of `bytes` at `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Returns when what was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Makes everything from `offset` on zeros again, on the disk too. The file gets shorter and longer on the way, so that what the
    /// kernel still holds of those bytes after a failed write is forgotten with them.
    pub(super) fn erase_from(&self, offset: u64) -> io::Result<()> {
        self.file.set_len(offset)?;
        self.file.sync_all()?;
        fill(&self.file, offset, self.len)?;
        self.file.sync_all()
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

/// Makes the spare segment, unless a whole one is there. One thread at a time may.
pub(super) fn make_spare(folder: &Path, len: u64) -> io::Result<()> {
    let (spare, part) = (folder.join(SPARE), folder.join(SPARE_PART));
    if fs::metadata(&spare).is_ok_and(|meta| meta.len() == len) {
        return Ok(());
    }
    make(&part, len)?;
    fs::rename(&part, &spare)
}

/// Makes a file of zeros.
fn make(path: &Path, len: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    fill(&file, 0, len)?;
    file.sync_all()
}

/// Zeros from `from` to `to`: written, since a hole would be filled with the first commits, at their cost.
fn fill(mut file: &File, from: u64, to: u64) -> io::Result<()> {
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
    use super::*;

    const HEADER_OF_IT: Header =
        Header { store: StoreId(7 << 70 | 5), after: Link { number: 41, position: Position(900), sum: 3 } };

    #[test]
    fn a_segment_is_zeros_behind_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let segment = Segment::begin(folder.path(), 1 << 16, HEADER_OF_IT).unwrap();
        let bytes = fs::read(segment.path()).unwrap();
        assert_eq!((bytes.len(), segment.len()), (1 << 16, 1 << 16));
        assert_eq!(Header::read(&bytes), Ok(HEADER_OF_IT));
        assert!(bytes[HEADER..].iter().all(|b| *b == 0));
        assert_eq!(list(folder.path()).unwrap(), [(42, folder.path().join("00000000000000000042.log"))]);
        assert!(!folder.path().join(SPARE).exists() && !folder.path().join(NEXT).exists());
    }

    #[test]
    fn a_spare_of_another_size_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        make_spare(folder.path(), 1 << 15).unwrap();
        let segment = Segment::begin(folder.path(), 1 << 16, HEADER_OF_IT).unwrap();
        assert_eq!(fs::metadata(segment.path()).unwrap().len(), 1 << 16);
        make_spare(folder.path(), 1 << 16).unwrap();
        let after = Link { number: 42, ..HEADER_OF_IT.after };
        let segment = Segment::begin(folder.path(), 1 << 16, Header { after, ..HEADER_OF_IT }).unwrap();
        assert_eq!(fs::metadata(segment.path()).unwrap().len(), 1 << 16);
        assert!(!folder.path().join(SPARE).exists(), "it was used");
    }

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
        let segment = Segment::begin(folder.path(), 1 << 16, HEADER_OF_IT).unwrap();
        segment.write(&[9; 3000], FIRST as u64).unwrap();
        segment.erase_from(FIRST as u64 + 1000).unwrap();
        let bytes = fs::read(segment.path()).unwrap();
        assert_eq!(bytes.len(), 1 << 16);
        assert!(bytes[FIRST..FIRST + 1000].iter().all(|b| *b == 9));
        assert!(bytes[FIRST + 1000..].iter().all(|b| *b == 0));
    }
}
