//! What a loss of power leaves of fjall's journal, made such that fjall opens it. Knows fjall's journal, nothing of what is in it.
//!
//! Batches are written to the journal long before it is synced, so that a loss of power may take any part of the newest of them: then
//! a batch has its end and lacks its middle, and fjall (3.1) opens nothing at all. The journal is cut before the first batch that is
//! not whole: what follows is in the log. Only the newest journal can be torn; fjall syncs one before it begins the next.
//!
//! A batch is a start (1; number of items, 4 bytes; its number, 8), items (2; kind, 1; compressed, 1; keyspace, 8; length of the
//! key, 2; of the value, 4; of the value as it stands, 4; both), and an end (3; XXH3 of the items, 8; `FJL` 3).

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";
/// Keys and values are copied so many bytes at a time.
const PIECE: usize = 64 << 10;

/// Cuts the newest journal of a database before its first torn batch; says where, if there was one.
pub(super) fn untear(folder: &Path) -> io::Result<Option<(PathBuf, u64)>> {
    let Some(journal) = newest(folder)? else { return Ok(None) };
    let file = OpenOptions::new().read(true).write(true).open(&journal)?;
    let Some(at) = Reader::new(&file).torn()? else { return Ok(None) };
    file.set_len(at)?;
    file.sync_all()?;
    Ok(Some((journal, at)))
}

/// Writes what the newest journal holds once more, and syncs it.
pub(super) fn write_again(folder: &Path) -> io::Result<()> {
    let Some(journal) = newest(folder)? else { return Ok(()) };
    let file = OpenOptions::new().read(true).write(true).open(&journal)?;
    let (len, mut at, mut piece) = (file.metadata()?.len(), 0, vec![0; PIECE]);
    while at < len {
        let now = (PIECE as u64).min(len - at) as usize;
        file.read_exact_at(&mut piece[..now], at)?;
        // What was never written stays so.
        if piece[..now].iter().any(|b| *b != 0) {
            file.write_all_at(&piece[..now], at)?;
        }
        at += now as u64;
    }
    file.sync_all()
}

fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_journal) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

struct Reader<'a> {
    file: BufReader<&'a File>,
    at: u64,
    sum: Xxh3,
    piece: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File) -> Self {
        Self { file: BufReader::with_capacity(1 << 20, file), at: 0, sum: Xxh3::new(), piece: vec![0; PIECE] }
    }

    /// Where the first torn batch begins.
    fn torn(mut self) -> io::Result<Option<u64>> {
        loop {
            let at = self.at;
            let tag = match self.array() {
                // The end of the file, or of what was written into it: fjall sees that itself.
                Ok([0]) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                tag => tag?,
            };
            if tag != [START] || !self.batch().or_else(at_end)? {
                return Ok(Some(at));
            }
        }
    }

    /// Reads one batch behind its tag; false if it is not whole.
    fn batch(&mut self) -> io::Result<bool> {
        let items = u32::from_le_bytes(self.array()?);
        let _: [u8; 8] = self.array()?;
        self.sum.reset();
        for _ in 0..items {
            if !self.item()? {
                return Ok(false);
            }
        }
        let [tag] = self.array()?;
        let sum = u64::from_le_bytes(self.array()?);
        Ok(tag == END && self.array()? == TRAILER && sum == self.sum.digest())
    }

    fn item(&mut self) -> io::Result<bool> {
        let head: [u8; 21] = self.array()?;
        if head[0] != ITEM {
            return Ok(false);
        }
        self.sum.update(&head);
        let number = |from: usize| u32::from_le_bytes(std::array::from_fn(|n| head[from + n]));
        let (compressed, value, stands) = (head[2] != 0, number(13), number(17));
        let key = usize::from(u16::from_le_bytes([head[11], head[12]]));
        let mut left = key + stands as usize;
        while left > 0 {
            let now = left.min(PIECE);
            self.file.read_exact(&mut self.piece[..now])?;
            self.at += now as u64;
            self.sum.update(&self.piece[..now]);
            left -= now;
        }
        Ok(compressed || value == stands)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }
}

/// At the end of the file a batch is not whole.
fn at_end(error: io::Error) -> io::Result<bool> {
    if error.kind() == ErrorKind::UnexpectedEof { Ok(false) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::super::DiskView;
    use super::*;
    use crate::ids::{GroupName, Seq, UserName};
    use crate::log::{Position, Record};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::fs;

    const SECTOR: usize = 512;

    fn apply(view: &DiskView, positions: std::ops::RangeInclusive<u64>) {
        let mut applying = view.applying().unwrap();
        for n in positions {
            let (group, user) = (GroupName::new("g").unwrap(), UserName::new(&format!("u{n}")).unwrap());
            applying.apply(Position(n), &Record::Member { group, user, joined: true, seq: Seq(n) });
        }
        applying.commit().unwrap();
    }

    fn is_there(view: &DiskView, n: u64) -> bool {
        let (group, user) = (GroupName::new("g").unwrap(), UserName::new(&format!("u{n}")).unwrap());
        view.is_member(&group, &user).unwrap()
    }

    #[test]
    fn a_journal_that_is_whole_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let view = DiskView::open(folder.path(), 1 << 20).unwrap();
        (0..20).for_each(|n| apply(&view, n * 30 + 1..=n * 30 + 30));
        view.persist().unwrap();
        drop(view);
        assert_eq!(untear(folder.path()).unwrap(), None);
        let view = DiskView::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(view.applied().unwrap(), Position(600));
        assert!((1..=600).all(|n| is_there(&view, n)));
    }

    #[test]
    fn whatever_is_missing_behind_the_last_sync_it_opens_with_all_before() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let view = DiskView::open(folder.path(), 1 << 20).unwrap();
            (0..3).for_each(|n| apply(&view, n * 30 + 1..=n * 30 + 30));
            view.persist().unwrap();
            let journal = newest(folder.path()).unwrap().unwrap();
            let synced = fs::read(&journal).unwrap();
            (3..20).for_each(|n| apply(&view, n * 30 + 1..=n * 30 + 30));
            let written = fs::read(&journal).unwrap();
            drop(view);
            let mut torn = synced.clone();
            torn.resize(written.len(), 0);
            for (torn, written) in torn.chunks_mut(SECTOR).zip(written.chunks(SECTOR)) {
                if random.random_ratio(7, 10) {
                    torn.copy_from_slice(written);
                }
            }
            fs::write(&journal, torn).unwrap();
            let view = DiskView::open(folder.path(), 1 << 20).unwrap();
            let applied = view.applied().unwrap().0;
            assert!((90..=600).contains(&applied), "{applied}");
            assert!((1..=applied).all(|n| is_there(&view, n)), "all up to {applied}");
        }
    }
}
