//! Messages packed one behind the other in segments: writing one is a copy, forgetting the oldest frees a whole segment.
//! Knows no index and no conversation's tail.

use crate::ids::{CommandId, ConversationId, GroupName, Millis, Seq, UserName};
use crate::log::MessageRecord;
use crate::slab::Key;
use crate::wire::{Payload, PayloadKind, Target, size};
use std::collections::VecDeque;

/// A segment's bytes at most, besides one that holds a single larger message.
const SEGMENT_MAX: usize = 1 << 20;
/// A budget is cut into at least this many segments, so that forgetting goes in small steps.
const SEGMENTS_MIN: usize = 8;
/// The numbers in front of a packed message (bytes): lengths, flags, owner, seq, prev, time.
const HEAD: usize = 44;

/// Where a message is packed: the segment's number above, the offset in it below. One word, since a conversation's index
/// is a queue of these and its end is seldom in the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u64);

impl Place {
    const OFFSET_BITS: u32 = 31;

    fn new(segment: u64, offset: usize) -> Self {
        Self(segment << Self::OFFSET_BITS | offset as u64)
    }

    fn segment(self) -> u64 {
        self.0 >> Self::OFFSET_BITS
    }

    fn offset(self) -> usize {
        (self.0 & ((1 << Self::OFFSET_BITS) - 1)) as usize
    }
}

/// The segments, oldest first.
#[derive(Debug)]
pub(super) struct Heap {
    segments: VecDeque<Vec<u8>>,
    /// The number of the oldest one.
    first: u64,
    /// An emptied one, whose memory the next reuses.
    spare: Option<Vec<u8>>,
    segment_size: usize,
    bytes: usize,
}

impl Heap {
    /// For a budget of `max_bytes`, which its owner keeps to.
    pub(super) fn new(max_bytes: usize) -> Self {
        let segment_size = (max_bytes / SEGMENTS_MIN).min(SEGMENT_MAX);
        Self { segments: VecDeque::new(), first: 0, spare: None, segment_size, bytes: 0 }
    }

    /// Bytes packed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packs a message of the tail `owner`.
    pub(super) fn push(&mut self, owner: Key, message: &MessageRecord) -> Place {
        let size = packed_size(message);
        if self.segments.back().is_none_or(|last| last.len() + size > last.capacity()) {
            self.open_segment(size);
        }
        let segment = self.first + self.segments.len() as u64 - 1;
        let Some(last) = self.segments.back_mut() else { unreachable!("one was opened") };
        let place = Place::new(segment, last.len());
        pack(last, size, owner, message);
        self.bytes += size;
        place
    }

    fn open_segment(&mut self, size: usize) {
        let fits = |spare: &Vec<u8>| spare.capacity() >= size;
        let segment = self.spare.take().filter(fits);
        self.segments.push_back(segment.unwrap_or_else(|| Vec::with_capacity(self.segment_size.max(size))));
    }

    /// A message's number.
    pub(super) fn seq(&self, place: Place) -> Seq {
        self.packed(place).and_then(|packed| packed.long(20)).map_or(Seq(0), Seq)
    }

    /// The number of the message before it in its conversation.
    pub(super) fn prev(&self, place: Place) -> Seq {
        self.packed(place).and_then(|packed| packed.long(28)).map_or(Seq(0), Seq)
    }

    /// What a message takes at most in any encoding (bytes).
    pub(super) fn encoded_max(&self, place: Place) -> usize {
        self.packed(place).and_then(|packed| packed.encoded_max()).unwrap_or(0)
    }

    /// Who sent a message.
    pub(super) fn from(&self, place: Place) -> &str {
        self.packed(place).and_then(|packed| packed.from()).unwrap_or_default()
    }

    /// Unpacks a message of `conversation`.
    pub(super) fn get(&self, conversation: &ConversationId, place: Place) -> Option<MessageRecord> {
        self.packed(place)?.unpack(conversation)
    }

    fn packed(&self, place: Place) -> Option<Packed<'_>> {
        let segment = self.segments.get(usize::try_from(place.segment().checked_sub(self.first)?).ok()?)?;
        Packed::read(segment.get(place.offset()..)?)
    }

    /// Forgets the oldest segment and names the owner of each message in it, oldest first.
    pub(super) fn drop_oldest(&mut self, mut each: impl FnMut(Key)) -> bool {
        let Some(mut segment) = self.segments.pop_front() else { return false };
        self.first += 1;
        self.bytes -= segment.len();
        let mut rest = segment.as_slice();
        while let Some(packed) = Packed::read(rest) {
            each(packed.owner);
            rest = &rest[packed.size..];
        }
        if segment.capacity() <= self.segment_size {
            segment.clear();
            self.spare = Some(segment);
        }
        true
    }
}

fn target(message: &MessageRecord) -> (u8, &str) {
    match &message.target {
        Target::User(user) => (0, user.as_str()),
        Target::Group(group) => (1, group.as_str()),
        // Never stored.
        Target::Everyone => (2, ""),
    }
}

fn packed_size(message: &MessageRecord) -> usize {
    let names = message.from.as_str().len() + target(message).1.len();
    HEAD + names + message.id.as_ref().map_or(0, |id| id.len()) + message.bytes.len()
}

