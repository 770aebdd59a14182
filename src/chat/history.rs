//! Reads of the view: who asked, and the page as an answer. Knows no sequencer.

use super::answer::BUSY;
use super::ask::Origin;
use super::publish::stored;
use super::{Effects, ReadId, Rules};
use crate::clock::Now;
use crate::ids::ConversationId;
use crate::limits::READS;
use crate::view::{Page, Range};
use crate::wire::{Event, StoredMessage};
use hashbrown::HashMap;

/// Reads under way, at most [`READS`].
#[derive(Debug, Default)]
pub(super) struct Reads {
    asked: HashMap<ReadId, (Origin, ConversationId)>,
    next: u64,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    pub(super) fn take(&mut self, read: ReadId) -> Option<(Origin, ConversationId)> {
        self.asked.remove(&read)
    }
}

impl Rules {
    /// Reads a conversation for someone who may.
    pub(super) fn read<E: Effects>(
        &mut self,
        origin: Origin,
        conversation: &ConversationId,
        range: Range,
        fx: &mut E,
    ) {
        if self.reads.asked.len() >= READS {
            return self.refused(&origin, "history", BUSY, fx);
        }
        let read = ReadId(self.reads.next);
        self.reads.next += 1;
        self.reads.asked.insert(read, (origin, conversation.clone()));
        fx.read(read, conversation, range);
    }

    /// The view's answer to `Effects::read`.
    pub fn page<E: Effects>(&mut self, read: ReadId, page: &Page, _now: Now, fx: &mut E) {
        let Some((origin, conversation)) = self.reads.take(read) else { return };
        let messages: Vec<StoredMessage<'_>> = page.messages.iter().map(|record| stored(record)).collect();
        let event = Event::History {
            id: origin.id.as_deref(),
            conversation: &conversation,
            messages: &messages,
            first: page.first,
            more: page.more,
        };
        self.reply(&origin, &event, fx);
    }
}
