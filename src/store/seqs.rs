//! Numbers reserved ahead, so that none is given twice whatever a disk that was not synced has lost. Knows no message.
//!
//! `SEQS` (TOML: `reserved`) says up to where numbers may have been given, in any conversation. A process gives only numbers above what
//! it found there, and none above what it has put there: on the disk, whatever the durability.

use super::folder::FolderError;
use crate::clock::EPOCH_2020;
use crate::ids::{Millis, SEQS_PER_MS, Seq};
use crate::limits::SEQ_BLOCK;
use crate::log::disk::Health;
use flume::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FILE: &str = "SEQS";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserved {
    reserved: u64,
}

/// What a port must know: which numbers may be given.
#[derive(Clone, Debug)]
pub(super) struct Seqs {
    floor: Seq,
    reserved: Arc<AtomicU64>,
    /// None: no more.
    wanted: Sender<Option<Seq>>,
}

/// Reserves more; runs on a thread of its own, since it waits for the disk.
#[derive(Debug)]
pub(super) struct Reserver {
    folder: PathBuf,
    reserved: Arc<AtomicU64>,
    wanted: Receiver<Option<Seq>>,
    /// The last try has failed.
    failing: bool,
}

/// Reserves the first block. Numbers go on above its floor: what was reserved before, or the clock if that is ahead, so that they
/// grow also when a folder is taken back to an older copy.
pub(super) fn open(folder: &Path, wall: Millis) -> Result<(Seqs, Reserver), FolderError> {
    let file = folder.join(FILE);
    let before = match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| FolderError::Damaged(file.clone(), error.message().into()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Reserved { reserved: 0 },
        Err(error) => return Err(FolderError::Io(file, error)),
    };
    let clock = wall.0.saturating_sub(EPOCH_2020.0) * SEQS_PER_MS;
    let floor = before.reserved.max(clock);
    reserve(folder, floor + SEQ_BLOCK).map_err(|error| FolderError::Io(file, error))?;
    let reserved = Arc::new(AtomicU64::new(floor + SEQ_BLOCK));
    let (want, wanted) = bounded(1);
    let reserver =
        Reserver { folder: folder.into(), reserved: Arc::clone(&reserved), wanted, failing: false };
    Ok((Seqs { floor: Seq(floor), reserved, wanted: want }, reserver))
}

fn reserve(folder: &Path, reserved: u64) -> io::Result<()> {
    let text = toml::to_string(&Reserved { reserved }).map_err(io::Error::other)?;
    let part = folder.join("SEQS.part");
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(part, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}

impl Seqs {
    /// Numbers go on above it.
    pub(super) fn floor(&self) -> Seq {
        self.floor
    }

    /// Ends the reserver.
    pub(super) fn stop(&self) {
        let _ = self.wanted.send(None);
    }

    /// Whether a number may be given. Long before none may, more are asked for.
    pub(super) fn allow(&self, seq: Seq) -> bool {
        let reserved = self.reserved.load(Ordering::Acquire);
        if seq.0 + SEQ_BLOCK / 2 > reserved {
            // One that was asked for already is as good.
            let _ = self.wanted.try_send(Some(seq));
        }
        seq.0 <= reserved
    }
}

impl Reserver {
    /// Runs until it is told to stop; a failure is counted as the log's are.
    pub(super) fn run(mut self, health: &Health) {
        while let Ok(Some(seq)) = self.wanted.recv() {
            if let Some(said) = self.reach(seq, health) {
                eprintln!("{said}");
            }
        }
    }

    /// Reserves more if this number asks for it. What is to be said: each message asks while it fails, so only that it begins to fail,
    /// and that it is over.
    fn reach(&mut self, seq: Seq, health: &Health) -> Option<String> {
        let reserved = self.reserved.load(Ordering::Acquire);
        if seq.0 + SEQ_BLOCK / 2 <= reserved {
            return None;
        }
        let more = reserved.max(seq.0) + SEQ_BLOCK;
        let file = self.folder.join(FILE);
        match reserve(&self.folder, more) {
            Ok(()) => {
                self.reserved.store(more, Ordering::Release);
                let over = std::mem::take(&mut self.failing);
                over.then(|| format!("note: numbers can be reserved again: {}", file.display()))
            }
            Err(error) => {
                health.failed();
                let begins = !std::mem::replace(&mut self.failing, true);
                begins.then(|| {
                    let file = file.display();
                    format!("error: no numbers can be reserved: {file}: {error}; messages are refused when they run out")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reserved_is_never_given_again_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut above = Seq(0);
        for wall in [1_750_000_000_000, 1_750_000_000_001, 1_600_000_000_000, 0, 1_760_000_000_000] {
            let (seqs, _reserver) = open(folder.path(), Millis(wall)).unwrap();
            let floor = seqs.floor();
            assert!(floor >= above, "{wall}: {floor:?} after {above:?}");
            above = Seq(floor.0 + SEQ_BLOCK);
            assert!(seqs.allow(above) && !seqs.allow(Seq(above.0 + 1)));
        }
        assert!(above.0 < 1 << 53);
    }

    #[test]
    fn more_is_reserved_before_it_runs_out() {
        let folder = tempfile::tempdir().unwrap();
        let (seqs, reserver) = open(folder.path(), Millis(0)).unwrap();
        let floor = seqs.floor();
        let runs = std::thread::spawn(move || reserver.run(&Health::default()));
        let mut seq = floor.0;
        while seq < floor.0 + 4 * SEQ_BLOCK {
            seq += SEQ_BLOCK / 16;
            while !seqs.allow(Seq(seq)) {
                std::thread::yield_now();
            }
        }
        seqs.stop();
        runs.join().unwrap();
        let (next, _) = open(folder.path(), Millis(0)).unwrap();
        assert!(next.floor().0 >= seq, "what was given is reserved on the disk");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_once_and_that_it_can_be_again() {
        let folder = tempfile::tempdir().unwrap();
        let (seqs, mut reserver) = open(folder.path(), Millis(0)).unwrap();
        let health = Health::default();
        let last = seqs.floor().0 + SEQ_BLOCK;
        for round in 0..2 {
            let last = last + round * SEQ_BLOCK;
            // A folder stands where the file is written first.
            fs::create_dir(folder.path().join("SEQS.part")).unwrap();
            let said: Vec<_> = (0..5).filter_map(|_| reserver.reach(Seq(last), &health)).collect();
            assert!(said.len() == 1 && said[0].starts_with("error: no numbers can be reserved"), "{said:?}");
            assert!(seqs.allow(Seq(last)) && !seqs.allow(Seq(last + 1)));
            fs::remove_dir(folder.path().join("SEQS.part")).unwrap();
            let said: Vec<_> = (0..5).filter_map(|_| reserver.reach(Seq(last), &health)).collect();
            assert!(
                said.len() == 1 && said[0].starts_with("note: numbers can be reserved again"),
                "{said:?}"
            );
            assert!(seqs.allow(Seq(last + 1)));
        }
        assert_eq!(health.work().failures, 10, "each is counted");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "reserved = many").unwrap();
        assert!(matches!(open(folder.path(), Millis(0)), Err(FolderError::Damaged(..))));
    }
}
