//! The local half of groups: which sessions of this shard get a group's messages. Knows no rights and no history.

use super::job::Job;
use super::people::{Extras, People, Seat};
use crate::ids::{ConnId, GroupName, Seq};
use crate::slab::{Key, Slab};
use crate::wire::Encoding;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// The `since` of a place that nobody has: later than every message, so that the one comparison skips it.
pub(super) const VACANT: Seq = Seq(u64::MAX);

/// A session in a group's list: all that a send needs, so that fan-out reads nothing but the list.
#[derive(Debug)]
pub(super) struct Place {
    /// Messages up to here are not for it.
    pub(super) since: Seq,
    pub(super) conn: ConnId,
    pub(super) user: u32,
    pub(super) encoding: Encoding,
}

/// One group's sessions on this shard and what is under way to them.
#[derive(Debug)]
pub(super) struct LocalGroup {
    pub(super) name: GroupName,
    /// Places keep their index while taken: jobs hold cursors into them.
    pub(super) places: Vec<Place>,
    vacant: Vec<u32>,
    pub(super) taken: u32,
    /// In the order in which the home shard sent them.
    pub(super) jobs: VecDeque<Job>,
    /// A job that tells to `resync` is queued; messages behind it need not be.
    pub(super) lost: bool,
}

/// The groups with sessions or jobs on this shard.
#[derive(Debug, Default)]
pub(super) struct Locals {
    pub(super) groups: Slab<LocalGroup>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Locals {
    /// The group's key, if anything of it is here.
    pub(super) fn find(&self, name: &GroupName) -> Option<Key> {
        let hash = self.hasher.hash_one(name.as_str());
        let is = |&slot: &u32| self.groups.at(slot).is_some_and(|(_, group)| group.name == *name);
        let slot = *self.index.find(hash, is)?;
        self.groups.at(slot).map(|(key, _)| key)
    }

    fn enter(&mut self, name: &GroupName) -> Key {
        if let Some(key) = self.find(name) {
            return key;
        }
        let key = self.groups.insert(LocalGroup {
            name: name.clone(),
            places: Vec::new(),
            vacant: Vec::new(),
            taken: 0,
            jobs: VecDeque::new(),
            lost: false,
        });
        let (groups, hasher) = (&self.groups, &self.hasher);
        let rehash =
            |&slot: &u32| groups.at(slot).map_or(0, |(_, group)| hasher.hash_one(group.name.as_str()));
        self.index.insert_unique(hasher.hash_one(name.as_str()), key.index, rehash);
        key
    }

    /// Gives a session a place in a group; tells whether it is the first on this shard. One that has a place keeps it.
    pub(super) fn seat(&mut self, people: &mut People, session: Key, name: &GroupName, since: Seq) -> bool {
        let group = self.enter(name);
        let (Some(local), Some(session)) = (self.groups.get_mut(group), people.sessions.get_mut(session))
        else {
            return false;
        };
        let extras = session.extras.get_or_insert_with(|| Box::new(Extras::default()));
        if extras.seats.iter().any(|seat| seat.group == group) {
            return false;
        }
        let place = Place { since, conn: session.conn, user: session.user, encoding: session.encoding };
        let index = match local.vacant.pop() {
            Some(index) => {
                local.places[index as usize] = place;
                index
            }
            None => {
                local.places.push(place);
                local.places.len() as u32 - 1
            }
        };
        extras.seats.push(Seat { group, place: index });
        local.taken += 1;
        local.taken == 1
    }

    /// Takes a place back; tells whether it was the last one taken.
    pub(super) fn vacate(&mut self, seat: Seat) -> bool {
        let Some(local) = self.groups.get_mut(seat.group) else { return false };
        local.places[seat.place as usize].since = VACANT;
        local.vacant.push(seat.place);
        local.taken -= 1;
        local.taken == 0
    }

    /// Forgets a group.
    pub(super) fn remove(&mut self, key: Key) -> Option<LocalGroup> {
        let local = self.groups.remove(key)?;
        let hash = self.hasher.hash_one(local.name.as_str());
        if let Ok(entry) = self.index.find_entry(hash, |&slot| slot == key.index) {
            entry.remove();
        }
        Some(local)
    }

    /// All jobs of all groups.
    pub(super) fn jobs(&self) -> usize {
        self.groups.iter().map(|(_, local)| local.jobs.len()).sum()
    }

    /// What must hold of every group here.
    pub(super) fn invariants(&self) {
        assert_eq!(self.index.len(), self.groups.len(), "every group is indexed once");
        for (_, local) in self.groups.iter() {
            let taken = local.places.iter().filter(|place| place.since != VACANT).count();
            assert!(taken > 0, "{}: somebody is here", local.name);
            assert_eq!(taken, local.taken as usize, "{}: its places are counted", local.name);
            assert_eq!(
                taken + local.vacant.len(),
                local.places.len(),
                "{}: each place is taken or free",
                local.name
            );
        }
    }
}
