//! What the logs hold and what follows from it. Checks each append and each commit.

use longwire::ids::{ConversationId, Parties, Seq};
use longwire::log::{MessageRecord, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
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
    /// A sequencer gives a number: no other ever had it, none was higher.
    pub(crate) fn appended(&mut self, record: &Record) {
        if let Record::Message(message) = record {
            let given = self.given.entry(message.conversation.clone()).or_default();
            assert!(message.seq.0 > *given, "{} gives {} after {given}", message.conversation, message.seq.0);
            *given = message.seq.0;
        }
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
                    assert_eq!(self.ids.insert(key, seq), None, "{conversation} stores id {id} twice");
                }
                let name = (conversation, seq);
                self.fresh.push(name.clone());
                let committed =
                    Committed { record: message.clone(), order: self.order, expected: Vec::new() };
                self.messages.insert(name, committed);
            }
            Record::Cursor { .. } | Record::Trim { .. } | Record::Delete { .. } => {}
            Record::Member { group, user, joined, .. } => {
                let changes = self.changes.entry((group.to_string(), user.to_string())).or_default();
                assert_ne!(changes.last().is_some_and(|(_, joined)| *joined), *joined, "{user} in {group}");
                changes.push((self.order, *joined));
            }
        }
    }

    /// Nobody was told of numbers that were given and not stored.
    pub(crate) fn crashed(&mut self) {
        self.given.clone_from(&self.head);
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
