//! The view's seam: applies committed records and is read. Knows no chat, sockets or shards; never writes the log.

pub mod disk;
mod ids;
pub mod memory;
mod survey;

pub use ids::{Ids, Known, Print, Printer, Recall, Wanted};
pub use memory::MemoryView;
pub use survey::{Cursor, Look, Looks, Standing, Survey};

use crate::ids::{ConversationId, GroupName, Seq, UserName};
use crate::log::{Durability, Log, MessageRecord, Position, Record};
use std::sync::Arc;

/// What a sequencer must know to go on with a conversation.
#[derive(Debug, Default)]
pub struct Activation {
    /// Seq of the last message kept, 0 if none.
    pub head: Seq,
    /// The lowest seq kept, 0 if none.
    pub first: Seq,
    /// Messages of this conversation may have been dropped under the budget: `head` may be too low.
    pub trimmed: bool,
    /// A group's members with the seq after which they joined.
    pub members: Vec<(UserName, Seq)>,
    /// The numbers of messages from where it was asked for, in growing order.
    pub stored: Vec<Seq>,
    /// The messages that were wanted by their ids, if there are any.
    pub ids: Option<Box<Ids>>,
    /// How many messages were looked at for that.
    pub looked: usize,
    /// What is proved of all this, for the ack of a repeated message.
    pub durability: Durability,
}

/// Which messages a reader wants; both bounds exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Only messages below it, newest first chosen.
    pub before: Option<Seq>,
    /// Only messages above it, oldest first chosen.
    pub after: Option<Seq>,
    /// At most this many.
    pub limit: u32,
    /// At most this many bytes in any encoding, so that a page fits a connection's queue; a single larger message still
    /// comes.
    pub bytes: usize,
}

/// One page of a conversation, always in growing `seq`.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Arc<MessageRecord>>,
    /// The lowest seq kept, 0 if none.
    pub first: Seq,
    /// Whether there is more in the direction read.
    pub more: bool,
}

/// The index that applies records and is read.
pub trait View {
    /// Applies one committed record; one already applied changes nothing.
    fn apply(&mut self, position: Position, record: &Record);

    /// Up to where records were applied.
    fn applied(&self) -> Position;

    /// Applies what the log has committed since, and lets the log free it.
    fn follow(&mut self, log: &mut impl Log)
    where
        Self: Sized,
    {
        log.feed(self.applied(), &mut |position, record| self.apply(position, record));
        log.trim(self.applied());
    }

    /// What a sequencer needs to go on with a conversation.
    fn activate(&self, conversation: &ConversationId, recall: &Recall) -> Activation;

    /// Reads one page.
    fn read(&self, conversation: &ConversationId, range: Range) -> Page;

    /// How conversations stand for a user; none where the user takes no part.
    fn survey(&self, looks: &Looks) -> Vec<Option<Survey>>;

    /// Whether a user is in a group.
    fn is_member(&self, group: &GroupName, user: &UserName) -> bool;
}
