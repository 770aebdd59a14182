//! The conversations that are active at their sequencer, and which go when there are too many. Knows no sessions.

use super::ask::Ask;
use super::group::Group;
use super::outcome::Unresolved;
use crate::clock::EPOCH_2020;
use crate::ids::{ConversationId, GroupName, Millis, Parties, PartitionId, SEQS_PER_MS, Seq, ShardId};
use crate::limits::{ACTIVATION_BYTES, ACTIVATION_QUEUE, EVICTION_SCAN};
use crate::route::Router;
use crate::slab::{Key, Slab};
use crate::view::Activation;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// What differs between private conversations and groups.
#[derive(Debug)]
pub(super) enum Kind {
    /// The homes of its two users.
    Private([ShardId; 2]),
    Group(Box<Group>),
}

/// A conversation that cannot go on yet: its commands wait.
#[derive(Debug, Default)]
pub(super) struct Stalled {
    /// The view was asked; before that, appends are waited for.
    pub(super) asked: bool,
    pub(super) waiting: VecDeque<Ask<'static>>,
    /// Appends with unknown outcome: the view will tell.
    pub(super) unresolved: Vec<Unresolved>,
}

/// One conversation at its only sequencer.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    pub(super) partition: PartitionId,
    pub(super) kind: Kind,
    /// The highest number ever given; invariant: committed <= tail <= assigned.
    pub(super) assigned: Seq,
    /// The last message appended: the next one's `prev`.
    pub(super) tail: Seq,
    /// The last message committed.
    pub(super) committed: Seq,
    /// Messages were dropped, so without a tail there may have been one.
    trimmed: bool,
    /// Used since the eviction's last look.
    touched: bool,
    pub(super) in_flight: u32,
    /// The lowest seq kept, 0 if there is none.
    pub(super) first: Seq,
    /// Where it is kept how it stands for users, if it is.
    pub(super) head: Option<Key>,
    /// How many commits there had been on this shard by its last one.
    commits: u64,
    pub(super) stalled: Option<Box<Stalled>>,
}

impl Conversation {
    /// The next message's number and the one before it.
    pub(super) fn next(&self) -> (Seq, Seq) {
        let seq = Seq(self.assigned.0 + 1);
        // A `prev` that nobody holds makes a client ask `history`, which tells what is kept.
        let prev = if self.tail.0 == 0 && self.trimmed { self.assigned } else { self.tail };
        (seq, prev)
    }

    /// Whether nothing was ever said in it, nor anyone in it.
    pub(super) fn is_new(&self) -> bool {
        self.tail.0 == 0 && !self.trimmed && self.group().is_none_or(|group| group.members.is_empty())
    }

    fn is_idle(&self) -> bool {
        self.stalled.is_none() && self.in_flight == 0
    }

    /// From now on, what is true is what the view says; asking it is up to the caller.
    pub(super) fn stall(&mut self) -> &mut Stalled {
        self.stalled.get_or_insert_default()
    }

    /// Goes on where the view says.
    pub(super) fn resume(&mut self, activation: &Activation, floor: Seq) {
        let Activation { head, first, trimmed, .. } = *activation;
        self.assigned = self.assigned.max(head).max(floor);
        (self.tail, self.committed, self.trimmed) = (head, head, trimmed);
        self.first = first;
    }

    pub(super) fn group_mut(&mut self) -> Option<&mut Group> {
        match &mut self.kind {
            Kind::Group(group) => Some(group),
            Kind::Private(_) => None,
        }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        match &self.kind {
            Kind::Group(group) => Some(group),
            Kind::Private(_) => None,
        }
    }
}

/// The active conversations of a shard.
#[derive(Debug)]
pub(super) struct Conversations {
    slab: Slab<Conversation>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    max: usize,
    /// Where the eviction looks next.
    hand: u32,
    /// No number up to here is given again, even when the view forgets a head and the clock goes back.
    floor: Seq,
    /// Numbers start from the clock: none are reserved.
    by_clock: bool,
    waiting_bytes: usize,
    /// Messages committed here.
    pub(super) commits: u64,
    /// The latest of those in a conversation that was evicted since.
    evicted: u64,
}

