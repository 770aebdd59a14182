//! What is stored, put together: the log on disk, the view behind it, the threads of both, and a port for each shard. Knows no chat and
//! no connections.
//!
//! ```text
//!  shard 0 ─ Port ─┐ batches                    ┌─ outcomes ─▶ Port
//!  shard 1 ─ Port ─┼─────────▶ log's thread ────┤
//!                  │           write, sync      └─ commits ──▶ view's thread ──▶ fjall ──▶ segments freed
//!                  └ reads ──▶ readers ── pages, activations ─▶ Port
//! ```
//!
//! No shard ever waits here: what a port is asked for comes back later, and its shard is woken.

mod applier;
mod backlog;
mod check;
mod delete;
mod error;
mod export;
mod folder;
mod import;
mod lines;
mod order;
mod port;
mod readers;
mod rebuild;
mod replay;
mod seqs;
mod shared;
mod stats;
mod stopped;
mod trimmer;
mod watch;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trimmer_tests;
#[cfg(test)]
mod upkeep_tests;

pub use check::{Checked, Fault, check};
pub use delete::{DeleteError, Deleted, delete};
pub use error::StoreError;
pub use export::{ExportError, Exported, export};
pub use folder::FolderError;
pub use import::{ImportError, Imported, import};
pub use port::{Answer, Port, Want};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use stats::{Large, Stats, stats};
pub use stopped::{Stopped, Tell as TellProgress};
pub use trimmer::Retention;
pub use watch::Watch;

pub use crate::log::disk::{Cut, Found};

use crate::ids::Millis;
use crate::limits::STORE_READERS;
use crate::log::disk::{Batch, End, Health, Order, Plan, Sink, Writer};
use crate::log::{Durability, Position};
use crate::route::Router;
use applier::{Applied, Applier};
use backlog::{Committed, Giver};
use flume::Sender;
use folder::Folder;
use port::Done;
use readers::{Count, Job};
use seqs::Seqs;
use shared::Shared;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trimmer::Trimmer;

/// Wakes a shard that may be asleep.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// What a commit proves: [`Durability::Os`] or [`Durability::Fsync`].
    pub durability: Durability,
    /// A log segment's size (bytes).
    pub segment: u64,
    /// Room to leave on the disk (bytes).
    pub min_free: u64,
    /// The view's cache (bytes).
    pub cache: u64,
    /// A commit that takes longer is reported.
    pub watchdog: Duration,
    /// How long messages are kept.
    pub retention: Retention,
    /// The core of the log's thread.
    pub core: Option<usize>,
    /// Whether the store's threads run on the shards' cores.
    pub shares_cores: bool,
}

/// What opening found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Half a commit at the log's end that was cut off.
    pub cut: Option<Cut>,
    /// Records that were in the log and not yet in the view.
    pub replayed: u64,
    /// The position of the last record.
    pub head: Position,
}

/// An open store, with its threads. When dropped it ends in good order: everything queued is written, an end behind it, the view put
/// on the disk.
pub struct Store {
    folder: Folder,
    watch: Watch,
    seqs: Seqs,
    orders: Sender<Order>,
    jobs: Sender<Job>,
    closing: Arc<AtomicBool>,
    /// Ends the trimmer when dropped.
    trimming: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Tells shards and the view what the log's thread did.
struct Tell {
    done: Vec<Sender<Done>>,
    wakes: Vec<Wake>,
    due: Vec<bool>,
    commits: Giver,
}

impl Sink for Tell {
    fn ended(&mut self, batch: Batch, end: End, generation: u64) {
        let bytes = batch.bytes.len();
        let done = Done { first: batch.first, records: batch.records, bytes, end, generation };
        // A shard that has ended asks for nothing more.
        let _ = self.done[batch.shard].send(done);
        self.due[batch.shard] = true;
    }

    fn committed(&mut self, first: Position, records: u32, body: &[u8]) {
        // Waits when the view is far behind: the log then takes no more than it can be rid of.
        self.commits.give(Committed { first, records, body: body.into() });
    }

