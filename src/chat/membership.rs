//! A user's groups at the user's home: where its sessions sit, and which groups' homes hear of it. Knows no members.

use super::mail::{Answer, Mail};
use super::people::{Membership, NONE, Seat};
use super::{Effects, Rules};
use crate::ids::{GroupName, Seq, UserName};

impl Rules {
    /// A user at home here is a member now. Tells whether any session of the group's members is here.
    pub(super) fn joined_here<E: Effects>(
        &mut self,
        group: &GroupName,
        user: &UserName,
        since: Seq,
        answer: Option<&Answer>,
        fx: &mut E,
    ) -> bool {
        self.loading.changed(user, group, Some(since));
        if self.config.memberships_stored && self.people.find(user).is_none() {
            return self.locals.find(group).is_some();
        }
        let slot = self.people.enter(user);
        if let Some(user) = self.people.users.at_mut(slot) {
            user.joining -= u16::from(answer.is_some() && user.joining > 0);
            let groups = &mut user.belongs.get_or_insert_default().groups;
            if !groups.iter().any(|membership| membership.group == *group) {
                groups.push(Membership { group: group.clone(), since });
            }
        }
        let mut at = self.people.user(slot).map_or(NONE, |user| user.first);
        while let Some((session, next)) =
            self.people.sessions.at(at).map(|(key, session)| (key, session.next))
        {
            self.locals.seat(&mut self.people, session, group, since);
            at = next;
        }
        if let Some(answer) = answer {
            self.deliver(answer, fx);
        }
        self.people.release(slot);
        self.locals.find(group).is_some()
    }

    /// A user at home here did not become a member.
    pub(super) fn not_joined_here<E: Effects>(&mut self, user: &UserName, answer: &Answer, fx: &mut E) {
        if let Some(slot) = self.people.find(user) {
            if let Some(user) = self.people.users.at_mut(slot) {
                user.joining -= u16::from(user.joining > 0);
            }
            self.people.release(slot);
        }
        self.deliver(answer, fx);
    }

    /// A user at home here is a member no longer.
    pub(super) fn left_here<E: Effects>(
        &mut self,
        group: &GroupName,
        user: &UserName,
        answer: Option<&Answer>,
        fx: &mut E,
    ) {
        self.loading.changed(user, group, None);
        if let Some(slot) = self.people.find(user) {
            self.people.wake(slot);
            if let Some(user) = self.people.users.at_mut(slot)
                && let Some(belongs) = &mut user.belongs
            {
                belongs.groups.retain(|membership| membership.group != *group);
                if belongs.is_empty() {
                    user.belongs = None;
                }
            }
            self.empty_seats(slot, group, fx);
            self.people.release(slot);
        }
        if let Some(answer) = answer {
            self.deliver(answer, fx);
        }
    }

    fn empty_seats<E: Effects>(&mut self, user: u32, group: &GroupName, fx: &mut E) {
        let Some(local) = self.locals.find(group) else { return };
        let mut at = self.people.user(user).map_or(NONE, |user| user.first);
        while let Some(session) = self.people.sessions.at_mut(at) {
            at = session.next;
            let Some(extras) = &mut session.extras else { continue };
            if let Some(n) = extras.seats.iter().position(|seat| seat.group == local) {
                let seat = extras.seats.swap_remove(n);
                self.stand_up(seat, fx);
            }
        }
    }

    /// A session leaves its place. With the last one, the group leaves this shard.
    pub(super) fn stand_up<E: Effects>(&mut self, seat: Seat, fx: &mut E) {
        if !self.locals.vacate(seat) {
            return;
        }
        if let Some(local) = self.locals.remove(seat.group) {
            self.fan.abandon(local.jobs, fx);
            self.tell_interest(&local.name, false, false, fx);
        }
    }

    /// Tells a group's home whether sessions of its members are here.
    pub(super) fn tell_interest<E: Effects>(
        &mut self,
        group: &GroupName,
        online: bool,
        answers_join: bool,
        fx: &mut E,
    ) {
        let home = self.config.router.home_of_group(group);
        if home == self.config.shard {
            self.interests.told(group, home, online, answers_join);
        } else {
            fx.mail(home, Mail::Interest { group: group.clone(), online, answers_join });
        }
    }
}