impl Conversations {
    /// With numbers above those reserved before, or from the clock.
    pub(super) fn new(max: usize, reserved: Option<Seq>) -> Self {
        Self {
            slab: Slab::default(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            max,
            hand: 0,
            floor: reserved.unwrap_or_default(),
            by_clock: reserved.is_none(),
            waiting_bytes: 0,
            commits: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn find(&self, id: &ConversationId) -> Option<u32> {
        let hash = self.hasher.hash_one(id.as_str());
        self.index.find(hash, |&slot| self.slab.at(slot).is_some_and(|(_, c)| c.id == *id)).copied()
    }

    #[inline]
    pub(super) fn at(&self, slot: u32) -> Option<&Conversation> {
        self.slab.at(slot).map(|(_, conversation)| conversation)
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut Conversation> {
        self.slab.at_mut(slot)
    }

    /// Whether commands can be handled now; marks the conversation as used.
    pub(super) fn is_active(&mut self, slot: u32) -> bool {
        self.slab.at_mut(slot).is_some_and(|conversation| {
            conversation.touched = true;
            conversation.stalled.is_none()
        })
    }

    /// Begins an activation; none if all conversations are busy.
    pub(super) fn begin(&mut self, id: &ConversationId, router: &Router) -> Option<u32> {
        if self.slab.len() >= self.max && !self.evict() {
            return None;
        }
        let home = |user: &str| router.owner(router.user_partition(user));
        let kind = match id.parties() {
            Parties::Private(a, b) => Kind::Private([home(a), home(b)]),
            Parties::Group(group) => Kind::Group(Box::new(Group::new(GroupName::new(group).ok()?))),
        };
        let stalled = Stalled { asked: true, ..Stalled::default() };
        let conversation = Conversation {
            id: id.clone(),
            partition: router.conversation_partition(id),
            kind,
            assigned: Seq(0),
            tail: Seq(0),
            committed: Seq(0),
            trimmed: false,
            touched: true,
            in_flight: 0,
            first: Seq(0),
            head: None,
            commits: 0,
            stalled: Some(Box::new(stalled)),
        };
        let slot = self.slab.insert(conversation).index;
        let (slab, hasher) = (&self.slab, &self.hasher);
        let rehash = |&slot: &u32| slab.at(slot).map_or(0, |(_, c)| hasher.hash_one(c.id.as_str()));
        self.index.insert_unique(hasher.hash_one(id.as_str()), slot, rehash);
        Some(slot)
    }

    /// What a conversation that goes on gives numbers above, besides its own.
    pub(super) fn floor(&self, now: Millis) -> Seq {
        let clock = if self.by_clock { now.0.saturating_sub(EPOCH_2020.0) * SEQS_PER_MS } else { 0 };
        self.floor.max(Seq(clock))
    }

    /// A message was committed, or found to be.
    pub(super) fn committed(&mut self, slot: u32, seq: Seq) -> Option<Key> {
        self.commits += 1;
        let at = self.slab.at_mut(slot)?;
        at.commits = self.commits;
        at.committed = at.committed.max(seq);
        if at.first == Seq(0) {
            at.first = seq;
        }
        at.head
    }

    /// Whether a conversation was evicted in which something was committed after so many commits.
    pub(super) fn evicted_since(&self, commits: u64) -> bool {
        self.evicted > commits
    }

    /// Whether one more command may wait.
    pub(super) fn may_wait(&self, slot: u32, ask: &Ask<'_>) -> bool {
        let stalled = self.at(slot).and_then(|conversation| conversation.stalled.as_ref());
        stalled.is_some_and(|stalled| stalled.waiting.len() < ACTIVATION_QUEUE)
            && self.waiting_bytes + ask.size() <= ACTIVATION_BYTES
    }

    /// Lets a command wait.
    pub(super) fn wait(&mut self, slot: u32, ask: Ask<'_>) {
        if let Some(stalled) = self.slab.at_mut(slot).and_then(|conversation| conversation.stalled.as_mut()) {
            self.waiting_bytes += ask.size();
            stalled.waiting.push_back(ask.into_owned());
        }
    }

    /// A command waits no longer.
    pub(super) fn waited(&mut self, ask: &Ask<'static>) {
        self.waiting_bytes -= ask.size();
    }

    /// Evicts an idle conversation: one not used lately if the scan meets one.
    fn evict(&mut self) -> bool {
        let mut fallback = None;
        for _ in 0..2 * EVICTION_SCAN {
            let slot = self.hand;
            self.hand = if slot + 1 < self.slab.high_water() { slot + 1 } else { 0 };
            let Some(conversation) = self.slab.at_mut(slot).filter(|conversation| conversation.is_idle())
            else {
                continue;
            };
            if !std::mem::take(&mut conversation.touched) {
                return self.remove(slot);
            }
            fallback.get_or_insert(slot);
        }
        fallback.is_some_and(|slot| self.remove(slot))
    }

    /// Forgets a conversation of which nothing could be read yet.
    pub(super) fn forget_unread(&mut self, slot: u32) {
        let unread = |c: &Conversation| {
            c.assigned == Seq(0) && c.stalled.as_ref().is_some_and(|stalled| stalled.unresolved.is_empty())
        };
        if self.at(slot).is_some_and(unread) {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: u32) -> bool {
        let Some((key, _)) = self.slab.at(slot) else { return false };
        let Some(conversation) = self.slab.remove(key) else { return false };
        self.floor = self.floor.max(conversation.assigned);
        self.evicted = self.evicted.max(conversation.commits);
        let hash = self.hasher.hash_one(conversation.id.as_str());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        true
    }

    /// All appends under way.
    pub(super) fn in_flight(&self) -> usize {
        self.slab.iter().map(|(_, conversation)| conversation.in_flight as usize).sum()
    }

    /// What must hold of every conversation.
    pub(super) fn invariants(&self) {
        assert_eq!(self.index.len(), self.slab.len(), "every conversation is indexed once");
        for (_, c) in self.slab.iter() {
            assert!(c.committed <= c.tail && c.tail <= c.assigned, "{}: committed <= tail <= assigned", c.id);
            assert!(c.assigned.0 < 1 << 53, "{}: numbers stay below 2^53", c.id);
        }
    }
}
