//! The view in memory as what it is besides: the newest messages of conversations of which more may be elsewhere.

use super::{MemoryView, Tail};
use crate::ids::{ConversationId, Seq, UserName};
use crate::log::MessageRecord;
use crate::view::survey::Scan;
use crate::view::{Cursor, Look, Page, Range, View};
use std::sync::Arc;

/// The newest messages wanted, whether others are as well, and what these take in any encoding at most (bytes).
pub type Newest = (Vec<Arc<MessageRecord>>, bool, usize);

/// What a conversation costs besides its messages (bytes): its slot, its place in the index, its list.
const TAIL_COST: usize = 2 * size_of::<Tail>() + size_of::<ConversationId>();

impl MemoryView {
    /// A view that keeps the newest messages up to `max_bytes`, all costs counted, and nothing of conversations without any.
    pub fn of_tails(max_bytes: usize) -> Self {
        Self { max_heads: 0, tail_cost: TAIL_COST, ..Self::new(max_bytes) }
    }

    /// Keeps a message; whatever came before it and is not here makes that what is here is forgotten, so that there are no gaps.
    pub fn goes_on(&mut self, message: &MessageRecord) {
        let key = self.index.get(&message.conversation).copied();
        let gap = |tail: &Tail| tail.head != message.prev && tail.head < message.seq;
        if let Some(key) = key.filter(|key| self.tails.get(*key).is_some_and(gap)) {
            self.tails.remove(key);
            self.index.remove(&message.conversation);
        }
        self.keep(message);
    }

    /// Forgets what is here of a conversation if any of it is below `first`: what goes on from there is kept again.
    pub fn forget_below(&mut self, conversation: &ConversationId, first: Seq) {
        let Some(key) = self.index.get(conversation).copied() else { return };
        let begins = self.tails.get(key).and_then(|tail| tail.messages.front());
        if begins.is_some_and(|place| self.heap.seq(*place) < first) {
            self.tails.remove(key);
            self.index.remove(conversation);
        }
    }

    /// The seq before the oldest message that is here, 0 if it is the conversation's first.
    fn begins_after(&self, tail: &Tail) -> Option<Seq> {
        tail.messages.front().map(|place| self.heap.prev(*place))
    }

    /// The newest messages above `after`, if all that are wanted are here.
    pub fn newest(
        &self,
        conversation: &ConversationId,
        user: &UserName,
        after: Option<Seq>,
        bytes: usize,
    ) -> Option<Newest> {
        let tail = self.tail(conversation)?;
        let begins = self.begins_after(tail)?;
        // All of it counts as read: nothing is to be counted here.
        let cursor = Cursor { received: tail.head, read: tail.head };
        let look = Look { conversation: conversation.clone(), after, cursor };
        let mut scan = Scan::new(user, &look, bytes, tail.head, cursor);
        for place in tail.messages.iter().rev() {
            if !scan.goes_on() {
                break;
            }
            let message = || self.heap.get(conversation, *place).map(Arc::new);
            scan.see(self.heap.seq(*place), "", || self.heap.encoded_max(*place), message);
        }
        if scan.goes_on() && begins > after.unwrap_or_default() {
            return None;
        }
        let found = scan.end(tail.head, Seq(0), 0);
        Some((found.messages, found.more, found.bytes))
    }

    /// A page, if all that is wanted is here. `first` is the lowest seq kept anywhere.
    pub fn page(&self, conversation: &ConversationId, range: Range, first: Seq) -> Option<Page> {
        let begins = self.begins_after(self.tail(conversation)?)?;
        let page = self.read(conversation, range);
        let is_here = match range.after {
            Some(after) => begins <= after || begins == Seq(0),
            None => page.more || begins == Seq(0),
        };
        is_here.then_some(Page { first, ..page })
    }
}
