//! Joins and leaves: through the log like messages, answered after the commit. Knows no sessions.

use super::answer::{BUSY, Refusal};
use super::ask::{Origin, What};
use super::conversation::Conversation;
use super::group::{Group, Member, Standing};
use super::mail::{Answer, Mail};
use super::outcome::{Appended, Pending};
use super::{Effects, Rules, topic};
use crate::clock::Now;
use crate::ids::{ConversationId, GroupName, Seq, SessionId, UserName};
use crate::log::{Record, Ticket};
use crate::metrics::Counter;
use crate::wire::{ErrorCode, Event};

const FULL: Refusal = Refusal(ErrorCode::Forbidden, "the group is full");

/// A join or leave under way.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) origin: Origin,
    pub(super) joined: bool,
    since: Seq,
}

impl Rules {
    pub(super) fn join_group<E: Effects>(&mut self, slot: u32, origin: Origin, now: Now, fx: &mut E) {
        let max = self.config.group_max_members;
        let is_new = self.conversations.at(slot).is_some_and(Conversation::is_new);
        if is_new && origin.wait > 0 {
            return self.too_many_begun(&origin, "joinGroup", fx);
        }
        let Some((committed, tail, group)) = self.group_at(slot) else { return };
        match group.members.get(&origin.user).map(|member| (member.since, member.standing)) {
            Some((since, Standing::In)) => {
                let (group, members) = (group.name.clone(), group.settled);
                self.answer_joined(&group, &origin, members, committed, since, fx);
            }
            Some((_, Standing::Joining(ticket))) => {
                if !self.wait_for(ticket, &origin) {
                    self.not_joined(&origin, BUSY, fx);
                }
            }
            _ if group.present >= max => self.not_joined(&origin, FULL, fx),
            _ => {
                let maker = is_new.then(|| (origin.user.clone(), origin.session));
                let taken = self.change(slot, Change { origin, joined: true, since: tail }, fx);
                if let Some((user, session)) = maker.filter(|_| taken) {
                    self.begun(&user, session, now, fx);
                }
            }
        }
    }

    pub(super) fn leave_group<E: Effects>(&mut self, slot: u32, origin: Origin, fx: &mut E) {
        let Some((_, tail, group)) = self.group_at(slot) else { return };
        match group.members.get(&origin.user).map(|member| member.standing) {
            None => {
                let answer = left_answer(&group.name, &origin, fx);
                self.answer(answer, fx);
            }
            Some(Standing::Leaving(ticket)) => {
                if !self.wait_for(ticket, &origin) {
                    self.refused(&origin, "leaveGroup", BUSY, fx);
                }
            }
            Some(Standing::In | Standing::Joining(_)) => {
                self.change(slot, Change { origin, joined: false, since: tail }, fx);
            }
        }
    }

    fn group_at(&mut self, slot: u32) -> Option<(Seq, Seq, &mut Group)> {
        let at = self.conversations.at_mut(slot)?;
        let (committed, tail) = (at.committed, at.tail);
        at.group_mut().map(|group| (committed, tail, group))
    }

    /// Has a join or leave written; false if the log does not take it.
    fn change<E: Effects>(&mut self, slot: u32, change: Change, fx: &mut E) -> bool {
        let Some(at) = self.conversations.at_mut(slot) else { return false };
        let partition = at.partition;
        let Some(group) = at.group_mut() else { return false };
        let (user, joined, since) = (change.origin.user.clone(), change.joined, change.since);
        let record = Record::Member { group: group.name.clone(), user: user.clone(), joined, seq: since };
        let Ok(ticket) = fx.append(partition, record) else {
            if joined {
                self.not_joined(&change.origin, BUSY, fx);
            } else {
                self.refused(&change.origin, "leaveGroup", BUSY, fx);
            }
            return false;
        };
        fx.count(Counter::Appended);
        if joined {
            group.members.insert(user, Member { since, standing: Standing::Joining(ticket) });
            group.present += 1;
        } else if let Some(member) = group.members.get_mut(&user) {
            member.standing = Standing::Leaving(ticket);
            group.present -= 1;
        }
        at.in_flight += 1;
        let what = Appended::Change(Box::new(change));
        self.pending.insert(ticket, Pending { conversation: slot, what, waiters: Vec::new() });
        true
    }

    pub(super) fn change_committed<E: Effects>(
        &mut self,
        slot: u32,
        change: &Change,
        ticket: Ticket,
        waiters: &[Origin],
        fx: &mut E,
    ) {
        let Some((committed, _, group)) = self.group_at(slot) else { return };
        let user = &change.origin.user;
        // A later change of the same user, still under way, has the last word on its standing.
        let standing = group.members.get_mut(user).map(|member| &mut member.standing);
        if change.joined {
            group.settled += 1;
            if let Some(standing) = standing.filter(|standing| **standing == Standing::Joining(ticket)) {
                *standing = Standing::In;
            }
        } else {
            group.settled -= 1;
            if standing.is_some_and(|standing| *standing == Standing::Leaving(ticket)) {
                group.members.remove(user);
            }
        }
        let (name, members) = (group.name.clone(), group.settled);
        if let Some(head) = self.conversations.at(slot).and_then(|at| at.head) {
            self.heads.counts_members(head, members);
        }
        if change.joined {
            for origin in std::iter::once(&change.origin).chain(waiters) {
                self.answer_joined(&name, origin, members, committed, change.since, fx);
            }
        } else {
            let answer = left_answer(&name, &change.origin, fx);
            self.tell_left(&name, user, Some(answer), fx);
            for waiter in waiters {
                let answer = left_answer(&name, waiter, fx);
                self.answer(answer, fx);
            }
        }
        if members <= self.config.group_event_max_members {
            let event = Event::GroupEvent { group: &name, joined: change.joined, user, members };
            let frames = fx.encode(&event);
            let topic = topic::membership(&self.config.router, &name, user);
            self.notify_group(&name, user, topic, &frames, fx);
        }
    }

