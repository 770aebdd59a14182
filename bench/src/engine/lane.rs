//! One ring and the slots of its descriptor table. Knows no connection and no frame.
use longwire::net::ring::{Ring, Token};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// A ring with its free slots.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) ring: Ring,
    slots: u32,
    buffers: u16,
    /// Slots from here on were never used.
    fresh: u32,
    free: Vec<u32>,
    /// Freed, but the close may still wait in the submission queue: a socket put there now would be closed by it.
    closing: Vec<u32>,
    /// Connections that have bytes, in the order in which they came.
    ready: VecDeque<u32>,
    /// Receives under way on connections that have bytes: each takes one of the ring's buffers.
    receiving: usize,
}

impl Lane {
    pub(super) fn new(slots: u32, buffers: u16, bell: RawFd) -> io::Result<Self> {
        let ring = Ring::new(slots, buffers, bell)?;
        Ok(Self {
            ring,
            slots,
            buffers,
            fresh: 0,
            free: Vec::new(),
            closing: Vec::new(),
            ready: VecDeque::new(),
            receiving: 0,
        })
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

    /// What was closed before the last submission is free, once the kernel has taken all of it.
    pub(super) fn submitted(&mut self) {
        if self.ring.all_submitted() {
            self.free.append(&mut self.closing);
        }
    }

    /// A connection has bytes to receive.
    pub(super) fn has_bytes(&mut self, at: u32) {
        self.ready.push_back(at);
    }

    /// The next connection to receive from. Half of the buffers at a time: a receive that finds none is asked for again and
    /// again, which at a million connections costs more than everything else.
    pub(super) fn next_ready(&mut self) -> Option<u32> {
        if self.receiving * 2 >= usize::from(self.buffers) {
            return None;
        }
        self.ready.pop_front()
    }

    /// A receive on a connection that has bytes begins, or has ended.
    pub(super) fn receives(&mut self, begins: bool) {
        self.receiving = if begins { self.receiving + 1 } else { self.receiving.saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};

    #[test]
    fn receives_never_take_more_than_half_of_the_buffers() {
        let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let mut lane = Lane::new(16, 8, bell.as_raw_fd()).unwrap();
        (0..10).for_each(|at| lane.has_bytes(at));
        let begin = |lane: &mut Lane| lane.next_ready().inspect(|_| lane.receives(true));
        let first: Vec<u32> = std::iter::from_fn(|| begin(&mut lane)).collect();
        assert_eq!(first, [0, 1, 2, 3]);
        lane.receives(false);
        assert_eq!((begin(&mut lane), begin(&mut lane)), (Some(4), None));
    }

    #[test]
    fn a_closed_slot_is_used_again_only_after_the_close_was_submitted() {
        let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let mut lane = Lane::new(1, 8, bell.as_raw_fd()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(lane.install(socket.as_fd()).unwrap(), Some(0));
        assert!(!lane.has_room());
        lane.close(0, []);
        lane.submitted();
        assert_eq!(lane.install(socket.as_fd()).unwrap(), None, "the close is still queued");
        lane.ring.submit().unwrap();
        lane.submitted();
        assert_eq!(lane.install(socket.as_fd()).unwrap(), Some(0));
    }
}
