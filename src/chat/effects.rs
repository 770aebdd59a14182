//! What the rules ask of the world. The shard performs it; the simulation records it.

use super::Mail;
use crate::frame::{Class, Frame, Frames};
use crate::ids::{ConnId, ConversationId, PartitionId, ShardId};
use crate::log::{Record, Refused, Ticket};
use crate::metrics::Counter;
use crate::view::{Looks, Range, Recall};
use crate::wire::{CloseCode, Encoding, Event};
use std::sync::Arc;

/// Names one read of the view until its page comes back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadId(pub u64);

/// Everything the rules can do. Calls never wait and never call back into the rules.
pub trait Effects {
    /// Encodes an event for many, once in every encoding that a session anywhere speaks.
    fn encode(&mut self, event: &Event<'_>) -> Frames;

    /// Encodes an event for one session, in its encoding.
    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame;

    /// A session of this encoding begins: told before anything is sent to it, so that whatever its client causes is
    /// encoded for it, on all shards.
    fn session_begins(&mut self, encoding: Encoding);

    /// A session of this encoding has ended.
    fn session_ended(&mut self, encoding: Encoding);

    /// Queues a frame for a connection of this shard; one already gone is ignored.
    fn send(&mut self, conn: ConnId, frame: &Frame, class: Class);

    /// Closes a connection of this shard after what is queued for it; `closed` follows later.
    fn close(&mut self, conn: ConnId, code: CloseCode, reason: &str);

    /// Mails another shard (never this one). What happens past the bounds is told by [`Mail::class`].
    fn mail(&mut self, to: ShardId, mail: Mail);

    /// Whether new commands may be mailed to `to`; if not, the client gets 503.
    fn accepts(&self, to: ShardId) -> bool;

    /// Appends to the log; `outcome` follows.
    ///
    /// # Errors
    /// [`Refused`]: nothing was queued, the client gets 503.
    fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused>;

    /// Loads a conversation from the view; `activated` follows, maybe within the same turn. The view has applied by
    /// then whatever was appended before and is in the log, also where the outcome was told to be unknown.
    fn activate(&mut self, conversation: &ConversationId, recall: Recall);

    /// Reads a page of the view; `page` follows.
    fn read(&mut self, read: ReadId, conversation: &ConversationId, range: Range);

    /// Looks how conversations stand in the view, as `activate` does; `surveyed` follows.
    fn survey(&mut self, read: ReadId, looks: Arc<Looks>);

    /// Counts.
    fn count(&mut self, counter: Counter);
}
