//! At a group's home: which shards have sessions of its members. Knows neither sessions nor members.

use crate::ids::{GroupName, ShardId};
use hashbrown::HashMap;

#[derive(Debug)]
struct Interest {
    shard: ShardId,
    /// What the shard said last.
    online: bool,
    /// `Joined` mails it has not answered yet: until then it may have a session that it has not told of.
    unanswered: u32,
}

/// The interest of all groups at home here; a group with none has no entry.
#[derive(Debug, Default)]
pub(super) struct Interests(HashMap<GroupName, Vec<Interest>>);

impl Interests {
    /// A `Joined` goes to a shard: it is to get what follows.
    pub(super) fn joined(&mut self, group: &GroupName, shard: ShardId) {
        let shards = self.0.entry_ref(group).or_default();
        match shards.iter_mut().find(|interest| interest.shard == shard) {
            Some(interest) => interest.unanswered += 1,
            None => shards.push(Interest { shard, online: false, unanswered: 1 }),
        }
    }

    /// A shard says whether it has sessions of the group's members.
    pub(super) fn told(&mut self, group: &GroupName, shard: ShardId, online: bool, answers_join: bool) {
        let shards = self.0.entry_ref(group).or_default();
        match shards.iter_mut().find(|interest| interest.shard == shard) {
            Some(interest) => {
                interest.online = online;
                interest.unanswered -= u32::from(answers_join && interest.unanswered > 0);
            }
            None => shards.push(Interest { shard, online, unanswered: 0 }),
        }
        shards.retain(|interest| interest.online || interest.unanswered > 0);
        if shards.is_empty() {
            self.0.remove(group);
        }
    }

    /// The shards that get what is said in a group, into `shards`.
    pub(super) fn list(&self, group: &GroupName, shards: &mut Vec<ShardId>) {
        if let Some(interested) = self.0.get(group) {
            shards.extend(interested.iter().map(|interest| interest.shard));
        }
    }

    /// How many groups have sessions anywhere.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interested(interests: &Interests, group: &GroupName) -> Vec<u16> {
        let mut shards = Vec::new();
        interests.list(group, &mut shards);
        shards.into_iter().map(|shard| shard.0).collect()
    }

    #[test]
    fn a_shard_that_goes_offline_while_a_join_is_on_its_way_stays_interested() {
        let (mut interests, group) = (Interests::default(), GroupName::new("g").unwrap());
        interests.told(&group, ShardId(1), true, false);
        interests.joined(&group, ShardId(1));
        interests.told(&group, ShardId(1), false, false);
        assert_eq!(interested(&interests, &group), [1]);
        interests.told(&group, ShardId(1), true, true);
        assert_eq!(interested(&interests, &group), [1]);
        interests.told(&group, ShardId(1), false, false);
        assert_eq!((interested(&interests, &group), interests.len()), (vec![], 0));
    }
}
