//! The view kept in memory: bounded tails of conversations, memberships. Knows no log, chat or shards.

mod heap;
mod tail;

pub use tail::Newest;

use super::ids::Gathering;
use super::survey::Scan;
use super::{Activation, Cursor, Look, Looks, Page, Range, Recall, Survey, View};
use crate::ids::{ConversationId, GroupName, Parties, Seq, UserName};
use crate::limits::{MEMORY_VIEW_HEADS, RECEIPT_MEMBERS_MAX};
use crate::log::{Durability, MessageRecord, Position, Record};
use crate::slab::{Key, Slab};
use hashbrown::HashMap;
use heap::{Heap, Place};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

/// What a message costs besides its packed form (bytes): its entry in the conversation's index.
const ENTRY: usize = size_of::<Place>();

/// The messages of one conversation that are still kept.
#[derive(Debug)]
struct Tail {
    conversation: ConversationId,
    messages: VecDeque<Place>,
    head: Seq,
    trimmed: bool,
    /// Messages below it are gone, whether or not their bytes are.
    floor: Seq,
    /// Of its parties or members: none for a user who has read nothing.
    cursors: HashMap<UserName, Cursor>,
}

/// The index of one shard's conversations, under a byte budget: the shard's oldest messages go first, heads stay.
#[derive(Debug)]
pub struct MemoryView {
    heap: Heap,
    tails: Slab<Tail>,
    index: HashMap<ConversationId, Key>,
    /// Conversations without messages, the one emptied first in front.
    empty: VecDeque<Key>,
    /// Heads were forgotten, so an unknown conversation may have had one.
    forgot: bool,
    members: HashMap<GroupName, BTreeMap<UserName, Seq>>,
    applied: Position,
    entries: usize,
    max_bytes: usize,
    max_heads: usize,
    /// What a conversation costs besides its messages, if that counts (bytes).
    tail_cost: usize,
}

