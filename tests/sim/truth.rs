//! What the logs hold and what follows from it. Checks each append and each commit.

use longwire::ids::{ConversationId, Parties, Seq};
use longwire::log::{MessageRecord, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) type Shared = Rc<RefCell<Truth>>;
pub(crate) type Name = (ConversationId, u64);

/// A committed message and the sessions that must get it, unless something excuses them.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) record: Arc<MessageRecord>,
    pub(crate) order: u64,
    /// Connections that were there, by index.
    pub(crate) expected: Vec<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) messages: BTreeMap<Name, Committed>,
    head: HashMap<ConversationId, u64>,
    /// Where conversations begin that were trimmed or deleted, with the place in the order of commits from which on they do.
    firsts: HashMap<ConversationId, Vec<(u64, u64)>>,
    /// And where they were ever asked to.
    wanted: HashMap<ConversationId, u64>,
    /// Messages that were stored while nobody could tell: until that is resolved nobody gets them.
    pub(crate) unknown: HashSet<Name>,
    /// Trims that took something, and conversations that were deleted.
    pub(crate) trimmed: u32,
    pub(crate) deleted: u32,
    /// The highest number ever given, stored or not.
    given: HashMap<ConversationId, u64>,
    ids: HashMap<(String, ConversationId, String), u64>,
    /// Joins and leaves by group and user, with their place in the order of commits.
    changes: HashMap<(String, String), Vec<(u64, bool)>>,
    /// How much was committed.
    pub(crate) order: u64,
    /// Commits since the world last looked.
    pub(crate) fresh: Vec<Name>,
}

impl Truth {
    /// A sequencer gives a number: no other ever had it, none was higher, whatever was deleted and whoever crashed.
    pub(crate) fn appended(&mut self, record: &Record) {
        match record {
            Record::Message(message) => {
                let (conversation, seq) = (&message.conversation, message.seq.0);
                let given = self.given.entry(conversation.clone()).or_default();
                assert!(seq > *given, "{conversation} gives {seq} after {given}");
                *given = seq;
            }
            Record::Trim { conversation, first } | Record::Delete { conversation, first } => {
                let wanted = self.wanted.entry(conversation.clone()).or_default();
                *wanted = first.0.max(*wanted);
            }
            Record::Member { .. } | Record::Cursor { .. } => {}
        }
    }

    /// The highest number ever given: what the store has reserved, at least.
    pub(crate) fn highest(&self) -> Seq {
        Seq(self.given.values().max().copied().unwrap_or(0))
    }

    /// The log has it: each message names the one before, each id is stored once.
    pub(crate) fn committed(&mut self, record: &Record) {
        self.order += 1;
        match record {
            Record::Message(message) => {
                let (conversation, seq) = (message.conversation.clone(), message.seq.0);
                if let Parties::Group(group) = conversation.parties() {
                    assert!(
                        self.was_member(group, message.from.as_str(), self.order),
                        "{} is in",
                        message.from
                    );
                }
                let head = self.head.entry(conversation.clone()).or_default();
                assert_eq!(message.prev.0, *head, "{conversation} {seq} names the one before it");
                *head = seq;
                if let Some(id) = message.id.as_deref() {
                    let key = (message.from.to_string(), conversation.clone(), id.to_string());
                    let before = self.ids.insert(key, seq);
                    // What went is not known any more.
                    let twice = before.is_some_and(|before| before >= self.first_of(&conversation));
                    assert!(!twice, "{conversation} stores id {id} twice");
                }
                let name = (conversation, seq);
                self.fresh.push(name.clone());
                let committed =
                    Committed { record: message.clone(), order: self.order, expected: Vec::new() };
                self.messages.insert(name, committed);
            }
            Record::Cursor { .. } => {}
            Record::Trim { conversation, first } => {
                self.trimmed += u32::from(self.begins(conversation, first.0));
            }
            Record::Delete { conversation, first } => {
                self.deleted += 1;
                self.begins(conversation, first.0);
                self.head.remove(conversation);
                if let Parties::Group(group) = conversation.parties() {
                    let order = self.order;
                    let of_it = self.changes.iter_mut().filter(|((name, _), _)| name == group);
                    let joined =
                        of_it.filter(|(_, changes)| changes.last().is_some_and(|(_, joined)| *joined));
                    joined.for_each(|(_, changes)| changes.push((order, false)));
                }
            }
            Record::Member { group, user, joined, .. } => {
                let changes = self.changes.entry((group.to_string(), user.to_string())).or_default();
                assert_ne!(changes.last().is_some_and(|(_, joined)| *joined), *joined, "{user} in {group}");
                changes.push((self.order, *joined));
            }
        }
    }

