//! What a user has a part in, and who of those without a session is kept in mind. Knows no conversation's content.
//!
//! Where it can be read again (from a store), users without a session are kept so that a storm of those who come back reads nothing.
//! Where it cannot, members of groups are kept in any case, and lists of private conversations as far as the budget reaches.

use super::people::{Membership, NONE, People, User};
use super::{Effects, Mail, Rules};
use crate::ids::{ConversationId, GroupName, Parties, Seq, UserName};
use crate::limits::EVICTION_SCAN;

/// `first` of a user who has no session and is counted among the idle: the end of a list as well.
const IDLE: u32 = NONE - 1;
/// What an idle user costs besides its lists (bytes): its slot, its place in the index.
const IDLE_COST: usize = size_of::<User>() + 16;

/// A user's conversations.
#[derive(Debug, Default)]
pub(super) struct Belongings {
    pub(super) groups: Vec<Membership>,
    /// The other side of each private conversation.
    pub(super) privates: Vec<UserName>,
}

impl Belongings {
    fn cost(&self) -> usize {
        size_of::<Self>()
            + self.groups.capacity() * size_of::<Membership>()
            + self.privates.capacity() * size_of::<UserName>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.privates.is_empty()
    }

    /// Adds a private conversation, unless it is known.
    fn meets(&mut self, other: &UserName) {
        if !self.privates.contains(other) {
            self.privates.push(other.clone());
        }
    }
}

/// Users without a session, under a budget.
#[derive(Debug, Default)]
pub(super) struct Idle {
    pub(super) users: usize,
    bytes: usize,
    max_bytes: usize,
    /// Where the eviction looks next.
    hand: u32,
}

impl Idle {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }
}

fn cost(user: &User) -> usize {
    IDLE_COST + user.belongs.as_ref().map_or(0, |belongs| belongs.cost())
}

impl People {
    /// A user is about to change, or to have a session: it is not idle.
    pub(super) fn wake(&mut self, slot: u32) {
        if let Some(user) = self.users.at_mut(slot)
            && user.first == IDLE
        {
            user.first = NONE;
            self.idle.users -= 1;
            self.idle.bytes -= cost(user);
        }
    }

    /// Keeps a user without a session in mind, if that is of use and there is room.
    pub(super) fn keeps_idle(&mut self, slot: u32) -> bool {
        let stored = self.memberships_stored;
        let Some(user) = self.users.at_mut(slot) else { return false };
        let of_use = stored || user.belongs.as_ref().is_some_and(|belongs| !belongs.is_empty());
        if self.idle.max_bytes == 0 || !of_use {
            return false;
        }
        user.first = IDLE;
        self.idle.users += 1;
        self.idle.bytes += cost(user);
        for _ in 0..EVICTION_SCAN {
            if self.idle.bytes <= self.idle.max_bytes {
                break;
            }
            let at = self.idle.hand;
            self.idle.hand = if at + 1 < self.users.high_water() { at + 1 } else { 0 };
            if self.is_idle(at) {
                self.wake(at);
                self.forget(at);
            }
        }
        true
    }

    /// Whether a user has no session and may be forgotten at any time.
    pub(super) fn is_idle(&self, slot: u32) -> bool {
        self.user(slot).is_some_and(|user| user.first == IDLE)
    }

    /// Users who are not idle.
    pub(super) fn busy(&self) -> usize {
        self.users.len() - self.idle.users
    }

    /// What must hold of idle users.
    pub(super) fn idle_invariants(&self) {
        let idle = || self.users.iter().filter(|(_, user)| user.first == IDLE).map(|(_, user)| user);
        assert_eq!(idle().count(), self.idle.users, "idle users are counted");
        assert_eq!(idle().map(cost).sum::<usize>(), self.idle.bytes, "and so is what they cost");
        assert!(idle().all(|user| user.sessions == 0 && user.joining == 0), "an idle user does nothing");
    }
}

