//! One ring and the slots of its descriptor table. Knows no connection and no frame.
use longwire::net::ring::{Ring, Token};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// A ring with its free slots.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) ring: Ring,
    slots: u32,
    /// Slots from here on were never used.
    fresh: u32,
    free: Vec<u32>,
    /// Freed, but the close may still wait in the submission queue: a socket put there now would be closed by it.
    closing: Vec<u32>,
}

impl Lane {
    pub(super) fn new(slots: u32, buffers: u16, bell: RawFd) -> io::Result<Self> {
        let ring = Ring::new(slots, buffers, bell)?;
        Ok(Self { ring, slots, fresh: 0, free: Vec::new(), closing: Vec::new() })
    }

    /// Whether it has a free slot.
    pub(super) fn has_room(&self) -> bool {
        self.fresh < self.slots || !self.free.is_empty()
    }

    /// Puts a socket into a free slot; nothing when there is none.
    pub(super) fn install(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.fresh < self.slots => {
                self.fresh += 1;
                self.fresh - 1
            }
            None => return Ok(None),
        };
        self.ring.install(slot, socket)?;
        Ok(Some(slot))
    }

    /// Closes a slot's socket and ends what is under way on it.
    pub(super) fn close(&mut self, slot: u32, under_way: impl IntoIterator<Item = Token>) {
        self.ring.close(slot, under_way);
        self.closing.push(slot);
    }

    /// What was closed before the last submission is free.
    pub(super) fn submitted(&mut self) {
        self.free.append(&mut self.closing);
    }
}
