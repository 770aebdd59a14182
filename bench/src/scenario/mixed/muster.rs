//! Whether all members of all groups are there before anything counts. Knows no message and no socket.
//!
//! That a join was answered says that it took effect; in some dialects nothing answers it. Probes tell in all of them: the
//! first member of each group writes to it until every other one has heard that.
use super::super::rooms::{Place, Rooms};

/// Nanoseconds after which a probe is repeated that not everyone has; each time twice as long.
const PROBE_EVERY: u64 = 300_000_000;

/// The roll of one thread's groups.
#[derive(Debug)]
pub(super) struct Muster {
    rooms: Rooms,
    /// Members that have joined, over all groups.
    joined: usize,
    /// By group and member: whether a probe has come.
    heard: Vec<bool>,
    /// Members of each group that have not heard one.
    deaf: Vec<usize>,
    /// Groups with such members.
    incomplete: usize,
    probe_at: u64,
    probe_wait: u64,
}

impl Muster {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self {
            rooms,
            joined: 0,
            heard: vec![false; rooms.groups * rooms.members],
            deaf: vec![rooms.members - 1; rooms.groups],
            incomplete: rooms.groups,
            probe_at: 0,
            probe_wait: PROBE_EVERY,
        }
    }

    /// Somebody has joined one of the groups.
    pub(super) fn joined(&mut self) {
        self.joined += 1;
    }

    /// Somebody has heard a probe.
    pub(super) fn heard(&mut self, place: Place) {
        let at = place.group * self.rooms.members + place.index;
        // The first member is who asks.
        if place.index == 0 || std::mem::replace(&mut self.heard[at], true) {
            return;
        }
        self.deaf[place.group] -= 1;
        self.incomplete -= usize::from(self.deaf[place.group] == 0);
    }

    /// Whether all members of all groups have.
    pub(super) fn complete(&self) -> bool {
        self.incomplete == 0
    }

    /// Whether it is time for probes: everyone has joined, and those before have had theirs.
    pub(super) fn due(&mut self, now: u64) -> bool {
        if self.joined < self.heard.len() || self.complete() || now < self.probe_at {
            return false;
        }
        self.probe_at = now + self.probe_wait;
        self.probe_wait *= 2;
        true
    }

    /// The groups in which somebody has not heard one.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        self.deaf.iter().enumerate().filter(|(_, deaf)| **deaf > 0).map(|(group, _)| group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_complete_when_each_member_but_the_first_has_heard() {
        let rooms = Rooms { users: 6, groups: 2, members: 3, senders: 1 };
        let mut muster = Muster::new(rooms);
        assert!(!muster.due(1), "nobody has joined");
        (0..6).for_each(|_| muster.joined());
        assert!(muster.due(1) && !muster.due(2) && muster.due(1 + PROBE_EVERY));
        for (user, missing) in [(0, vec![0, 1]), (1, vec![0, 1]), (1, vec![0, 1]), (2, vec![1]), (4, vec![1])]
        {
            rooms.places(user).for_each(|place| muster.heard(place));
            assert_eq!(muster.missing().collect::<Vec<_>>(), missing, "after {user}");
        }
        assert!(!muster.complete());
        rooms.places(5).for_each(|place| muster.heard(place));
        assert!(muster.complete() && !muster.due(u64::MAX), "nothing is left to ask");
    }

    #[test]
    fn without_groups_there_is_nothing_to_wait_for() {
        assert!(Muster::new(Rooms { users: 6, groups: 0, members: 2, senders: 2 }).complete());
    }
}