    fn answer_joined<E: Effects>(
        &mut self,
        group: &GroupName,
        origin: &Origin,
        members: u32,
        seq: Seq,
        since: Seq,
        fx: &mut E,
    ) {
        let joined = Event::Joined { id: origin.id.as_deref(), group, members, seq };
        let frame = fx.encode_in(origin.encoding, &joined);
        let answer = Answer { session: origin.session, frame, owed: true };
        self.tell_joined(group, &origin.user, since, Some(answer), fx);
    }

    /// Tells a user's home that the user is a member; from now on that shard gets what is said in the group.
    fn tell_joined<E: Effects>(
        &mut self,
        group: &GroupName,
        user: &UserName,
        since: Seq,
        answer: Option<Answer>,
        fx: &mut E,
    ) {
        let home = self.config.router.home_of_user(user);
        if home == self.config.shard {
            let online = self.joined_here(group, user, since, answer.as_ref(), fx);
            self.interests.told(group, home, online, false);
        } else {
            self.interests.joined(group, home);
            fx.mail(home, Mail::Joined { group: group.clone(), user: user.clone(), since, answer });
        }
    }

    fn tell_left<E: Effects>(
        &mut self,
        group: &GroupName,
        user: &UserName,
        answer: Option<Answer>,
        fx: &mut E,
    ) {
        if let Some(head) = self.heads.find(&ConversationId::group(group)) {
            let who = self.heads.who(user);
            self.heads.left(head, who);
        }
        let home = self.config.router.home_of_user(user);
        if home == self.config.shard {
            self.left_here(group, user, answer.as_ref(), fx);
        } else {
            fx.mail(home, Mail::Left { group: group.clone(), user: user.clone(), answer });
        }
    }

    /// A join or leave of unknown outcome, now that the view has told the members.
    pub(super) fn resolve_change<E: Effects>(
        &mut self,
        slot: u32,
        user: &UserName,
        joined: bool,
        fx: &mut E,
    ) {
        let Some((_, _, group)) = self.group_at(slot) else { return };
        let (name, member) = (group.name.clone(), group.members.get(user).copied());
        match member {
            Some(member) if joined => self.tell_joined(&name, user, member.since, None, fx),
            None if !joined => self.tell_left(&name, user, None, fx),
            _ => {}
        }
    }

    /// Refuses a `joinGroup`: the user's home counts it no longer.
    pub(super) fn not_joined<E: Effects>(&mut self, origin: &Origin, why: Refusal, fx: &mut E) {
        let answer = super::answer::refusal(origin, "joinGroup", why, fx);
        self.join_refused(origin, answer, fx);
    }

    fn join_refused<E: Effects>(&mut self, origin: &Origin, answer: Answer, fx: &mut E) {
        if origin.session.shard == self.config.shard {
            self.not_joined_here(&origin.user, &answer, fx);
        } else {
            fx.mail(origin.session.shard, Mail::NotJoined { user: origin.user.clone(), answer });
        }
    }

    /// Refuses a conversation or group that would be one too many.
    pub(super) fn too_many_begun<E: Effects>(&mut self, origin: &Origin, command: &str, fx: &mut E) {
        fx.count(Counter::LimitedBegun);
        let answer = super::answer::too_fast(origin, Some(command), origin.wait.into(), fx);
        match command {
            "joinGroup" => self.join_refused(origin, answer, fx),
            _ => self.answer(answer, fx),
        }
    }

    /// A user has begun a conversation or made a group: the user's home counts it. Where many are under way at a time it learns
    /// of them late and lets too many through, which then are waited for all the longer.
    pub(super) fn begun<E: Effects>(&mut self, user: &UserName, session: SessionId, now: Now, fx: &mut E) {
        if session.shard == self.config.shard {
            self.begun_here(user, now);
        } else {
            fx.mail(session.shard, Mail::Begun { user: user.clone() });
        }
    }

    /// A user of this shard has begun a conversation.
    pub(super) fn begun_here(&mut self, user: &UserName, now: Now) {
        let takes = self.config.rates.begun.takes(1, 0);
        if takes > 0 {
            self.accounts.of(user, now).begun.charge(takes);
        }
    }

    /// Refuses any command at its conversation's home.
    pub(super) fn denied<E: Effects>(&mut self, origin: &Origin, what: &What<'_>, why: Refusal, fx: &mut E) {
        match what {
            What::Join => self.not_joined(origin, why, fx),
            _ => self.refused(origin, what.name(), why, fx),
        }
    }
}

fn left_answer<E: Effects>(group: &GroupName, origin: &Origin, fx: &mut E) -> Answer {
    let left = Event::Left { id: origin.id.as_deref(), group };
    Answer { session: origin.session, frame: fx.encode_in(origin.encoding, &left), owed: true }
}
