//! What the rules wait for and may not get: a user's groups before the first session, conversations and pages that could not be
//! read. Knows no store.

use super::answer::BUSY;
use super::people::Membership;
use super::{Effects, ReadId, Rules};
use crate::clock::Now;
use crate::ids::{ConversationId, GroupName, Seq, UserName};
use hashbrown::HashMap;

/// What became known of a user's groups while they were being read: joined after so much, or left.
type Changes = Vec<(GroupName, Option<Seq>)>;

/// Users whose groups are being read.
#[derive(Debug, Default)]
pub(super) struct Loading(HashMap<UserName, Changes>);

impl Loading {
    /// Notes that a user whose groups are being read has joined a group, or left it.
    pub(super) fn changed(&mut self, user: &UserName, group: &GroupName, since: Option<Seq>) {
        if let Some(changes) = self.0.get_mut(user) {
            changes.push((group.clone(), since));
        }
    }
}

impl Rules {
    /// Whether someone may sign in now. If not, the groups have to be read first; a group joined or left from here on is not missed.
    pub fn knows(&mut self, user: &UserName) -> bool {
        let knows = !self.config.memberships_stored || self.people.find(user).is_some();
        if !knows {
            self.loading.0.entry_ref(user).or_default();
        }
        knows
    }

    /// The groups of a user who is about to sign in.
    pub fn groups_known(&mut self, user: &UserName, mut groups: Vec<(GroupName, Seq)>) {
        for (group, since) in self.loading.0.remove(user).unwrap_or_default() {
            groups.retain(|(other, _)| *other != group);
            groups.extend(since.map(|since| (group, since)));
        }
        if groups.is_empty() {
            return;
        }
        let slot = self.people.enter(user);
        if let Some(user) = self.people.users.at_mut(slot) {
            let memberships = groups.into_iter().map(|(group, since)| Membership { group, since });
            user.groups = Some(Box::new(memberships.collect()));
        }
    }

    /// Nobody signs in as this user after all, or not now.
    pub fn groups_unknown(&mut self, user: &UserName) {
        self.loading.0.remove(user);
        if let Some(slot) = self.people.find(user) {
            self.people.release(slot);
        }
    }

    /// A conversation could not be read: whoever waits is told to try later, which tries again.
    pub fn not_activated<E: Effects>(&mut self, conversation: &ConversationId, _now: Now, fx: &mut E) {
        let Some(slot) = self.conversations.find(conversation) else { return };
        let Some(at) = self.conversations.at_mut(slot) else { return };
        let Some(stalled) = &mut at.stalled else { return };
        stalled.asked = false;
        let waiting = std::mem::take(&mut stalled.waiting);
        for ask in waiting {
            self.conversations.waited(&ask);
            self.denied(&ask.origin, &ask.what, BUSY, fx);
        }
        self.conversations.forget_unread(slot);
    }

    /// A page could not be read.
    pub fn no_page<E: Effects>(&mut self, read: ReadId, fx: &mut E) {
        if let Some((origin, _)) = self.reads.take(read) {
            self.refused(&origin, "history", BUSY, fx);
        }
    }
}
