//! The segment made ahead of need, by a thread of its own while the one before it is filled. Knows no commit.
//!
//! One at a time makes it, takes it, or waits: zeros that somebody still writes must never come to stand in a segment in use.

use super::commit::Link;
use super::segment::{self, Header, Segment, StoreId};
use flume::Sender;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

const SPARE: &str = "spare.tmp";
/// What is not whole yet.
const PART: &str = "spare.part";

/// The spare segment of a folder.
#[derive(Debug)]
pub(super) struct Spare {
    folder: PathBuf,
    len: u64,
    making: Mutex<()>,
}

impl Spare {
    /// Segments of `len` bytes.
    pub(super) fn new(folder: PathBuf, len: u64) -> Self {
        Self { folder, len, making: Mutex::new(()) }
    }

    /// Makes it, unless a whole one is there.
    pub(super) fn make(&self) -> io::Result<()> {
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_alone()
    }

    fn make_alone(&self) -> io::Result<()> {
        let (spare, part) = (self.folder.join(SPARE), self.folder.join(PART));
        if fs::metadata(&spare).is_ok_and(|meta| meta.len() == self.len) {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part)?;
        segment::fill(&file, 0, self.len)?;
        file.sync_all()?;
        fs::rename(&part, &spare)?;
        segment::sync_folder(&self.folder)
    }

    /// Makes it the segment of a store that goes on behind a commit.
    pub(super) fn begin(&self, store: StoreId, after: Link) -> io::Result<Segment> {
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_alone()?;
        let spare = self.folder.join(SPARE);
        let file = OpenOptions::new().read(true).write(true).open(&spare)?;
        let header = Header { store, after, len: Some(self.len) };
        file.write_all_at(&header.write(), 0)?;
        file.sync_data()?;
        let path = self.folder.join(segment::name(after.number + 1));
        fs::rename(&spare, &path)?;
        segment::sync_folder(&self.folder)?;
        Segment::of(file, path)
    }
}

/// The thread that makes the next one; it has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Maker {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Maker {
    /// Starts it, and has it make one.
    pub(super) fn start(spare: Arc<Spare>) -> io::Result<Self> {
        let (ask, asked) = flume::bounded(1);
        // A failure is met again, and told, when the segment is needed.
        let thread = std::thread::Builder::new().name("log-spare".into()).spawn(move || {
            while asked.recv().is_ok() {
                let _ = spare.make();
            }
        })?;
        let maker = Self { ask: Some(ask), thread: Some(thread) };
        maker.ask();
        Ok(maker)
    }

    /// Has it make one.
    pub(super) fn ask(&self) {
        if let Some(ask) = &self.ask {
            let _ = ask.try_send(());
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::FIRST;
    use super::*;
    use crate::log::Position;

    const STORE: StoreId = StoreId(7 << 70 | 5);
    const AFTER: Link = Link { number: 41, position: Position(900), sum: 3 };

    #[test]
    fn a_segment_is_zeros_behind_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let segment = Spare::new(folder.path().into(), 1 << 16).begin(STORE, AFTER).unwrap();
        let bytes = fs::read(segment.path()).unwrap();
        assert_eq!((bytes.len(), segment.len()), (1 << 16, 1 << 16));
        let header = Header { store: STORE, after: AFTER, len: Some(1 << 16) };
        assert_eq!(Header::read(&bytes), Ok(header));
        assert!(bytes[64..].iter().all(|b| *b == 0));
        let name = folder.path().join("00000000000000000042.log");
        assert_eq!(segment::list(folder.path()).unwrap(), [(42, name)]);
        assert!(!folder.path().join(SPARE).exists());
    }

    #[test]
    fn one_that_is_being_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let spare = Arc::new(Spare::new(folder.path().into(), 8 << 20));
        let maker = Maker::start(Arc::clone(&spare)).unwrap();
        for number in 0..20 {
            let segment = spare.begin(STORE, Link { number, ..AFTER }).unwrap();
            maker.ask();
            let at = segment.len() - 100;
            segment.write(&[9; 100], at).unwrap();
            segment.write(&[9; 100], FIRST as u64).unwrap();
        }
        drop(maker);
        for (_, path) in segment::list(folder.path()).unwrap() {
            let bytes = fs::read(path).unwrap();
            let kept = |at: usize| bytes[at..at + 100].iter().all(|b| *b == 9);
            assert!(kept(FIRST) && kept(bytes.len() - 100), "no zeros came later");
        }
    }
}
