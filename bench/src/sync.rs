//! What the disk itself takes: `fdatasync` of 4 KiB appended to a file, before a run and beside it. Knows no server.
use crate::control::{Control, Phase};
use crate::latency::{Latency, Quantiles};
use crate::limits::{SYNC_EVERY, SYNC_IDLE};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes appended before each sync.
const BLOCK: usize = 4096;

/// What was measured: one after the other while nothing else went on, and now and then beside the load.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct RawSync {
    pub(crate) idle_us: Option<Quantiles>,
    pub(crate) beside_us: Option<Quantiles>,
}

/// A file that is appended to, gone with this.
#[derive(Debug)]
pub(crate) struct Probe {
    path: PathBuf,
    file: File,
    idle: Latency,
    beside: Latency,
}

impl Probe {
    /// A file in this folder.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(format!("longwire-bench-sync-{:08x}", fastrand::u32(..)));
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.with_context(|| format!("a file to sync, {}", path.display()))?;
        Ok(Self { path, file, idle: Latency::default(), beside: Latency::default() })
    }

    /// Syncs one append after the other for a while, with nothing beside them.
    pub(crate) fn alone(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        while since.elapsed() < SYNC_IDLE {
            let took = self.once()?;
            self.idle.record(took);
        }
        Ok(())
    }

    /// Syncs one now and then in the measured time, until the run is over: so few that the server does not feel them.
    pub(crate) fn beside(&mut self, control: &Control) -> anyhow::Result<()> {
        while !control.over() && control.phase(control.now()) <= Phase::Measure {
            if control.phase(control.now()) == Phase::Measure {
                let took = self.once()?;
                self.beside.record(took);
            }
            std::thread::sleep(SYNC_EVERY);
        }
        Ok(())
    }

    /// What was found.
    pub(crate) fn found(&self) -> RawSync {
        RawSync { idle_us: self.idle.quantiles(), beside_us: self.beside.quantiles() }
    }

    fn once(&mut self) -> anyhow::Result<u64> {
        let since = Instant::now();
        self.file.write_all(&[0x5a; BLOCK]).and_then(|()| self.file.sync_data()).context("a raw sync")?;
        Ok(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Whoever made the folder may have removed it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_measures_and_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("longwire-sync-{:08x}", fastrand::u32(..)));
        std::fs::create_dir(&folder).unwrap();
        let mut probe = Probe::open(&folder).unwrap();
        probe.alone().unwrap();
        let found = probe.found();
        assert!(found.idle_us.is_some_and(|q| q.count > 0) && found.beside_us.is_none());
        drop(probe);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
        assert!(Probe::open(&folder).is_err());
    }
}
