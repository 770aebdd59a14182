//! Short sleeps in the ring itself: one system call submits, waits for the next completion and returns with it. Knows no
//! executor, whose other tasks wait meanwhile: so a nap is short, and only for a shard whose connections are in one ring.

use super::Plane;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What wakes a napping shard besides its ring: an eventfd that others write, watched by the ring.
#[derive(Debug)]
pub(super) struct Nap {
    bell: OwnedFd,
    watched: bool,
}

impl Plane {
    /// Lets the plane nap until `bell` is written, an eventfd that does not block.
    pub fn nap_by(&mut self, bell: OwnedFd) {
        self.nap = Some(Nap { bell, watched: false });
    }

    /// Whether all that can happen happens in the first ring.
    pub fn can_nap(&self) -> bool {
        self.nap.is_some()
            && self.entrances.iter().all(|entrance| entrance.ring.is_none_or(|ring| ring == 0))
            && self.rings[1..].iter().all(|ring| ring.used() == 0)
    }

    /// Submits what is queued and sleeps in the ring until something completes, somebody rings, or `millis` are over.
    ///
    /// # Errors
    /// When the kernel refuses the ring.
    pub fn nap(&mut self, millis: u64) -> io::Result<()> {
        let Some(nap) = &mut self.nap else { return Ok(()) };
        if !std::mem::replace(&mut nap.watched, true) {
            self.rings[0].watch(nap.bell.as_raw_fd());
        }
        self.rings[0].wait(millis)
    }

    /// Somebody rang: empties the bell, so that it can be heard again.
    pub(super) fn bell_rang(&mut self) {
        if let Some(nap) = &mut self.nap {
            nap.watched = false;
            // Nothing to read means that it was emptied before.
            let _ = rustix::io::read(&nap.bell, &mut [0u8; 8]);
        }
    }
}
