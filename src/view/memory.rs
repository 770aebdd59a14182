//! The view kept in memory: bounded tails of conversations, memberships. Knows no log, chat or shards.

use super::{Activation, Page, Range, View};
use crate::ids::{ConversationId, GroupName, Parties, Seq, UserName};
use crate::limits::{ACTIVATION_RECENT, MEMORY_VIEW_HEADS, MESSAGE_ENVELOPE};
use crate::log::{Durability, MessageRecord, Position, Record};
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a message costs besides its content (bytes): the record, its counts, its places in two queues.
const MESSAGE_OVERHEAD: usize = size_of::<MessageRecord>() + 48;

/// The messages of one conversation that are still kept.
#[derive(Debug, Default)]
struct Tail {
    messages: VecDeque<Arc<MessageRecord>>,
    head: Seq,
    trimmed: bool,
}

/// The index of one shard's conversations, under a byte budget: the shard's oldest messages go first, heads stay.
#[derive(Debug)]
pub struct MemoryView {
    tails: HashMap<ConversationId, Tail>,
    /// Whose message was applied when, oldest first.
    order: VecDeque<ConversationId>,
    /// Conversations without messages, the one emptied first in front.
    empty: VecDeque<ConversationId>,
    /// Heads were forgotten, so an unknown conversation may have had one.
    forgot: bool,
    members: HashMap<GroupName, BTreeMap<UserName, Seq>>,
    applied: Position,
    bytes: usize,
    max_bytes: usize,
    max_heads: usize,
}

impl MemoryView {
    /// An empty view that keeps messages up to `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            tails: HashMap::new(),
            order: VecDeque::new(),
            empty: VecDeque::new(),
            forgot: false,
            members: HashMap::new(),
            applied: Position(0),
            bytes: 0,
            max_bytes,
            max_heads: MEMORY_VIEW_HEADS,
        }
    }

    /// What the kept messages cost.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn keep(&mut self, message: &Arc<MessageRecord>) {
        let tail = self.tails.entry_ref(&message.conversation).or_default();
        if message.seq <= tail.head {
            return;
        }
        tail.head = message.seq;
        tail.messages.push_back(Arc::clone(message));
        self.order.push_back(message.conversation.clone());
        self.bytes += cost(message);
        while self.bytes > self.max_bytes && self.drop_oldest() {}
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(conversation) = self.order.pop_front() else { return false };
        let Some(tail) = self.tails.get_mut(&conversation) else { return true };
        if let Some(message) = tail.messages.pop_front() {
            self.bytes -= cost(&message);
            tail.trimmed = true;
        }
        if tail.messages.is_empty() {
            self.empty.push_back(conversation);
            while self.empty.len() > self.max_heads {
                self.forget_oldest();
            }
        }
        true
    }

    fn forget_oldest(&mut self) {
        let Some(conversation) = self.empty.pop_front() else { return };
        // It may have had messages again since, then it stands at its newer place, or will.
        if self.tails.get(&conversation).is_some_and(|tail| tail.messages.is_empty()) {
            self.tails.remove(&conversation);
            self.forgot = true;
        }
    }
}

/// How many of the messages make a page, in the order given.
fn fitting<'a>(messages: impl Iterator<Item = &'a Arc<MessageRecord>>, range: Range) -> usize {
    let mut bytes = 0;
    let fits = |(place, message): &(usize, &Arc<MessageRecord>)| {
        bytes += message.bytes.len() + MESSAGE_ENVELOPE;
        *place == 0 || bytes <= range.bytes
    };
    messages.take(range.limit as usize).enumerate().take_while(fits).count()
}

fn cost(message: &MessageRecord) -> usize {
    MESSAGE_OVERHEAD + message.bytes.len() + message.conversation.as_str().len()
}

impl View for MemoryView {
    fn apply(&mut self, position: Position, record: &Record) {
        if position <= self.applied {
            return;
        }
        self.applied = position;
        match record {
            Record::Message(message) => self.keep(message),
            Record::Member { group, user, joined: true, seq } => {
                self.members.entry_ref(group).or_default().insert(user.clone(), *seq);
            }
            Record::Member { group, user, joined: false, .. } => {
                if let Some(members) = self.members.get_mut(group) {
                    members.remove(user);
                    if members.is_empty() {
                        self.members.remove(group);
                    }
                }
            }
        }
    }

    fn applied(&self) -> Position {
        self.applied
    }

    fn activate(&self, conversation: &ConversationId) -> Activation {
        let mut activation =
            Activation { trimmed: self.forgot, durability: Durability::Memory, ..Activation::default() };
        if let Some(tail) = self.tails.get(conversation) {
            activation.head = tail.head;
            activation.first = tail.messages.front().map_or(Seq(0), |message| message.seq);
            activation.trimmed = tail.trimmed;
            let skip = tail.messages.len().saturating_sub(ACTIVATION_RECENT);
            activation.recent.extend(tail.messages.iter().skip(skip).cloned());
        }
        if let Parties::Group(group) = conversation.parties()
            && let Ok(group) = GroupName::new(group)
            && let Some(members) = self.members.get(&group)
        {
            activation.members.extend(members.iter().map(|(user, seq)| (user.clone(), *seq)));
        }
        activation
    }

    fn read(&self, conversation: &ConversationId, range: Range) -> Page {
        let Some(tail) = self.tails.get(conversation) else { return Page::default() };
        let messages = &tail.messages;
        let low = range.after.map_or(0, |after| messages.partition_point(|m| m.seq <= after));
        let high = range.before.map_or(messages.len(), |before| messages.partition_point(|m| m.seq < before));
        let high = high.max(low);
        let chosen = if range.after.is_some() {
            low..low + fitting(messages.range(low..high), range)
        } else {
            high - fitting(messages.range(low..high).rev(), range)..high
        };
        Page {
            first: messages.front().map_or(Seq(0), |message| message.seq),
            more: chosen.len() < high - low,
            messages: messages.range(chosen).cloned().collect(),
        }
    }

    fn is_member(&self, group: &GroupName, user: &UserName) -> bool {
        self.members.get(group).is_some_and(|members| members.contains_key(user))
    }
}

#[cfg(test)]
mod tests;
