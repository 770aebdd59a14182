//! The log's seam: append records, be told their outcome, follow the commits. Knows no chat, sockets or shards.
//!
//! Everything durable is a record. `memory` keeps none of them past the view; the durable log stands behind the same seam.

pub mod disk;
pub mod memory;
pub mod record;

pub use memory::MemoryLog;

pub use crate::durability::Durability;
use crate::ids::{CommandId, ConversationId, GroupName, Millis, PartitionId, Seq, UserName};
use crate::wire::{PayloadKind, Target};
use std::sync::Arc;

/// Names one append until its outcome is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u64);

/// A record's place in a log; grows with each commit, never shown to clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Position(pub u64);

/// Which opening of a partition an append belongs to; an older one is fenced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

/// A message as it was sequenced.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct MessageRecord {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// The seq before it in this conversation, 0 if there is none.
    pub prev: Seq,
    pub time: Millis,
    pub from: UserName,
    /// A user or a group, never everyone.
    pub target: Target,
    /// The sender's idempotency key.
    pub id: Option<CommandId>,
    pub kind: PayloadKind,
    pub bytes: Box<[u8]>,
}

/// One durable fact.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Record {
    Message(Arc<MessageRecord>),
    /// A user joined (from messages after `seq` on) or left a group.
    Member {
        group: GroupName,
        user: UserName,
        joined: bool,
        seq: Seq,
    },
    /// Up to where a user has a conversation's messages, and has read them; it replaces the user's one before.
    Cursor {
        conversation: ConversationId,
        user: UserName,
        received: Seq,
        read: Seq,
    },
    /// A conversation's messages below `first` are not kept any more.
    Trim {
        conversation: ConversationId,
        first: Seq,
    },
    /// Nothing is left of a conversation: no message below `first`, no member, nobody's place in it.
    Delete {
        conversation: ConversationId,
        first: Seq,
    },
}

/// What became of an append. Once an append of a partition is not committed, neither is any that was queued behind it
/// when that was told: each message names the one before it, and what is named must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is in the log, at this durability.
    Committed(Ticket, Position, Durability),
    /// Another writer owns the partition now; nothing was written.
    Fenced(Ticket),
    /// Nothing was written; the sender may try again.
    Failed(Ticket),
    /// It may or may not be in the log: resolve before saying anything to anyone.
    Unknown(Ticket),
}

/// Why nothing was appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The log's queue is full: try later.
    Full,
    /// This log does not own the partition in that epoch.
    NotOwner,
}

/// Append and commit feed, for the partitions one shard owns.
pub trait Log {
    /// Becomes the writer of a partition.
    ///
    /// # Errors
    /// [`Refused::NotOwner`] when another log owns it.
    fn open(&mut self, partition: PartitionId) -> Result<Epoch, Refused>;

    /// Queues one record; its [`Outcome`] comes from [`Log::poll`], in the order of appends within a partition.
    ///
    /// # Errors
    /// [`Refused`]; nothing was queued then.
    fn append(&mut self, partition: PartitionId, epoch: Epoch, record: Record) -> Result<Ticket, Refused>;

    /// Moves the outcomes known by now into `outcomes`.
    fn poll(&mut self, outcomes: &mut Vec<Outcome>);

    /// Hands out the committed records above `after`, in order.
    fn feed(&mut self, after: Position, each: &mut dyn FnMut(Position, &Record));

    /// The position of the last commit.
    fn head(&self) -> Position;

    /// Frees what lies at or below `position`: the view has it durably.
    fn trim(&mut self, position: Position);
}
