//! What the rules wait for and may not get: a user's conversations before the first session, conversations and pages that could not be
//! read. Knows no store.

use super::answer::BUSY;
use super::{Effects, ReadId, Rules};
use crate::clock::Now;
use crate::ids::{ConversationId, GroupName, Seq, UserName};
use hashbrown::HashMap;

/// What became known of a user's conversations while they were being read.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Joined after so much, or left.
    pub(super) groups: Vec<(GroupName, Option<Seq>)>,
    /// Private conversations begun.
    pub(super) met: Vec<UserName>,
}

/// Users whose conversations are being read.
#[derive(Debug, Default)]
pub(super) struct Loading(HashMap<UserName, Changes>);

impl Loading {
    /// Notes that a user whose groups are being read has joined a group, or left it.
    pub(super) fn changed(&mut self, user: &UserName, group: &GroupName, since: Option<Seq>) {
        if let Some(changes) = self.0.get_mut(user) {
            changes.groups.push((group.clone(), since));
        }
    }

    /// Notes that a user whose conversations are being read has one more.
    pub(super) fn met(&mut self, user: &UserName, other: &UserName) {
        if let Some(changes) = self.0.get_mut(user) {
            changes.met.push(other.clone());
        }
    }

    /// They have been read.
    pub(super) fn take(&mut self, user: &UserName) -> Changes {
        self.0.remove(user).unwrap_or_default()
    }
}

impl Rules {
    /// Whether someone may sign in now. If not, its conversations have to be read first; what
    /// changes of them from here on is not missed.
    pub fn knows(&mut self, user: &UserName) -> bool {
        let knows = !self.config.memberships_stored || self.people.find(user).is_some();
        if !knows {
            self.loading.0.entry_ref(user).or_default();
        }
        knows
    }

    /// Nobody signs in as this user after all, or not now.
    pub fn belongings_unknown(&mut self, user: &UserName) {
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