impl MemoryView {
    /// An empty view that keeps messages up to `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            heap: Heap::new(max_bytes),
            tails: Slab::default(),
            index: HashMap::new(),
            empty: VecDeque::new(),
            forgot: false,
            members: HashMap::new(),
            applied: Position(0),
            entries: 0,
            max_bytes,
            max_heads: MEMORY_VIEW_HEADS,
            tail_cost: 0,
        }
    }

    /// What the kept messages cost.
    pub fn bytes(&self) -> usize {
        self.heap.bytes() + self.entries * ENTRY + self.tails.len() * self.tail_cost
    }

    fn tail(&self, conversation: &ConversationId) -> Option<&Tail> {
        self.tails.get(*self.index.get(conversation)?)
    }

    fn keep(&mut self, message: &MessageRecord) {
        let tails = &mut self.tails;
        let key = *self.index.entry_ref(&message.conversation).or_insert_with(|| {
            let conversation = message.conversation.clone();
            tails.insert(Tail {
                conversation,
                messages: VecDeque::new(),
                head: Seq(0),
                trimmed: false,
                floor: Seq(0),
                cursors: HashMap::new(),
            })
        });
        let Some(tail) = self.tails.get_mut(key) else {
            unreachable!("the index names tails that are there")
        };
        if message.seq <= tail.head {
            return;
        }
        tail.head = message.seq;
        tail.messages.push_back(self.heap.push(key, message));
        self.entries += 1;
        while self.bytes() > self.max_bytes && self.drop_oldest() {}
    }

    /// Forgets the oldest messages of the shard, a segment of them.
    fn drop_oldest(&mut self) -> bool {
        let (tails, entries, empty) = (&mut self.tails, &mut self.entries, &mut self.empty);
        let dropped = self.heap.drop_oldest(|owner| {
            *entries -= 1;
            // One that was forgotten as a whole has none to lose.
            let Some(tail) = tails.get_mut(owner) else { return };
            tail.messages.pop_front();
            tail.trimmed = true;
            if tail.messages.is_empty() {
                empty.push_back(owner);
            }
        });
        while self.empty.len() > self.max_heads {
            self.forget_oldest();
        }
        dropped
    }

    fn forget_oldest(&mut self) {
        let Some(key) = self.empty.pop_front() else { return };
        // It may have had messages again since, then it stands at its newer place, or will.
        if self.tails.get(key).is_some_and(|tail| tail.messages.is_empty())
            && let Some(tail) = self.tails.remove(key)
        {
            self.index.remove(&tail.conversation);
            self.forgot = true;
        }
    }

    /// Notes how far a user has got. What is forgotten with its conversation has no messages any more.
    fn keep_cursor(&mut self, conversation: &ConversationId, user: &UserName, cursor: Cursor) {
        let key = self.index.get(conversation).copied();
        if let Some(tail) = key.and_then(|key| self.tails.get_mut(key)) {
            tail.cursors.insert(user.clone(), cursor);
        }
    }

    /// A conversation's messages below `first` are gone; what they cost is, once they are the oldest of all.
    fn trim(&mut self, conversation: &ConversationId, first: Seq) {
        let key = self.index.get(conversation).copied();
        if let Some(tail) = key.and_then(|key| self.tails.get_mut(key)) {
            tail.floor = tail.floor.max(first);
        }
    }

    /// Forgets a conversation as a whole, with its members.
    fn delete(&mut self, conversation: &ConversationId) {
        if let Some(key) = self.index.remove(conversation) {
            // It has no head any more, which is not to have forgotten it.
            self.tails.remove(key);
        }
        if let Parties::Group(group) = conversation.parties()
            && let Ok(group) = GroupName::new(group)
        {
            self.members.remove(&group);
        }
    }

    /// How many of a conversation's messages here are gone.
    fn gone(&self, tail: &Tail) -> usize {
        if tail.floor == Seq(0) {
            return 0;
        }
        tail.messages.partition_point(|place| self.heap.seq(*place) < tail.floor)
    }

    fn first(&self, tail: &Tail) -> Seq {
        tail.messages.get(self.gone(tail)).map_or(Seq(0), |place| self.heap.seq(*place))
    }

    fn look(&self, user: &UserName, look: &Look, share: usize) -> Option<Survey> {
        let (mut cursor, mut members) = (Cursor::default(), 0);
        match look.conversation.parties() {
            Parties::Private(a, b) if a != user.as_str() && b != user.as_str() => return None,
            Parties::Private(..) => {}
            Parties::Group(group) => {
                let all = self.members.get(&GroupName::new(group).ok()?)?;
                let since = *all.get(user)?;
                cursor = Cursor { received: since, read: since };
                members = all.len().min(RECEIPT_MEMBERS_MAX as usize + 1) as u32;
            }
        }
        let Some(tail) = self.tail(&look.conversation) else {
            return Some(Scan::new(user, look, 0, Seq(0), cursor).end(Seq(0), Seq(0), members));
        };
        let known = tail.cursors.get(user).copied().unwrap_or_default();
        let mut scan = Scan::new(user, look, share, tail.head, cursor.further(known));
        for place in tail.messages.range(self.gone(tail)..).rev() {
            if !scan.goes_on() {
                break;
            }
            let message = || self.heap.get(&tail.conversation, *place).map(Arc::new);
            let size = || self.heap.encoded_max(*place);
            scan.see(self.heap.seq(*place), self.heap.from(*place), size, message);
        }
        Some(scan.end(tail.head, self.first(tail), members))
    }

    fn unpack<'a>(&self, tail: &Tail, places: impl Iterator<Item = &'a Place>) -> Vec<Arc<MessageRecord>> {
        places.filter_map(|place| self.heap.get(&tail.conversation, *place)).map(Arc::new).collect()
    }

    fn recall(&self, tail: &Tail, recall: &Recall, activation: &mut Activation) {
        let (seq, gone) = (|place: &Place| self.heap.seq(*place), self.gone(tail));
        if let Some(from) = recall.from {
            let at = tail.messages.partition_point(|place| seq(place) < from);
            activation.stored = tail.messages.range(at.max(gone)..).map(seq).collect();
        }
        let Some(wanted) = &recall.ids else { return };
        let mut gathering = Gathering::new(wanted);
        let upto = tail.messages.partition_point(|place| wanted.upto.is_none_or(|upto| seq(place) <= upto));
        for place in tail.messages.range(gone..upto.max(gone)).rev() {
            if !gathering.goes_on() {
                break;
            }
            if let Some(message) = self.heap.get(&tail.conversation, *place) {
                gathering.see(&message);
            }
        }
        activation.looked = gathering.looked();
        activation.ids = gathering.end(activation.durability);
    }

    /// How many of the messages make a page, in the order given.
    fn fitting<'a>(&self, places: impl Iterator<Item = &'a Place>, range: Range) -> usize {
        let mut bytes = 0;
        let fits = |(nth, place): &(usize, &Place)| {
            bytes += self.heap.encoded_max(**place);
            *nth == 0 || bytes <= range.bytes
        };
        places.take(range.limit as usize).enumerate().take_while(fits).count()
    }
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
            Record::Cursor { conversation, user, received, read } => {
                self.keep_cursor(conversation, user, Cursor { received: *received, read: *read });
            }
            Record::Trim { conversation, first } => self.trim(conversation, *first),
            Record::Delete { conversation, .. } => self.delete(conversation),
        }
    }

    fn applied(&self) -> Position {
        self.applied
    }

    fn activate(&self, conversation: &ConversationId, recall: &Recall) -> Activation {
        let mut activation =
            Activation { trimmed: self.forgot, durability: Durability::Memory, ..Activation::default() };
        if let Some(tail) = self.tail(conversation) {
            activation.head = tail.head;
            activation.first = self.first(tail);
            activation.trimmed = tail.trimmed;
            self.recall(tail, recall, &mut activation);
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
        let Some(tail) = self.tail(conversation) else { return Page::default() };
        let messages = &tail.messages;
        let low =
            range.after.map_or(0, |after| messages.partition_point(|place| self.heap.seq(*place) <= after));
        let low = low.max(self.gone(tail));
        let high = range.before.map_or(messages.len(), |before| {
            messages.partition_point(|place| self.heap.seq(*place) < before)
        });
        let high = high.max(low);
        let chosen = if range.after.is_some() {
            low..low + self.fitting(messages.range(low..high), range)
        } else {
            high - self.fitting(messages.range(low..high).rev(), range)..high
        };
        Page {
            first: self.first(tail),
            more: chosen.len() < high - low,
            messages: self.unpack(tail, messages.range(chosen)),
        }
    }

    fn survey(&self, looks: &Looks) -> Vec<Option<Survey>> {
        let found: Result<_, Infallible> = looks.each(|user, look, share| Ok(self.look(user, look, share)));
        found.unwrap_or_else(|never| match never {})
    }

    fn is_member(&self, group: &GroupName, user: &UserName) -> bool {
        self.members.get(group).is_some_and(|members| members.contains_key(user))
    }
}

#[cfg(test)]
mod tests;
