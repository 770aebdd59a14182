//! A group at its home: its members, and what only they may ask. Knows no sessions.

use super::answer::NO_MEMBER;
use super::ask::Origin;
use super::conversation::Conversation;
use super::mail::Answer;
use super::{Effects, Rules, topic};
use crate::ids::{GroupName, Seq, UserName};
use crate::limits::MEMBERS_PAGE;
use crate::log::Ticket;
use crate::wire::{Event, Target};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Where a member stands: commands are judged by what was appended, answers wait for the commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    In,
    Joining(Ticket),
    Leaving(Ticket),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) since: Seq,
    pub(super) standing: Standing,
}

/// A group's members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: GroupName,
    pub(super) members: BTreeMap<UserName, Member>,
    /// Those in or joining: what the limit counts.
    pub(super) present: u32,
    /// Those whose join is committed and whose leave is not: what clients are told.
    pub(super) settled: u32,
}

impl Group {
    pub(super) fn new(name: GroupName) -> Self {
        Self { name, members: BTreeMap::new(), present: 0, settled: 0 }
    }

    /// Takes the members as the view tells them.
    pub(super) fn load(&mut self, members: Vec<(UserName, Seq)>) {
        self.members = members
            .into_iter()
            .map(|(user, since)| (user, Member { since, standing: Standing::In }))
            .collect();
        self.present = self.members.len() as u32;
        self.settled = self.present;
    }

    /// Whether a user may send and read.
    pub(super) fn has(&self, user: &UserName) -> bool {
        self.members.get(user).is_some_and(|member| !matches!(member.standing, Standing::Leaving(_)))
    }

    /// A page of the members in byte order, and whether there are more.
    fn page(&self, after: Option<&UserName>) -> (Vec<UserName>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let settled = |(user, member): (&UserName, &Member)| {
            (!matches!(member.standing, Standing::Joining(_))).then(|| user.clone())
        };
        let mut rest = self.members.range::<UserName, _>((from, Bound::Unbounded)).filter_map(settled);
        let page: Vec<UserName> = rest.by_ref().take(MEMBERS_PAGE).collect();
        (page, rest.next().is_some())
    }
}

impl Rules {
    pub(super) fn list_members<E: Effects>(
        &mut self,
        slot: u32,
        origin: &Origin,
        after: Option<&UserName>,
        fx: &mut E,
    ) {
        let group = self.conversations.at(slot).and_then(Conversation::group);
        let Some(group) = group.filter(|group| group.has(&origin.user)) else {
            return self.refused(origin, "members", NO_MEMBER, fx);
        };
        let (users, more) = group.page(after);
        let event = Event::Members { id: origin.id.as_deref(), group: &group.name, users: &users, more };
        let frame = fx.encode_in(origin.encoding, &event);
        self.answer(Answer { session: origin.session, frame, owed: true }, fx);
    }

    pub(super) fn typing_in_group<E: Effects>(
        &mut self,
        slot: u32,
        origin: &Origin,
        target: &Target,
        fx: &mut E,
    ) {
        let group = self.conversations.at(slot).and_then(Conversation::group);
        let Some(group) = group.filter(|group| group.has(&origin.user)) else {
            return self.refused(origin, "typing", NO_MEMBER, fx);
        };
        let name = group.name.clone();
        let frames = fx.encode(&Event::Typing { from: &origin.user, target });
        let topic = topic::typing(&self.config.router, &origin.user, Some(&name));
        self.notify_group(&name, &origin.user, topic, &frames, fx);
    }
}
