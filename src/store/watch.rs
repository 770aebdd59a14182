//! How it stands with a store, for the control thread: reads what its threads write down, and reports a commit that takes too long. Knows no file.

use super::applier::Applied;
use super::readers::{Count, Job};
use crate::log::disk::{COMMIT_TIMES, Health, Order};
use crate::metrics::StoreLevels;
use flume::{RecvTimeoutError, Sender, WeakSender};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The least time between two looks at the commit under way.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A look at a store; it holds none of it open.
#[derive(Clone)]
pub struct Watch {
    health: Arc<Health>,
    applied: Arc<Applied>,
    count: Arc<Count>,
    orders: WeakSender<Order>,
    jobs: WeakSender<Job>,
    replayed: u64,
    /// Ends the watchdog when dropped; the store's own has it.
    dog: Option<Sender<()>>,
}

impl Watch {
    pub(super) fn new(
        health: &Arc<Health>,
        applied: &Arc<Applied>,
        count: &Arc<Count>,
        orders: &Sender<Order>,
        jobs: &Sender<Job>,
        replayed: u64,
    ) -> Self {
        let (health, applied, count) = (Arc::clone(health), Arc::clone(applied), Arc::clone(count));
        let (orders, jobs) = (orders.downgrade(), jobs.downgrade());
        Self { health, applied, count, orders, jobs, replayed, dog: None }
    }

    /// Tells of commits that take longer than `limit`, while they do, until the store is closed.
    pub(super) fn start(&mut self, limit: Duration) -> io::Result<()> {
        let (dog, ended) = flume::bounded::<()>(0);
        let health = Arc::clone(&self.health);
        std::thread::Builder::new().name("log-watchdog".into()).spawn(move || {
            let mut told = false;
            while ended.recv_timeout((limit / 4).max(LOOK_EVERY)) == Err(RecvTimeoutError::Timeout) {
                let late = health.stuck_for().is_some_and(|took| took > limit);
                if late && !told {
                    eprintln!(
                        "warning: a commit of the log has taken over {limit:?}: the disk does not keep up"
                    );
                }
                told = late;
            }
        })?;
        self.dog = Some(dog);
        Ok(())
    }

    /// A look for somebody else, who need not end it.
    pub(super) fn another(&self) -> Self {
        Self { dog: None, ..self.clone() }
    }

    pub(super) fn stop(&mut self) {
        self.dog = None;
    }

    /// Why nothing can be stored now, if nothing can.
    pub fn refuses(&self) -> Option<String> {
        self.health.why().or_else(|| self.applied.why())
    }

    /// All its numbers.
    pub fn levels(&self) -> StoreLevels {
        let work = self.health.work();
        let waiting = |length: Option<usize>| length.unwrap_or_default() as u64;
        StoreLevels {
            refuses: self.refuses(),
            commits: work.commits,
            records: work.records,
            bytes: work.bytes,
            syncs: work.syncs,
            failures: work.failures,
            slow: work.slow,
            stuck: self.health.stuck_for().unwrap_or_default(),
            times: (COMMIT_TIMES.to_vec(), work.times.to_vec()),
            time: work.time,
            queued: waiting(self.orders.upgrade().map(|orders| orders.len())),
            lag: self.health.head().0.saturating_sub(self.applied.position().0),
            replayed: self.replayed,
            free: work.free,
            reads: self.count.reads.load(Ordering::Relaxed),
            trims: self.count.trims.load(Ordering::Relaxed),
            trimmed_messages: self.count.trimmed_messages.load(Ordering::Relaxed),
            trimmed_bytes: self.count.trimmed_bytes.load(Ordering::Relaxed),
            sweeps: self.count.sweeps.load(Ordering::Relaxed),
            failed_reads: self.count.failed.load(Ordering::Relaxed),
            waiting_reads: waiting(self.jobs.upgrade().map(|jobs| jobs.len())),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("refuses", &self.refuses()).finish_non_exhaustive()
    }
}
