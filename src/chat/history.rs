//! Reads of the view: who asked, and the page as an answer. Knows no sequencer.

use super::answer::BUSY;
use super::ask::Origin;
use super::publish::stored;
use super::{Effects, ReadId, Rules};
use crate::clock::Now;
use crate::ids::{ConversationId, Seq};
use crate::metrics::Counter;
use crate::view::{Page, Range};
use crate::wire::{Event, StoredMessage};
use hashbrown::HashMap;

/// Reads under way, at most `READS` with the surveys.
#[derive(Debug, Default)]
pub(super) struct Reads {
    asked: HashMap<ReadId, (Origin, ConversationId)>,
    next: u64,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// Names the next read.
    pub(super) fn number(&mut self) -> ReadId {
        let read = ReadId(self.next);
        self.next += 1;
        read
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
        let first = match self.heads.find(conversation) {
            Some(head) => self.heads.first(head),
            None => self.conversations.find(conversation).and_then(|slot| {
                // One that is not active yet knows nothing.
                self.conversations.at(slot).filter(|at| at.assigned != Seq(0)).map(|at| at.first)
            }),
        };
        if let Some(page) = first.and_then(|first| self.tails.page(conversation, range, first)) {
            fx.count(Counter::TailsHit);
            return self.reply_page(&origin, conversation, &page, fx);
        }
        fx.count(Counter::TailsMissed);
        if !self.may_look() {
            return self.refused(&origin, "history", BUSY, fx);
        }
        let read = self.reads.number();
        self.reads.asked.insert(read, (origin, conversation.clone()));
        fx.read(read, conversation, range);
    }

    /// The view's answer to `Effects::read`.
    pub fn page<E: Effects>(&mut self, read: ReadId, page: &Page, _now: Now, fx: &mut E) {
        if let Some((origin, conversation)) = self.reads.take(read) {
            self.reply_page(&origin, &conversation, page, fx);
        }
    }

    fn reply_page<E: Effects>(
        &mut self,
        origin: &Origin,
        conversation: &ConversationId,
        page: &Page,
        fx: &mut E,
    ) {
        let messages: Vec<StoredMessage<'_>> = page.messages.iter().map(|record| stored(record)).collect();
        let event = Event::History {
            id: origin.id.as_deref(),
            conversation,
            messages: &messages,
            first: page.first,
            more: page.more,
        };
        self.reply(origin, &event, fx);
    }
}
