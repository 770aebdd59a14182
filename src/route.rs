//! Where things live: name to partition, partition to shard. Knows nothing else.

use crate::ids::{ConversationId, PARTITIONS, Parties, PartitionId, ShardId, UserName};
use siphasher::sip::SipHasher13;

/// Maps names to the shards that own them; the same on every shard of a server.
#[derive(Clone, Debug)]
pub struct Router {
    hasher: SipHasher13,
    shards: u16,
}

impl Router {
    /// A router over `shards` cores. The key makes partitions unguessable, so that names cannot be chosen to load one.
    pub fn new(key: [u8; 16], shards: u16) -> Self {
        assert!(shards > 0, "a server has at least one shard");
        Self { hasher: SipHasher13::new_with_key(&key), shards }
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

    /// The home shard of a conversation: its only sequencer.
    pub fn home_of_conversation(&self, conversation: &ConversationId) -> ShardId {
        self.owner(self.conversation_partition(conversation))
    }
}