    /// A conversation begins at `first` from now on, or where it began if that is higher; tells whether a message went.
    fn begins(&mut self, conversation: &ConversationId, first: u64) -> bool {
        let before = self.first_of(conversation);
        if first <= before {
            return false;
        }
        self.firsts.entry(conversation.clone()).or_default().push((self.order, first));
        let went = (conversation.clone(), before)..(conversation.clone(), first);
        self.messages.range(went).next().is_some()
    }

    /// The lowest number that a conversation may keep.
    pub(crate) fn first_of(&self, conversation: &ConversationId) -> u64 {
        self.first_at(conversation, u64::MAX)
    }

    /// Whether a message may have gone before anybody could tell that it was stored.
    pub(crate) fn went_unknown(&self, name: &Name) -> bool {
        self.unknown.contains(name) && name.1 < self.first_of(&name.0)
    }

    /// And which that was at a place in the order.
    pub(crate) fn first_at(&self, conversation: &ConversationId, order: u64) -> u64 {
        let firsts = self.firsts.get(conversation).into_iter().flatten();
        firsts.rev().find(|(at, _)| *at <= order).map_or(0, |(_, first)| *first)
    }

    /// Up to where messages may be gone: a trim of which it is not known whether it was stored is taken for done.
    pub(crate) fn may_be_gone_below(&self, conversation: &ConversationId) -> u64 {
        self.wanted.get(conversation).copied().unwrap_or(0).max(self.first_of(conversation))
    }

    pub(crate) fn has(&self, conversation: &ConversationId, seq: Seq) -> bool {
        self.messages.contains_key(&(conversation.clone(), seq.0))
    }

    pub(crate) fn head_of(&self, conversation: &ConversationId) -> u64 {
        self.head.get(conversation).copied().unwrap_or(0)
    }

    /// How many messages of others stand above one number and not above another.
    pub(crate) fn others_between(
        &self,
        conversation: &ConversationId,
        user: &str,
        above: u64,
        upto: u64,
    ) -> u64 {
        let range = (conversation.clone(), above + 1)..=(conversation.clone(), upto.max(above + 1));
        let others = self.messages.range(range).filter(|(name, _)| name.1 <= upto);
        others.filter(|(_, committed)| committed.record.from.as_str() != user).count() as u64
    }

    pub(crate) fn was_ever_member(&self, group: &str, user: &str) -> bool {
        self.changes.contains_key(&(group.to_owned(), user.to_owned()))
    }

    /// The last change of a membership before a place in the order.
    fn last_change(&self, group: &str, user: &str, order: u64) -> Option<(u64, bool)> {
        let changes = self.changes.get(&(group.to_owned(), user.to_owned()))?;
        changes.iter().rev().find(|(at, _)| *at < order).copied()
    }

    pub(crate) fn was_member(&self, group: &str, user: &str, order: u64) -> bool {
        self.last_change(group, user, order).is_some_and(|(_, joined)| joined)
    }

    /// Whether a user was a member from a place in the order until now.
    pub(crate) fn stayed_member(&self, group: &str, user: &str, order: u64) -> bool {
        let now = self.last_change(group, user, u64::MAX);
        now.is_some_and(|(at, joined)| joined && at < order)
    }

    /// All users who are in any group now.
    pub(crate) fn users_in_groups(&self) -> std::collections::BTreeSet<&str> {
        let members =
            self.changes.iter().filter(|(_, changes)| changes.last().is_some_and(|(_, joined)| *joined));
        members.map(|((_, user), _)| user.as_str()).collect()
    }
}
