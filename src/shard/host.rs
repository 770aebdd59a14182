//! The only place that knows glommio: a pinned executor per core, sleep and yield. Knows no connections.
#![allow(unsafe_code)]

use glommio::io::BufferedFile;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd};
use std::time::Duration;

/// A foreign wake reaches a busy executor only at its preempt timer; the loop itself drains its mail every turn.
const PREEMPT: Duration = Duration::from_millis(1);
/// glommio's registered buffers, which we use for nothing but eight bytes (bytes).
const IO_MEMORY: usize = 64 * 1024;
/// glommio's own rings carry one read at a time (entries).
const RING_DEPTH: usize = 16;

/// A running executor.
#[derive(Debug)]
pub(super) struct Host(ExecutorJoinHandle<io::Result<()>>);

impl Host {
    /// Starts an executor pinned to `core` and runs `shard` on it.
    ///
    /// # Errors
    /// When glommio cannot start there; its text names the missing limit or core.
    pub(super) fn start<F, T>(core: usize, name: &str, shard: F) -> io::Result<Self>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = io::Result<()>> + 'static,
    {
        LocalExecutorBuilder::new(Placement::Fixed(core))
            .name(name)
            .preempt_timer(PREEMPT)
            .io_memory(IO_MEMORY)
            .ring_depth(RING_DEPTH)
            .spawn(shard)
            .map(Self)
            .map_err(|error| io::Error::other(format!("core {core}: {error}")))
    }

    /// Waits for the shard's end.
    ///
    /// # Errors
    /// The shard's own.
    pub(super) fn join(self) -> io::Result<()> {
        match self.0.join() {
            Ok(result) => result,
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}

/// Where a shard sleeps: a read of its eventfd in glommio's ring, so that glommio's own tasks can run meanwhile.
#[derive(Debug)]
pub(super) struct Bed(BufferedFile);

impl Bed {
    /// A bed over a copy of the eventfd; to be made on the executor's thread.
    ///
    /// # Errors
    /// When the descriptor cannot be copied.
    pub(super) fn new(eventfd: BorrowedFd<'_>) -> io::Result<Self> {
        let copy = eventfd.try_clone_to_owned()?.into_raw_fd();
        // SAFETY: the copy is ours alone and handed over; glommio closes it.
        Ok(Self(unsafe { BufferedFile::from_raw_fd(copy) }))
    }

    /// Sleeps until the eventfd is written.
    ///
    /// # Errors
    /// When the read fails.
    pub(super) async fn sleep(&self) -> io::Result<()> {
        self.0.read_at(0, size_of::<u64>()).await.map(drop).map_err(|e| io::Error::other(e.to_string()))
    }
}

/// Lets glommio's other tasks run if their time has come.
pub(super) async fn yield_if_needed() {
    glommio::yield_if_needed().await;
}