fn pack(out: &mut Vec<u8>, size: usize, owner: Key, message: &MessageRecord) {
    let (target_kind, target) = target(message);
    let kind = match message.kind {
        PayloadKind::Json => 0,
        PayloadKind::Text => 1,
        PayloadKind::Bytes => 2,
    };
    // Names and ids have at most 64 bytes; an id is never empty, so 0 is none.
    let (from, id) = (message.from.as_str(), message.id.as_deref().unwrap_or(""));
    let mut head = [0; HEAD];
    head[0..4].copy_from_slice(&(size as u32).to_le_bytes());
    head[4..9].copy_from_slice(&[kind, target_kind, from.len() as u8, target.len() as u8, id.len() as u8]);
    head[12..16].copy_from_slice(&owner.index.to_le_bytes());
    head[16..20].copy_from_slice(&owner.generation.to_le_bytes());
    head[20..28].copy_from_slice(&message.seq.0.to_le_bytes());
    head[28..36].copy_from_slice(&message.prev.0.to_le_bytes());
    head[36..44].copy_from_slice(&message.time.0.to_le_bytes());
    for part in [&head, from.as_bytes(), target.as_bytes(), id.as_bytes(), &message.bytes] {
        out.extend_from_slice(part);
    }
}

/// A packed message's head, read.
struct Packed<'a> {
    head: &'a [u8; HEAD],
    tail: &'a [u8],
    size: usize,
    owner: Key,
}

impl<'a> Packed<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let size = word(0) as usize;
        let owner = Key { index: word(12), generation: word(16) };
        Some(Self { head, tail: rest.get(..size - HEAD)?, size, owner })
    }

    fn long(&self, at: usize) -> Option<u64> {
        self.head[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn kind(&self) -> PayloadKind {
        match self.head[4] {
            0 => PayloadKind::Json,
            1 => PayloadKind::Text,
            _ => PayloadKind::Bytes,
        }
    }

    fn from(&self) -> Option<&'a str> {
        str::from_utf8(self.tail.get(..usize::from(self.head[6]))?).ok()
    }

    fn encoded_max(&self) -> Option<usize> {
        let [from, target, id] = *self.head[6..].first_chunk()?;
        let (names, rest) = self.tail.split_at_checked(usize::from(from) + usize::from(target))?;
        let (id, bytes) = rest.split_at_checked(usize::from(id))?;
        Some(size::message_max(names, id, Payload { kind: self.kind(), bytes }))
    }

    fn unpack(&self, conversation: &ConversationId) -> Option<MessageRecord> {
        let [target_kind, from, target, id] = *self.head[5..].first_chunk()?;
        let (from, rest) = self.tail.split_at_checked(usize::from(from))?;
        let (target, rest) = rest.split_at_checked(usize::from(target))?;
        let (id, content) = rest.split_at_checked(usize::from(id))?;
        let [from, target, id] = [from, target, id].map(|text| str::from_utf8(text).unwrap_or_default());
        Some(MessageRecord {
            conversation: conversation.clone(),
            seq: Seq(self.long(20)?),
            prev: Seq(self.long(28)?),
            time: Millis(self.long(36)?),
            from: UserName::new(from).ok()?,
            target: match target_kind {
                0 => Target::User(UserName::new(target).ok()?),
                _ => Target::Group(GroupName::new(target).ok()?),
            },
            id: CommandId::new(id),
            kind: self.kind(),
            bytes: content.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Key = Key { index: 7, generation: 3 };

    fn message(target: Target, id: Option<&str>, kind: PayloadKind, bytes: &[u8]) -> MessageRecord {
        let from = UserName::new("alice").unwrap();
        let conversation = match &target {
            Target::User(to) => ConversationId::private(&from, to),
            Target::Group(group) => ConversationId::group(group),
            Target::Everyone => unreachable!("never stored"),
        };
        let (seq, prev, time) = (Seq((1 << 53) - 1), Seq(5), Millis(99));
        let id = id.and_then(CommandId::new);
        MessageRecord { conversation, seq, prev, time, from, target, id, kind, bytes: bytes.into() }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut heap = Heap::new(1 << 20);
        let user = Target::User(UserName::new("böb").unwrap());
        let group = Target::Group(GroupName::new(&"g".repeat(64)).unwrap());
        let all = [
            message(user.clone(), None, PayloadKind::Json, b"null"),
            message(user, Some(&"i".repeat(64)), PayloadKind::Bytes, &[0, 255]),
            message(group, Some("x"), PayloadKind::Text, &[b'y'; 300_000]),
        ];
        let places: Vec<_> = all.iter().map(|m| heap.push(OWNER, m)).collect();
        for (message, place) in all.iter().zip(places) {
            assert_eq!(heap.get(&message.conversation, place).as_ref(), Some(message));
            assert!(heap.encoded_max(place) > message.bytes.len());
        }
        assert_eq!(heap.bytes(), all.iter().map(packed_size).sum::<usize>());
    }

    #[test]
    fn a_dropped_segment_names_its_owners_and_is_used_again() {
        let mut heap = Heap::new(8 * 1024);
        let message =
            message(Target::User(UserName::new("b").unwrap()), None, PayloadKind::Json, &[b'1'; 200]);
        let first = heap.push(OWNER, &message);
        let mut packed = 1;
        while heap.segments.len() < 2 {
            heap.push(OWNER, &message);
            packed += 1;
        }
        let mut named = 0;
        assert!(heap.drop_oldest(|owner| named += usize::from(owner == OWNER)));
        assert_eq!((named, heap.bytes()), (packed - 1, packed_size(&message)));
        assert!(heap.get(&message.conversation, first).is_none() && heap.spare.is_some());
    }
}
