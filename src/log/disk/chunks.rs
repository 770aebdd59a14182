//! A segment's bytes, read a bounded number at a time. Knows no commit.

use super::commit;
use crate::limits::{COMMIT_BYTES_MAX, SEGMENT_READ};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Zeros are looked for in pieces of so many bytes: whether all of one are is seen faster than where the first is not.
const PIECE: usize = 4096;

/// A file, and the part of it that is in memory.
pub(super) struct Chunks {
    file: File,
    len: usize,
    /// Where the part begins.
    at: usize,
    part: Vec<u8>,
}

impl Chunks {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len() as usize;
        Ok(Self { file, len, at: 0, part: Vec::new() })
    }

    /// The file's size (bytes).
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What stands from `offset` on: as much as the largest commit takes, or up to the file's end; mostly more.
    pub(super) fn from(&mut self, offset: usize) -> io::Result<&[u8]> {
        let wanted = self.len.min(offset.saturating_add(commit::size(COMMIT_BYTES_MAX)));
        let has = self.at..self.at + self.part.len();
        if offset < has.start || wanted > has.end {
            self.load(offset)?;
        }
        Ok(&self.part[offset.min(self.len) - self.at..])
    }

    fn load(&mut self, offset: usize) -> io::Result<()> {
        let offset = offset.min(self.len);
        let until = self.len.min(offset + commit::size(COMMIT_BYTES_MAX) + SEGMENT_READ);
        let has = self.at..self.at + self.part.len();
        // What is there already is not read again.
        let kept = if has.contains(&offset) { has.end - offset } else { 0 };
        self.part.drain(..self.part.len() - kept);
        self.at = offset;
        self.part.resize(until - offset, 0);
        let read = self.file.read_exact_at(&mut self.part[kept..], (offset + kept) as u64);
        if read.is_err() {
            self.part.clear();
        }
        read
    }

    /// Where the first byte from `offset` on is that is not zero.
    pub(super) fn first_set(&mut self, mut offset: usize) -> io::Result<Option<usize>> {
        while offset < self.len {
            let bytes = self.from(offset)?;
            if let Some(found) = first_set(bytes) {
                return Ok(Some(offset + found));
            }
            offset += bytes.len();
        }
        Ok(None)
    }

    /// Where the last one is.
    pub(super) fn last_set(&mut self, mut offset: usize) -> io::Result<Option<usize>> {
        let mut last = None;
        while let Some(first) = self.first_set(offset)? {
            let bytes = self.from(first)?;
            last = bytes.iter().rposition(|b| *b != 0).map(|found| first + found);
            offset = first + bytes.len();
        }
        Ok(last)
    }
}

fn first_set(bytes: &[u8]) -> Option<usize> {
    let is_set = |piece: &[u8]| piece.iter().fold(0, |all, byte| all | byte) != 0;
    let (nth, piece) = bytes.chunks(PIECE).enumerate().find(|(_, piece)| is_set(piece))?;
    piece.iter().position(|b| *b != 0).map(|found| nth * PIECE + found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn any_place_of_a_file_is_read_and_never_much_of_it_at_once() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let largest = commit::size(COMMIT_BYTES_MAX);
        let mut bytes = vec![0; 9 << 20 | 77];
        for at in [5, 3 << 20, (7 << 20) - 1] {
            bytes[at..at + 9].fill(1);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let mut chunks = Chunks::open(file.path()).unwrap();
        assert_eq!(chunks.len(), bytes.len());
        let ends = [0, bytes.len() - 1, bytes.len(), bytes.len() + 1];
        for offset in (0..300).map(|_| random.random_range(0..bytes.len())).chain(ends) {
            let is = bytes.get(offset..).unwrap_or_default();
            let read = chunks.from(offset).unwrap();
            assert!(read.len() >= largest.min(is.len()) && read == &is[..read.len()], "from {offset} on");
            let first = is.iter().position(|b| *b != 0).map(|at| offset + at);
            let last = is.iter().rposition(|b| *b != 0).map(|at| offset + at);
            assert_eq!((chunks.first_set(offset).unwrap(), chunks.last_set(offset).unwrap()), (first, last));
            assert!(chunks.part.capacity() <= 2 * (largest + SEGMENT_READ), "{}", chunks.part.capacity());
        }
    }
}