    fn told(&mut self) {
        for (due, wake) in self.due.iter_mut().zip(&self.wakes) {
            if std::mem::take(due) {
                wake();
            }
        }
    }
}

impl Store {
    /// Opens the store in a folder, an empty one if there is none, with a port for each of `wakes`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is left running then.
    pub fn open(config: &Config, wakes: Vec<Wake>) -> Result<(Self, Vec<Port>, Report), StoreError> {
        let folder = Folder::open(&config.folder).map_err(StoreError::Folder)?;
        // All of the log is looked at, and that the view fits to it, before anything of the log is changed.
        let logged = replay::read_log(&folder)?;
        let unsaved = logged.used;
        let view = Arc::new(Shared::open(folder.view(), config.cache, config.shares_cores)?);
        let (tail, report) = view
            .with(|view| Ok(replay::replay(&folder, view, logged)))
            .map_err(|error| StoreError::View(folder.view(), error))??;
        let io = |error| StoreError::Io(config.folder.clone(), error);
        let (seqs, reserver) = seqs::open(&config.folder, wall()).map_err(StoreError::Folder)?;
        let health = Arc::new(Health::default());
        let (orders, queue) = flume::unbounded();
        let (commits, committed, hurry) = backlog::backlog();
        let applied = Arc::new(Applied::new(report.head, hurry));
        let count = Arc::new(Count::default());
        let (ports, done, jobs, reads) = port::make(&wakes, &orders, &health, &seqs, config.durability);
        let tell = Tell { done, due: vec![false; wakes.len()], wakes, commits };
        let plan = Plan {
            folder: folder.log(),
            store: folder.id(),
            segment: config.segment,
            durability: config.durability,
            min_free: config.min_free,
            watchdog: config.watchdog,
        };
        let writer = Writer::new(plan, tail, tell, Arc::clone(&health)).map_err(io)?;
        let watch = Watch::new(&health, &applied, &count, &orders, &jobs, report.replayed);
        let (closing, failures) = (Arc::<AtomicBool>::default(), Arc::clone(&health));
        let applier = Applier {
            view: Arc::clone(&view),
            applied: Arc::clone(&applied),
            health,
            closing: Arc::clone(&closing),
            log: folder.log(),
            store: folder.id(),
            unsaved,
        };
        let (trimming, ended) = flume::bounded(0);
        let (trimming, threads) = (Some(trimming), Vec::new());
        let mut store = Self { folder, watch, seqs, orders, jobs, closing, trimming, threads };
        let core = config.core;
        store.start("log", move || {
            pin(core);
            writer.run(&queue);
        })?;
        store.start("view", move || applier.run(&committed))?;
        store.start("seqs", move || reserver.run(&failures))?;
        for n in 0..STORE_READERS {
            let reader = reads.reader(Arc::clone(&view), &applied, &count, config.durability);
            store.start(&format!("reader-{n}"), move || reader.run())?;
        }
        if config.retention.is_bounded() {
            let trimmer = Trimmer {
                retention: config.retention,
                router: Router::new(store.key(), reads.wakes.len() as u16),
                view,
                applied,
                count,
                answers: reads.answers,
                wakes: reads.wakes,
                folder: store.folder.view(),
                min_free: config.min_free,
                ended,
            };
            store.start("trimmer", move || trimmer.run())?;
        }
        store.watch.start(config.watchdog).map_err(io)?;
        Ok((store, ports, report))
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        self.threads.push(thread.map_err(|error| StoreError::Io(self.folder.path().into(), error))?);
        Ok(())
    }

    /// How it stands with it, for whoever may not ask its threads.
    pub fn watch(&self) -> Watch {
        self.watch.another()
    }

    /// The key by which names hash into partitions, made with the store.
    pub fn key(&self) -> [u8; 16] {
        self.folder.key()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.trimming = None;
        // The view's thread ends with the log's.
        self.closing.store(true, Ordering::Relaxed);
        let _ = self.orders.send(Order::Stop);
        for _ in 0..STORE_READERS {
            let _ = self.jobs.send(Job::Stop);
        }
        self.seqs.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.watch.stop();
    }
}

fn pin(core: Option<usize>) {
    if let Some(core) = core
        && affinity::set_thread_affinity([core]).is_err()
    {
        eprintln!("warning: the log's thread could not be pinned to core {core} (store.core)");
    }
}

/// What the clock says.
fn wall() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(0))
}

/// Where the store of a folder keeps its log.
pub fn log_folder(folder: &Path) -> PathBuf {
    folder.join(folder::LOG)
}
