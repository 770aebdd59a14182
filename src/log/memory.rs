//! The log kept in memory: a bounded queue that commits when it is polled. Knows no view, chat or shards.

use super::{Durability, Epoch, Log, Outcome, Position, Record, Refused, Ticket};
use crate::ids::{PARTITIONS, PartitionId};
use crate::limits::{MEMORY_LOG_BYTES, MEMORY_LOG_RECORDS};
use std::collections::VecDeque;

/// The log of the partitions one shard owns, good until the process ends.
#[derive(Debug)]
pub struct MemoryLog {
    open: [bool; PARTITIONS as usize],
    queued: VecDeque<Record>,
    /// Committed and not yet trimmed; the last one is at `head`.
    committed: VecDeque<Record>,
    next: Ticket,
    head: Position,
    bytes: usize,
}

/// Opening it once is all there is: no other process can write this memory.
const EPOCH: Epoch = Epoch(1);

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log that owns no partition yet.
    pub fn new() -> Self {
        Self {
            open: [false; PARTITIONS as usize],
            queued: VecDeque::new(),
            committed: VecDeque::new(),
            next: Ticket(1),
            head: Position(0),
            bytes: 0,
        }
    }

    /// Bytes of content that wait to be committed or trimmed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_full(&self, more: usize) -> bool {
        self.queued.len() + self.committed.len() >= MEMORY_LOG_RECORDS || self.bytes + more > MEMORY_LOG_BYTES
    }
}

fn size(record: &Record) -> usize {
    match record {
        Record::Message(message) => message.bytes.len(),
        Record::Member { .. } | Record::Cursor { .. } | Record::Trim { .. } | Record::Delete { .. } => 0,
    }
}

impl Log for MemoryLog {
    fn open(&mut self, partition: PartitionId) -> Result<Epoch, Refused> {
        let open = self.open.get_mut(usize::from(partition.0)).ok_or(Refused::NotOwner)?;
        *open = true;
        Ok(EPOCH)
    }

    fn append(&mut self, partition: PartitionId, epoch: Epoch, record: Record) -> Result<Ticket, Refused> {
        if epoch != EPOCH || self.open.get(usize::from(partition.0)) != Some(&true) {
            return Err(Refused::NotOwner);
        }
        let more = size(&record);
        if self.is_full(more) {
            return Err(Refused::Full);
        }
        self.bytes += more;
        self.queued.push_back(record);
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        Ok(ticket)
    }

    fn poll(&mut self, outcomes: &mut Vec<Outcome>) {
        let first = self.next.0 - self.queued.len() as u64;
        for (ticket, record) in (first..).zip(self.queued.drain(..)) {
            self.head = Position(self.head.0 + 1);
            self.committed.push_back(record);
            outcomes.push(Outcome::Committed(Ticket(ticket), self.head, Durability::Memory));
        }
    }

    fn feed(&mut self, after: Position, each: &mut dyn FnMut(Position, &Record)) {
        let trimmed = self.head.0 - self.committed.len() as u64;
        let skip = after.0.saturating_sub(trimmed) as usize;
        for (position, record) in (trimmed + 1..).zip(&self.committed).skip(skip) {
            each(Position(position), record);
        }
    }

    fn head(&self) -> Position {
        self.head
    }

    fn trim(&mut self, position: Position) {
        let trimmed = self.head.0 - self.committed.len() as u64;
        let upto = (position.0.saturating_sub(trimmed) as usize).min(self.committed.len());
        self.bytes -= self.committed.drain(..upto).map(|record| size(&record)).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupName, Seq, UserName};

    const PARTITION: PartitionId = PartitionId(5);

    fn record(n: u64) -> Record {
        let (group, user) = (GroupName::new("g").unwrap(), UserName::new("u").unwrap());
        Record::Member { group, user, joined: true, seq: Seq(n) }
    }

    fn fed(log: &mut MemoryLog, after: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        log.feed(Position(after), &mut |position, _| seen.push(position.0));
        seen
    }

    #[test]
    fn only_the_owner_of_a_partition_appends() {
        let mut log = MemoryLog::new();
        assert_eq!(log.append(PARTITION, EPOCH, record(1)), Err(Refused::NotOwner));
        let epoch = log.open(PARTITION).unwrap();
        assert!(log.append(PARTITION, epoch, record(1)).is_ok());
        assert_eq!(log.append(PARTITION, Epoch(0), record(1)), Err(Refused::NotOwner));
        assert_eq!(log.open(PartitionId(PARTITIONS)), Err(Refused::NotOwner));
    }

    #[test]
    fn commits_come_in_order_and_are_fed_until_trimmed() {
        let mut log = MemoryLog::new();
        let epoch = log.open(PARTITION).unwrap();
        let tickets: Vec<_> = (0..3).map(|n| log.append(PARTITION, epoch, record(n)).unwrap()).collect();
        assert!(fed(&mut log, 0).is_empty());
        let mut outcomes = Vec::new();
        log.poll(&mut outcomes);
        let told: Vec<_> = (1..).zip(tickets).map(|(p, t)| (t, Position(p))).collect();
        let expected: Vec<_> =
            told.into_iter().map(|(t, p)| Outcome::Committed(t, p, Durability::Memory)).collect();
        assert_eq!(outcomes, expected);
        assert_eq!((fed(&mut log, 0), fed(&mut log, 2)), (vec![1, 2, 3], vec![3]));
        log.trim(Position(2));
        assert_eq!((fed(&mut log, 0), fed(&mut log, 3)), (vec![3], vec![]));
        log.trim(Position(99));
        assert_eq!((log.head(), fed(&mut log, 0)), (Position(3), vec![]));
    }

    #[test]
    fn it_is_bounded() {
        let mut log = MemoryLog::new();
        let epoch = log.open(PARTITION).unwrap();
        (0..MEMORY_LOG_RECORDS as u64).for_each(|n| assert!(log.append(PARTITION, epoch, record(n)).is_ok()));
        assert_eq!(log.append(PARTITION, epoch, record(0)), Err(Refused::Full));
        log.poll(&mut Vec::new());
        assert_eq!(log.append(PARTITION, epoch, record(0)), Err(Refused::Full), "nothing was trimmed yet");
        log.trim(log.head());
        assert!(log.append(PARTITION, epoch, record(0)).is_ok());
    }
}
