//! The log's own thread: takes what the shards have queued, writes it as one commit, syncs, tells everyone. Knows no partitions,
//! no record's meaning, and nothing of who reads.
//!
//! There is no timer: while one commit is being written the next one gathers, so that a lone message waits for one sync and a
//! crowd shares it.

use super::commit::{self, Kind, Link};
use super::health::{Condition, Health};
use super::recover::Tail;
use super::segment::{self, Segment, StoreId};
use super::spare::{Maker, Spare};
use crate::limits::COMMIT_BYTES_MAX;
use crate::log::{Durability, Position, Ticket};
use flume::{Receiver, RecvTimeoutError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a log that failed is tried again, and how old the last look at the free space may be.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often the free space is looked at while nothing is to be written.
const LOOK_IDLE: Duration = Duration::from_secs(10);

/// Records of one shard, as they stand in a commit's body; at most [`COMMIT_BYTES_MAX`] bytes.
#[derive(Debug)]
pub struct Batch {
    /// Whose they are: which of the sinks is told.
    pub shard: usize,
    /// Of the first record; the others follow.
    pub first: Ticket,
    /// How many.
    pub records: u32,
    /// All of them.
    pub bytes: Vec<u8>,
    /// The generation that its shard knows of.
    pub generation: u64,
}

/// What the thread is asked for.
#[derive(Debug)]
pub enum Order {
    /// Write these.
    Append(Batch),
    /// Write an end behind everything, and stop.
    Stop,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// In the log; its first record stands there.
    Committed(Position, Durability),
    /// Nothing was written.
    Failed,
    /// Perhaps written.
    Unknown,
}

/// Who is told what became of batches, and gets the commits themselves.
pub trait Sink: Send {
    /// A batch has come to its end, in the order of batches. Those that its shard queued before it knows of this `generation`
    /// will fail.
    fn ended(&mut self, batch: Batch, end: End, generation: u64);

    /// A commit's records, before anyone is told that they are committed.
    fn committed(&mut self, first: Position, records: u32, body: &[u8]);

    /// The thread has nothing more to tell for now: whoever sleeps may be woken.
    fn told(&mut self);
}

/// What a writer is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the log is.
    pub folder: PathBuf,
    /// Which store it belongs to.
    pub store: StoreId,
    /// Size of a segment (bytes).
    pub segment: u64,
    /// Whether a commit is synced before it is told: [`Durability::Fsync`], else [`Durability::Os`].
    pub durability: Durability,
    /// Room to leave on the disk (bytes).
    pub min_free: u64,
    /// A commit that takes longer is counted as slow.
    pub watchdog: Duration,
}

/// A commit that is not in the log, as far as is known.
struct NotWritten {
    error: io::Error,
    end: End,
}

/// The writer's state; [`Writer::run`] is its thread.
pub struct Writer<S> {
    plan: Plan,
    segment: Segment,
    offset: u64,
    link: Link,
    sink: S,
    health: Arc<Health>,
    spare: Arc<Spare>,
    /// Makes the next segment while this one is filled.
    maker: Maker,
    buffer: Vec<u8>,
    batches: Vec<Batch>,
    looked: Option<Instant>,
    /// By shard, one more with each failure of something of its own: what was queued behind that must not be written, since it
    /// names it.
    generations: Vec<u64>,
}

impl<S: Sink> Writer<S> {
    /// Goes on where a log ended.
    pub fn new(plan: Plan, tail: Option<Tail>, sink: S, health: Arc<Health>) -> io::Result<Self> {
        // Whatever is asked for: one commit fits.
        let len = plan.segment.max((segment::FIRST + commit::size(COMMIT_BYTES_MAX)) as u64);
        let spare = Arc::new(Spare::new(plan.folder.clone(), len));
        let Tail { segment, offset, link } = match tail {
            Some(tail) => tail,
            None => first(&plan, &spare)?,
        };
        let maker = Maker::start(Arc::clone(&spare))?;
        let (buffer, batches) = (Vec::new(), Vec::new());
        health.reaches(link.position);
        let mut writer = Self {
            plan,
            segment,
            offset,
            link,
            sink,
            health,
            spare,
            maker,
            buffer,
            batches,
            looked: None,
            generations: Vec::new(),
        };
        // Known before the first record is taken, and told before anyone is let in.
        writer.look_for_room();
        Ok(writer)
    }

