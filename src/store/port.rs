//! A shard's side of the store: what it queues, and what comes back. Knows no file; never waits.

use super::Wake;
use super::readers::{Job, Reads};
use super::seqs::Seqs;
use crate::ids::{ConversationId, GroupName, PartitionId, Seq, UserName};
use crate::limits::{COMMIT_BYTES_MAX, PORT_BYTES, PORT_READS, PORT_RECORDS};
use crate::log::disk::{Batch, End, Health, Order};
use crate::log::{Durability, Outcome, Position, Record, Refused, Ticket, record};
use crate::view::disk::ViewError;
use crate::view::{Activation, Looks, Page, Range, Recall, Survey};
use flume::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// What became of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub first: Ticket,
    pub records: u32,
    pub bytes: usize,
    pub end: End,
    pub generation: u64,
}

/// Something to be read; the number of a page is its asker's own.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Want {
    Activation(ConversationId, Recall),
    Page(u64, ConversationId, Range),
    /// How conversations stand for a user; the number is its asker's own.
    Survey(u64, Arc<Looks>),
    /// Which conversations a user has.
    Conversations(UserName),
}

/// What was read.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Answer {
    Activation(ConversationId, Box<Activation>),
    Page(u64, Page),
    Survey(u64, Vec<Option<Survey>>),
    /// The user's groups, with the `seq` after which it joined, and its private conversations.
    Conversations(UserName, Vec<(GroupName, Seq)>, Vec<ConversationId>),
    /// Not read: a conversation is to begin there.
    Trim(ConversationId, Seq),
    /// It could not be read.
    Failed(Want, ViewError),
    /// Too much was being read already.
    Refused(Want),
}

/// One shard's port.
pub struct Port {
    index: usize,
    orders: Sender<Order>,
    done: Receiver<Done>,
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    health: Arc<Health>,
    seqs: Seqs,
    next: Ticket,
    /// Records of this turn that were not handed over yet.
    batch: Vec<u8>,
    records: u32,
    /// Handed over or about to be, without an outcome yet.
    records_out: usize,
    bytes_out: usize,
    reads_out: usize,
    generation: u64,
    durability: Durability,
}

/// The ports of all shards, the log's way back to them, and what readers need.
pub(super) fn make(
    wakes: &[Wake],
    orders: &Sender<Order>,
    health: &Arc<Health>,
    seqs: &Seqs,
    durability: Durability,
) -> (Vec<Port>, Vec<Sender<Done>>, Sender<Job>, Reads) {
    let (jobs, queue) = flume::unbounded();
    let looked = wakes.iter().map(|_| AtomicUsize::default()).collect();
    let mut reads = Reads { jobs: queue, answers: Vec::new(), wakes: wakes.to_vec(), looked };
    let (mut ports, mut ends) = (Vec::new(), Vec::new());
    for index in 0..wakes.len() {
        let (end, done) = flume::unbounded();
        let (answer, answers) = flume::unbounded();
        reads.answers.push(answer);
        ends.push(end);
        ports.push(Port {
            index,
            orders: orders.clone(),
            done,
            jobs: jobs.clone(),
            answers,
            health: Arc::clone(health),
            seqs: seqs.clone(),
            next: Ticket(1),
            batch: Vec::new(),
            records: 0,
            records_out: 0,
            bytes_out: 0,
            reads_out: 0,
            generation: 0,
            durability,
        });
    }
    (ports, ends, jobs, reads)
}

impl Port {
    /// Up to where numbers may have been given by an earlier process: new ones are above it.
    pub fn reserved(&self) -> Seq {
        self.seqs.floor()
    }

    /// Queues one record for the turn's batch.
    ///
    /// # Errors
    /// [`Refused::Full`] when the log takes no records, enough of this shard's are under way, no commit holds it, or no more numbers
    /// are reserved.
    pub fn append(&mut self, partition: PartitionId, record: &Record) -> Result<Ticket, Refused> {
        let before = self.batch.len();
        if !self.health.takes_records() || self.records_out >= PORT_RECORDS || self.bytes_out >= PORT_BYTES {
            return Err(Refused::Full);
        }
        if let Record::Message(message) = record
            && !self.seqs.allow(message.seq)
        {
            return Err(Refused::Full);
        }
        record::write(partition, record, &mut self.batch);
        let size = self.batch.len() - before;
        if size > COMMIT_BYTES_MAX {
            // The settings let no such message in.
            self.batch.truncate(before);
            return Err(Refused::Full);
        }
        if self.batch.len() > COMMIT_BYTES_MAX && before > 0 {
            let last = self.batch.split_off(before);
            self.flush();
            self.batch = last;
        }
        self.records += 1;
        self.records_out += 1;
        self.bytes_out += size;
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        Ok(ticket)
    }

    /// Hands the turn's records to the log's thread.
    pub fn flush(&mut self) {
        if self.records == 0 {
            return;
        }
        let records = std::mem::take(&mut self.records);
        let first = Ticket(self.next.0 - u64::from(records));
        let bytes = std::mem::take(&mut self.batch);
        // A store that was closed takes nothing more, and answers nothing.
        let _ = self.orders.send(Order::Append(Batch {
            shard: self.index,
            first,
            records,
            bytes,
            generation: self.generation,
        }));
    }

    /// Moves the outcomes known by now into `outcomes`, in the order of appends.
    pub fn poll(&mut self, outcomes: &mut Vec<Outcome>) {
        while let Ok(Done { first, records, bytes, end, generation }) = self.done.try_recv() {
            if generation != self.generation {
                // What was queued before this was known may name what is not there: it goes as what it is.
                self.flush();
                self.generation = generation;
            }
            self.records_out -= records as usize;
            self.bytes_out -= bytes;
            let tickets = (first.0..).take(records as usize).map(Ticket);
            match end {
                End::Committed(position, durability) => {
                    let positions = (position.0..).map(Position);
                    outcomes.extend(
                        tickets.zip(positions).map(|(ticket, at)| Outcome::Committed(ticket, at, durability)),
                    );
                }
                End::Failed => outcomes.extend(tickets.map(Outcome::Failed)),
                End::Unknown => outcomes.extend(tickets.map(Outcome::Unknown)),
            }
        }
    }

    /// Asks for something of the view as it is by now, with all that any shard was told to be committed.
    ///
    /// # Errors
    /// [`Refused::Full`] when enough is being read.
    pub fn read(&mut self, want: Want) -> Result<(), Refused> {
        if self.reads_out >= PORT_READS {
            return Err(Refused::Full);
        }
        self.reads_out += 1;
        let _ = self.jobs.send(Job::Read { shard: self.index, want, at_least: self.health.head() });
        Ok(())
    }

    /// Moves what was read into `answers`.
    pub fn answers(&mut self, answers: &mut Vec<Answer>) {
        while let Ok(answer) = self.answers.try_recv() {
            if !matches!(answer, Answer::Trim(..)) {
                self.reads_out -= 1;
            }
            answers.push(answer);
        }
    }

    /// What an ack of this store's log proves.
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let under_way = (self.records_out, self.reads_out);
        f.debug_struct("Port").field("shard", &self.index).field("under_way", &under_way).finish()
    }
}
