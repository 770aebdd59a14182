//! The ids that were loaded with their conversations, a table each. Knows no messages said since, and no budget.

use crate::ids::{ConversationId, Millis};
use crate::view::Ids;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// What a table costs besides itself (bytes): its places in the map and in the order.
const COST: usize = size_of::<(ConversationId, Box<Ids>)>() + size_of::<ConversationId>() + 10;

/// Tables of ids, the one loaded first dropped first.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    tables: HashMap<ConversationId, Box<Ids>>,
    order: VecDeque<ConversationId>,
    bytes: usize,
    len: usize,
}

impl Loaded {
    pub(super) fn of(&self, conversation: &ConversationId) -> Option<&Ids> {
        self.tables.get(conversation).map(|ids| &**ids)
    }

    /// Keeps a conversation's; the first one stays if it comes twice.
    pub(super) fn keep(&mut self, conversation: &ConversationId, ids: Box<Ids>) {
        if self.tables.contains_key(conversation) {
            return;
        }
        self.bytes += ids.bytes() + COST;
        self.len += ids.len();
        self.tables.insert(conversation.clone(), ids);
        self.order.push_back(conversation.clone());
    }

    /// Drops the table that was loaded first; tells whether there was one.
    pub(super) fn drop_first(&mut self) -> bool {
        let dropped = self.order.pop_front().and_then(|conversation| self.tables.remove(&conversation));
        if let Some(ids) = &dropped {
            self.bytes -= ids.bytes() + COST;
            self.len -= ids.len();
        }
        dropped.is_some()
    }

    /// When the newest message of the table that was loaded first was said.
    pub(super) fn first_newest(&self) -> Option<Millis> {
        self.order.front().and_then(|conversation| self.of(conversation)).map(Ids::newest)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many ids there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