    /// Serves until it is told to stop, and writes an end then; or until everyone who could ask is gone.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let mut held = None;
        loop {
            let order = match held.take() {
                Some(batch) => Order::Append(batch),
                None => match self.wait(orders) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Timeout) => {
                        self.mend();
                        continue;
                    }
                    // Nobody said that it was to end well: it is left as a kill leaves it.
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            let Order::Append(batch) = order else { break };
            let stop = self.gather(batch, orders, &mut held);
            self.commit_or_fail();
            if stop {
                break;
            }
        }
        if let Some(batch) = held {
            self.take(batch);
            self.commit_or_fail();
        }
        self.end();
    }

    /// Waits for something to do; the disk's room, and a log that does not take records, are looked after meanwhile.
    fn wait(&self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        let whole = self.health.condition() == Condition::Whole;
        orders.recv_timeout(if whole { LOOK_IDLE } else { LOOK_AGAIN })
    }

    /// Takes what is queued, up to a commit's size; true when the server stops after it.
    fn gather(&mut self, first: Batch, orders: &Receiver<Order>, held: &mut Option<Batch>) -> bool {
        commit::begin(&mut self.buffer);
        self.take(first);
        loop {
            match orders.try_recv() {
                Ok(Order::Append(batch)) if self.buffer.len() + batch.bytes.len() <= COMMIT_BYTES_MAX => {
                    self.take(batch);
                }
                Ok(Order::Append(batch)) => {
                    *held = Some(batch);
                    return false;
                }
                Ok(Order::Stop) => return true,
                Err(_) => return false,
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        if self.generations.len() <= batch.shard {
            self.generations.resize(batch.shard + 1, 0);
        }
        let generation = self.generations[batch.shard];
        if batch.generation != generation {
            self.sink.ended(batch, End::Failed, generation);
            return self.sink.told();
        }
        if self.batches.is_empty() {
            commit::begin(&mut self.buffer);
        }
        self.buffer.extend_from_slice(&batch.bytes);
        self.batches.push(batch);
    }

    fn commit_or_fail(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        self.look_for_room();
        let end = if self.health.condition() == Condition::Whole { self.commit() } else { End::Failed };
        if !matches!(end, End::Committed(..)) {
            self.batches.iter().for_each(|batch| self.generations[batch.shard] += 1);
        }
        let mut end = end;
        for batch in self.batches.drain(..) {
            let (records, generation) = (u64::from(batch.records), self.generations[batch.shard]);
            self.sink.ended(batch, end, generation);
            if let End::Committed(position, _) = &mut end {
                position.0 += records;
            }
        }
        self.sink.told();
    }

    fn commit(&mut self) -> End {
        let records = self.batches.iter().map(|batch| batch.records).sum();
        let body = self.buffer.len();
        self.health.begins();
        let began = Instant::now();
        let synced = self.plan.durability == Durability::Fsync;
        let end = match self.write(if synced { Kind::Records } else { Kind::Unsynced }, records) {
            Ok(first) => {
                self.health.committed(records, self.buffer.len(), began.elapsed());
                self.sink.committed(first, records, &self.buffer[commit::HEADER..body]);
                self.health.reaches(self.link.position);
                End::Committed(first, self.plan.durability)
            }
            Err(NotWritten { error, end }) => {
                self.fail(&error);
                end
            }
        };
        self.health.ended();
        if began.elapsed() > self.plan.watchdog {
            self.health.was_slow();
        }
        end
    }

    /// Writes the buffer as one commit behind the last one; only then is that the last.
    fn write(&mut self, kind: Kind, records: u32) -> Result<Position, NotWritten> {
        let size = commit::size(self.buffer.len() - commit::HEADER) as u64;
        if self.offset + size > self.segment.len() {
            self.next_segment().map_err(|error| NotWritten { error, end: End::Failed })?;
        }
        let link = commit::finish(&mut self.buffer, kind, records, self.link, self.plan.store);
        let written = self.segment.write(&self.buffer, self.offset);
        let sync = kind != Kind::Unsynced;
        let synced = written.and_then(|()| if sync { self.segment.sync() } else { Ok(()) });
        synced.map_err(|error| NotWritten { error, end: End::Unknown })?;
        if sync {
            self.health.synced();
        }
        let first = Position(self.link.position.0 + 1);
        self.offset += size;
        self.link = link;
        Ok(first)
    }

    fn next_segment(&mut self) -> io::Result<()> {
        if self.plan.durability != Durability::Fsync {
            // A segment that is followed by another has to be whole, whatever the durability.
            self.segment.sync()?;
        }
        self.segment = self.spare.begin(self.plan.store, self.link)?;
        self.offset = segment::FIRST as u64;
        self.maker.ask();
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        let why = format!("the log cannot be written: {}: {error}", self.segment.path().display());
        eprintln!("error: {why}; nothing is acknowledged until it can be");
        self.health.failed();
        self.health.set(Condition::Broken, why);
    }

    /// Tries to make the log whole again: what may have been written since the last commit is erased, so that what was told
    /// to be unknown is not there.
    fn mend(&mut self) {
        if self.health.condition() == Condition::Broken {
            if self.erase().is_err() {
                return;
            }
            self.maker.ask();
            eprintln!("note: the log can be written again: {}", self.segment.path().display());
            self.health.set(Condition::Whole, String::new());
        }
        self.looked = None;
        self.look_for_room();
    }

    /// Whatever may stand behind the last commit goes: bytes of a next one, a segment begun for it.
    fn erase(&self) -> io::Result<()> {
        segment::remove_unused(&self.plan.folder, self.link.number, self.segment.path())?;
        self.segment.erase_from(self.offset)
    }

    /// Looks at the free space, though not before each commit.
    fn look_for_room(&mut self) {
        if self.health.condition() == Condition::Broken
            || self.looked.is_some_and(|at| at.elapsed() < LOOK_AGAIN)
        {
            return;
        }
        self.looked = Some(Instant::now());
        let Ok(stat) = rustix::fs::statvfs(&self.plan.folder) else { return };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        self.health.has_free(free);
        let now = if free < self.plan.min_free { Condition::Full } else { Condition::Whole };
        if now == self.health.condition() {
            return;
        }
        let folder = self.plan.folder.display();
        if now == Condition::Whole {
            eprintln!("note: {folder} has room again");
            return self.health.set(now, String::new());
        }
        let (free, min) = (free >> 20, self.plan.min_free >> 20);
        let why =
            format!("{folder} has {free} MiB free, store.min_free keeps {min} MiB: make room, or lower it");
        eprintln!("error: {why}; nothing more is stored until there is room");
        self.health.set(now, why);
    }

    /// The end of a server that stops in good order.
    fn end(&mut self) {
        if self.health.condition() == Condition::Broken {
            return;
        }
        commit::begin(&mut self.buffer);
        if let Err(NotWritten { error, .. }) = self.write(Kind::End, 0) {
            eprintln!(
                "warning: the log has no end: {error}; the next start will say whether anything is missing"
            );
        }
    }
}

fn first(plan: &Plan, spare: &Spare) -> io::Result<Tail> {
    let link = Link::default();
    let segment = spare.begin(plan.store, link)?;
    Ok(Tail { segment, offset: segment::FIRST as u64, link })
}
