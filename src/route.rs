//! Where things live: name to partition, partition to shard. Knows nothing else.

use crate::ids::{ConversationId, GroupName, PARTITIONS, Parties, PartitionId, ShardId, UserName};
use siphasher::sip::SipHasher13;
use siphasher::sip128::SipHasher13 as SipHasher128;

/// Maps names to the shards that own them; the same on every shard of a server.
#[derive(Clone, Debug)]
pub struct Router {
    hasher: SipHasher13,
    fingerprints: SipHasher128,
    shards: u16,
}

impl Router {
    /// A router over `shards` cores. The key makes partitions unguessable, so that names cannot be chosen to load one.
    pub fn new(key: [u8; 16], shards: u16) -> Self {
        assert!(shards > 0, "a server has at least one shard");
        let fingerprints = SipHasher128::new_with_key(&key);
        Self { hasher: SipHasher13::new_with_key(&key), fingerprints, shards }
    }

    /// A keyed 128-bit hasher for fingerprints of content: nobody outside can make two contents look the same.
    pub fn fingerprints(&self) -> SipHasher128 {
        self.fingerprints
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// All shards.
    pub fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards).map(ShardId)
    }

    /// The shard that owns a partition.
    pub fn owner(&self, partition: PartitionId) -> ShardId {
        ShardId(u16::from(partition.0) % self.shards)
    }

    fn partition(&self, name: &str) -> PartitionId {
        let hash = self.hasher.hash(name.as_bytes());
        PartitionId((hash % u64::from(PARTITIONS)) as u8)
    }

    /// The partition of a user.
    pub fn user_partition(&self, user: &str) -> PartitionId {
        self.partition(user)
    }

    /// The partition of a conversation: a group's by its name, a private one's by the first of its two names.
    pub fn conversation_partition(&self, conversation: &ConversationId) -> PartitionId {
        match conversation.parties() {
            Parties::Private(first, _) => self.partition(first),
            Parties::Group(group) => self.partition(group),
        }
    }

    /// The home shard of a user: all of the user's sessions live there.
    pub fn home_of_user(&self, user: &UserName) -> ShardId {
        self.owner(self.user_partition(user.as_str()))
    }

    /// The home shard of a group: that of its conversation.
    pub fn home_of_group(&self, group: &GroupName) -> ShardId {
        self.owner(self.partition(group.as_str()))
    }

    /// The home shard of a conversation: its only sequencer.
    pub fn home_of_conversation(&self, conversation: &ConversationId) -> ShardId {
        self.owner(self.conversation_partition(conversation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u32) -> UserName {
        UserName::new(&format!("user{n}")).unwrap()
    }

    #[test]
    fn every_partition_has_one_owner_and_every_shard_its_share() {
        for shards in 1..=64 {
            let router = Router::new([7; 16], shards);
            let mut owned = vec![0; usize::from(shards)];
            (0..PARTITIONS).for_each(|p| owned[usize::from(router.owner(PartitionId(p)).0)] += 1);
            let (least, most) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            assert!(*least >= 1 && most - least <= 1, "{shards} shards: {owned:?}");
        }
    }

    #[test]
    fn partitions_do_not_depend_on_the_number_of_shards() {
        let (few, many) = (Router::new([1; 16], 2), Router::new([1; 16], 48));
        for n in 0..200 {
            let name = user(n);
            assert_eq!(few.user_partition(name.as_str()), many.user_partition(name.as_str()));
        }
    }

    #[test]
    fn the_key_decides_where_a_name_lives() {
        let (one, other) = (Router::new([1; 16], 64), Router::new([2; 16], 64));
        let moved = (0..200).filter(|&n| one.home_of_user(&user(n)) != other.home_of_user(&user(n))).count();
        assert!(moved > 150, "{moved}");
    }

    #[test]
    fn a_private_conversation_lives_with_the_first_of_its_names() {
        let router = Router::new([3; 16], 16);
        for n in 0..50 {
            let (a, b) = (user(n), user(n + 1));
            let conversation = ConversationId::private(&b, &a);
            assert_eq!(
                router.home_of_conversation(&conversation),
                router.home_of_user(if a < b { &a } else { &b })
            );
        }
    }
}
