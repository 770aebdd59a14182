//! The receive buffers that one ring's connections share (IORING_REGISTER_PBUF_RING). Knows no connections.
#![allow(unsafe_code)]

use crate::limits::RECV_BUFFER_SIZE;
use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

const PAGE: usize = 4096;
/// One buffer group a ring.
pub(super) const GROUP: u16 = 0;

/// Memory shared with the kernel, freed when its last user is gone.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

impl Region {
    fn new(bytes: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(PAGE), align).expect("buffer sizes are constants");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout; nobody else frees it.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Received bytes. Its memory is not the kernel's until it is given back; dropping it instead only loses one buffer.
#[derive(Debug)]
pub struct RecvBuffer {
    region: Rc<Region>,
    id: u16,
    len: usize,
}

impl Deref for RecvBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: buffer `id` lies within the region, is initialised (zeroed at start), and the kernel handed it
        // over with its completion and does not touch it until it is given back, which consumes `self`.
        unsafe {
            let start = self.region.start.as_ptr().add(usize::from(self.id) * RECV_BUFFER_SIZE);
            std::slice::from_raw_parts(start, self.len)
        }
    }
}

impl DerefMut for RecvBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes this the only slice of it.
        unsafe {
            let start = self.region.start.as_ptr().add(usize::from(self.id) * RECV_BUFFER_SIZE);
            std::slice::from_raw_parts_mut(start, self.len)
        }
    }
}

/// A ring's provided buffers: those free are in the kernel's hands.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: Region,
    data: Rc<Region>,
    count: u16,
    tail: u16,
    /// Taken and not given back.
    out: Cell<u16>,
}

impl Buffers {
    /// Allocates `count` buffers (a power of two), registers them with `uring` and gives them all to the kernel.
    ///
    /// The caller keeps the result as long as the ring: the kernel reads its memory until then.
    pub(super) fn register(uring: &IoUring, count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks buffer ring indices");
        let entries = Region::new(usize::from(count) * size_of::<BufRingEntry>(), PAGE);
        // Only what malloc aligns by itself comes from the kernel untouched: a ring that is never used costs no memory.
        let data = Rc::new(Region::new(usize::from(count) * RECV_BUFFER_SIZE, align_of::<u128>()));
        // SAFETY: the entries live in `Self`, which the ring's owner drops after the ring (field order in `Ring`).
        unsafe {
            uring.submitter().register_buf_ring_with_flags(entries.start.as_ptr() as u64, count, GROUP, 0)?;
        }
        let mut buffers = Self { entries, data, count, tail: 0, out: Cell::new(0) };
        (0..count).for_each(|id| buffers.put(id));
        buffers.publish();
        Ok(buffers)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// How many were taken and not given back.
    pub(super) fn out(&self) -> u16 {
        self.out.get()
    }

    /// Wraps what a completion says was received.
    pub(super) fn take(&self, id: u16, len: usize) -> RecvBuffer {
        assert!(id < self.count && len <= RECV_BUFFER_SIZE, "the kernel names buffers it was given");
        self.out.set(self.out.get() + 1);
        RecvBuffer { region: Rc::clone(&self.data), id, len }
    }

    /// Returns a buffer to the kernel, which sees it after [`Buffers::publish`].
    pub(super) fn give_back(&mut self, buffer: &RecvBuffer) {
        debug_assert!(Rc::ptr_eq(&buffer.region, &self.data), "a buffer goes back to its own ring");
        self.out.set(self.out.get() - 1);
        self.put(buffer.id);
    }

    fn put(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let base = self.entries.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: `slot < count` lies within the entries; the kernel reads it only once the tail has passed it.
        let entry = unsafe { &mut *base.add(slot) };
        // SAFETY: `id < count`, so the buffer lies within the region.
        let start = unsafe { self.data.start.as_ptr().add(usize::from(id) * RECV_BUFFER_SIZE) };
        entry.set_addr(start as u64);
        entry.set_len(RECV_BUFFER_SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Makes the buffers given back visible to the kernel.
    pub(super) fn publish(&mut self) {
        // SAFETY: the tail shares the first entry's memory (io_uring_register(2), IORING_REGISTER_PBUF_RING) and is
        // written by us only; release orders it after the entries.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.start.as_ptr().cast::<BufRingEntry>());
            AtomicU16::from_ptr(tail.cast_mut()).store(self.tail, Ordering::Release);
        }
    }
}
