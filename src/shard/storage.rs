//! Where a shard's records go and its reads come from: memory, or the store. Knows no rule.
//!
//! Memory answers at once, the store later; the rules cannot tell.

#[cfg(test)]
mod contract;

use crate::ids::{PARTITIONS, PartitionId};
use crate::log::memory::MemoryLog;
use crate::log::{Epoch, Log, Outcome, Record, Refused, Ticket};
use crate::store::{Answer, Port, Want};
use crate::view::View;
use crate::view::memory::MemoryView;

/// One shard's log and view.
#[derive(Debug)]
pub enum Storage {
    /// Bounded, and gone with the process.
    Memory(Box<Memory>),
    /// On disk, behind a port.
    Disk(Box<Disk>),
}

/// The log and the view in memory.
#[derive(Debug)]
pub struct Memory {
    log: MemoryLog,
    view: MemoryView,
    epochs: [Option<Epoch>; PARTITIONS as usize],
    answers: Vec<Answer>,
}

/// The store's port, and what it refused to read.
#[derive(Debug)]
pub struct Disk {
    port: Port,
    refused: Vec<Want>,
}

impl Storage {
    /// In memory: messages up to so many bytes.
    pub fn memory(max_bytes: usize) -> Self {
        let (log, view) = (MemoryLog::default(), MemoryView::new(max_bytes));
        let epochs = [None; PARTITIONS as usize];
        Self::Memory(Box::new(Memory { log, view, epochs, answers: Vec::new() }))
    }

    /// In a store.
    pub fn disk(port: Port) -> Self {
        Self::Disk(Box::new(Disk { port, refused: Vec::new() }))
    }

    /// Queues a record; its outcome follows.
    ///
    /// # Errors
    /// [`Refused`]: nothing was queued.
    pub fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused> {
        match self {
            Self::Memory(memory) => {
                let epoch = &mut memory.epochs[usize::from(partition.0)];
                let epoch = match *epoch {
                    Some(epoch) => epoch,
                    None => *epoch.insert(memory.log.open(partition)?),
                };
                memory.log.append(partition, epoch, record)
            }
            Self::Disk(disk) => disk.port.append(partition, &record),
        }
    }

    /// Moves the outcomes known by now into `outcomes`; what was committed is in every read asked for after this.
    pub fn outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        match self {
            Self::Memory(memory) => {
                memory.log.poll(outcomes);
                memory.view.follow(&mut memory.log);
            }
            Self::Disk(disk) => disk.port.poll(outcomes),
        }
    }

    /// Asks for something to be read; its [`Answer`] follows.
    pub fn ask(&mut self, want: Want) {
        match self {
            Self::Memory(memory) => {
                let answer = match want {
                    Want::Activation(conversation, recall) => {
                        let activation = memory.view.activate(&conversation, &recall);
                        Answer::Activation(conversation, Box::new(activation))
                    }
                    Want::Page(read, conversation, range) => {
                        Answer::Page(read, memory.view.read(&conversation, range))
                    }
                    Want::Survey(read, looks) => Answer::Survey(read, memory.view.survey(&looks)),
                    // What this process knows of them it knows at the user's home.
                    Want::Conversations(user) => Answer::Conversations(user, Vec::new(), Vec::new()),
                };
                memory.answers.push(answer);
            }
            Self::Disk(disk) => {
                if disk.port.read(want.clone()).is_err() {
                    disk.refused.push(want);
                }
            }
        }
    }

    /// Takes what was read by now.
    pub fn answers(&mut self) -> Vec<Answer> {
        match self {
            Self::Memory(memory) => std::mem::take(&mut memory.answers),
            Self::Disk(disk) => {
                let mut answers: Vec<_> = disk.refused.drain(..).map(Answer::Refused).collect();
                disk.port.answers(&mut answers);
                answers
            }
        }
    }

    /// Whether someone's groups have to be read before the first sign-in.
    pub fn keeps_groups(&self) -> bool {
        matches!(self, Self::Disk(_))
    }

    /// Hands the turn's records on: last part of a turn.
    pub fn flush(&mut self) {
        if let Self::Disk(disk) = self {
            disk.port.flush();
        }
    }

    /// Bytes of messages kept in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Memory(memory) => memory.view.bytes(),
            Self::Disk(_) => 0,
        }
    }
}