impl Rules {
    /// A private conversation has begun: both sides have it from now on.
    pub(super) fn met<E: Effects>(&mut self, conversation: &ConversationId, fx: &mut E) {
        let Parties::Private(a, b) = conversation.parties() else { return };
        let (Ok(a), Ok(b)) = (UserName::new(a), UserName::new(b)) else { return };
        let pairs = [(&a, &b), (&b, &a)];
        for (user, other) in &pairs[..if a == b { 1 } else { 2 }] {
            let home = self.config.router.home_of_user(user);
            if home == self.config.shard {
                self.met_here(user, other);
            } else {
                fx.mail(home, Mail::Met { user: (*user).clone(), other: (*other).clone() });
            }
        }
    }

    /// A user at home here has a private conversation more.
    pub(super) fn met_here(&mut self, user: &UserName, other: &UserName) {
        self.loading.met(user, other);
        if self.config.memberships_stored && self.people.find(user).is_none() {
            return;
        }
        let slot = self.people.enter(user);
        if let Some(user) = self.people.users.at_mut(slot) {
            user.belongs.get_or_insert_default().meets(other);
        }
        self.people.release(slot);
    }

    /// The conversations of a user who is about to sign in.
    pub fn belongings_known(
        &mut self,
        user: &UserName,
        mut groups: Vec<(GroupName, Seq)>,
        privates: &[ConversationId],
    ) {
        let changes = self.loading.take(user);
        for (group, since) in changes.groups {
            groups.retain(|(other, _)| *other != group);
            groups.extend(since.map(|since| (group, since)));
        }
        let others = privates.iter().filter_map(|conversation| other(conversation, user));
        let memberships = groups.into_iter().map(|(group, since)| Membership { group, since });
        let mut belongs = Belongings { groups: memberships.collect(), privates: others.collect() };
        changes.met.iter().for_each(|other| belongs.meets(other));
        let slot = self.people.enter(user);
        if let Some(user) = self.people.users.at_mut(slot) {
            user.belongs = (!belongs.is_empty()).then(|| Box::new(belongs));
        }
    }
}

/// The other side of a user's private conversation, which may be the user.
fn other(conversation: &ConversationId, user: &UserName) -> Option<UserName> {
    let Parties::Private(a, b) = conversation.parties() else { return None };
    UserName::new(if a == user.as_str() { b } else { a }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    fn user(n: u32) -> UserName {
        UserName::new(&format!("user{n}")).unwrap()
    }

    fn enter(people: &mut People, n: u32, others: u32) -> u32 {
        let slot = people.enter(&user(n));
        let belongs = people.users.at_mut(slot).unwrap().belongs.get_or_insert_default();
        (0..others).for_each(|other| belongs.meets(&user(other)));
        people.release(slot);
        slot
    }

    #[test]
    fn idle_users_are_kept_as_far_as_the_budget_reaches() {
        let mut people = People::new(ShardId(0), true, 20_000);
        for n in 0..5000 {
            enter(&mut people, n, n % 20);
            assert!(people.idle.bytes <= 20_000, "{n}: {}", people.idle.bytes);
        }
        assert!(people.idle.users > 10 && people.busy() == 0);
        people.invariants();
        let known = (0..5000).find(|n| people.find(&user(*n)).is_some()).unwrap();
        let slot = people.enter(&user(known));
        assert_eq!((people.busy(), people.is_idle(slot)), (1, false));
        assert_eq!(
            people.user(slot).unwrap().belongs.as_ref().map_or(0, |b| b.privates.len()),
            known as usize % 20
        );
        people.release(slot);
        people.invariants();
    }

    #[test]
    fn what_cannot_be_read_again_is_kept_and_nothing_is_not() {
        let mut people = People::new(ShardId(0), false, 1 << 20);
        enter(&mut people, 1, 0);
        enter(&mut people, 2, 3);
        assert!(people.find(&user(1)).is_none() && people.find(&user(2)).is_some());
        let slot = people.enter(&user(3));
        let group = GroupName::new("g").unwrap();
        let belongs = Belongings { groups: vec![Membership { group, since: Seq(0) }], privates: Vec::new() };
        people.users.at_mut(slot).unwrap().belongs = Some(Box::new(belongs));
        people.release(slot);
        assert!(people.find(&user(3)).is_some() && !people.is_idle(slot), "a member is never forgotten");
        let mut none = People::new(ShardId(0), false, 0);
        enter(&mut none, 1, 5);
        assert!(none.find(&user(1)).is_none());
    }
}
