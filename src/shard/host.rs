//! The only place that knows glommio: a pinned executor per core, sleep and yield. Knows no connections.
#![allow(unsafe_code)]

use glommio::io::BufferedFile;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd};
use std::time::Duration;

/// glommio 0.9 parks for good when its preempt timer expires after it looked for events and before it ran a task: it takes
/// "ran nothing" for "has nothing to run". A timer that never expires cannot; [`breathe`] lets other tasks run instead.
const PREEMPT: Duration = Duration::from_secs(3600);
/// glommio's registered buffers, which we use for nothing but eight bytes (bytes).
const IO_MEMORY: usize = 64 * 1024;

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
            .spawn(shard)
            .map(Self)
            .map_err(|error| plain(error, &format!("core {core}: ")))
    }

    /// Waits for the shard's end.
    ///
    /// # Errors
    /// The shard's own.
    pub(super) fn join(self) -> io::Result<()> {
        match self.0.join() {
            Ok(result) => result,
            Err(error) => Err(plain(error, "")),
        }
    }
}

/// The system's own error where there is one, so that its number is known.
fn plain<T: std::fmt::Debug>(error: GlommioError<T>, what: &str) -> io::Error {
    match error {
        GlommioError::IoError(error) if error.raw_os_error().is_some() => error,
        error => io::Error::other(format!("{what}{error}")),
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

/// Lets the executor's other tasks run.
pub(super) async fn breathe() {
    glommio::executor().yield_task_queue_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Instant;

    const WAKES: u64 = 400;

    /// Busy for up to a millisecond, breathing, as a shard's loop is.
    async fn busy(wake: u64) {
        let until = Instant::now() + Duration::from_micros(wake * 7919 % 1000);
        while Instant::now() < until {
            breathe().await;
        }
    }

    #[test]
    fn a_shard_is_never_left_asleep() {
        let core = affinity::get_thread_affinity().unwrap()[0];
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let heard = Arc::new(AtomicU64::new(0));
        let (rung, seen) = (Arc::clone(&bell), Arc::clone(&heard));
        let shard = move || async move {
            let bed = Bed::new(rung.as_fd())?;
            while seen.load(Ordering::SeqCst) < WAKES {
                bed.sleep().await?;
                busy(seen.fetch_add(1, Ordering::SeqCst)).await;
            }
            Ok(())
        };
        let host = Host::start(core, "sleeper", shard).unwrap();
        // Someone else on the same core: the executor is taken off it at the worst moments.
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let rival = std::thread::spawn(move || {
            affinity::set_thread_affinity([core]).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for wake in 1..=WAKES {
            rustix::io::write(&*bell, &1u64.to_ne_bytes()).unwrap();
            let rung_at = Instant::now();
            while heard.load(Ordering::SeqCst) < wake {
                assert!(rung_at.elapsed() < Duration::from_secs(10), "asleep for good at wake {wake}");
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        rival.join().unwrap();
        host.join().unwrap();
    }
}
