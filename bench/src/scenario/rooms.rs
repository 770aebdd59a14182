//! Who is in which group, by arithmetic in place of tables. Knows no socket and no message.
//!
//! The members' places of all groups stand in one row, group after group; the users take them in turn, over and over
//! until the row ends. So each user is in as many groups as the row is longer than the list of users, and a group's
//! members are neighbours.

/// Groups of equal size, and how many members of each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rooms {
    pub(crate) users: usize,
    pub(crate) groups: usize,
    pub(crate) members: usize,
    pub(crate) senders: usize,
}

/// A member's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: usize,
    /// Among the members of the group.
    pub(crate) index: usize,
    /// The user's how-manieth place this is.
    pub(crate) nth: usize,
}

impl Rooms {
    /// Whether there are enough users that nobody stands in a group twice.
    pub(crate) fn sound(&self) -> bool {
        (2..=self.users).contains(&self.members)
            && (1..=self.members).contains(&self.senders)
            && u32::try_from(self.groups * self.senders).is_ok()
    }

    /// The user at a place.
    pub(crate) fn user(&self, group: usize, index: usize) -> usize {
        (group * self.members + index) % self.users
    }

    /// Where a user stands in a group, if there.
    pub(crate) fn place(&self, group: usize, user: usize) -> Option<Place> {
        let index = (user + self.users - self.user(group, 0)) % self.users;
        let nth = (group * self.members + index) / self.users;
        (group < self.groups && index < self.members).then_some(Place { group, index, nth })
    }

    /// All places of a user.
    pub(crate) fn places(&self, user: usize) -> impl Iterator<Item = Place> + use<> {
        let Self { users, groups, members, .. } = *self;
        (user..groups * members).step_by(users).map(move |at| Place {
            group: at / members,
            index: at % members,
            nth: at / users,
        })
    }

    /// Places that a user has at most.
    pub(crate) fn places_max(&self) -> usize {
        (self.groups * self.members).div_ceil(self.users)
    }

    /// The number under which a group's sender writes: another one in each group.
    pub(crate) fn sender(&self, group: usize, index: usize) -> usize {
        group * self.senders + index
    }

    /// Group and member behind such a number.
    pub(crate) fn sent_by(&self, sender: usize) -> (usize, usize) {
        (sender / self.senders, sender % self.senders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_asking_agree() {
        for (users, groups, members) in [(10, 5, 4), (4, 3, 4), (6, 9, 2), (7, 3, 5)] {
            let rooms = Rooms { users, groups, members, senders: 2 };
            assert!(rooms.sound());
            let mut places = 0;
            for user in 0..users {
                for place in rooms.places(user) {
                    assert_eq!(rooms.place(place.group, user), Some(place), "{rooms:?}");
                    assert_eq!(rooms.user(place.group, place.index), user);
                    assert!(place.nth < rooms.places_max());
                    places += 1;
                }
                let there = (0..groups).filter(|&group| rooms.place(group, user).is_some()).count();
                assert_eq!(there, rooms.places(user).count(), "{rooms:?}");
            }
            assert_eq!(places, groups * members);
            assert_eq!(rooms.place(groups, 0), None);
        }
    }

    #[test]
    fn senders_have_one_number_each() {
        let rooms = Rooms { users: 10, groups: 5, members: 4, senders: 3 };
        for group in 0..5 {
            for index in 0..3 {
                assert_eq!(rooms.sent_by(rooms.sender(group, index)), (group, index));
            }
        }
        assert!(!Rooms { users: 3, ..rooms }.sound(), "somebody would be in a group twice");
        assert!(!Rooms { senders: 5, ..rooms }.sound());
    }
}
