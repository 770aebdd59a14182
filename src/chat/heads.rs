//! How conversations stand, and for whom: kept in memory so that a device that comes back costs no read. Knows no view and no log.
//!
//! An entry is made when a conversation was looked at for somebody, and follows every commit from then on; entries go when there are
//! too many, those not used lately first. Names are kept as keyed fingerprints: an entry is a quarter as large.

use crate::ids::{ConversationId, Seq, UserName};
use crate::limits::{EVICTION_SCAN, UNREAD_MAX};
use crate::slab::{Key, Slab};
use crate::view::{Cursor, Standing};
use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Users of a conversation that have room in its entry: both of a private one.
const FEW: usize = 2;
/// `behind` of a user whose unread messages have to be counted by a look at the view.
const UNCOUNTED: u64 = u64::MAX;

/// A user's fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Who(u64);

/// A user in one conversation.
#[derive(Clone, Copy, Debug)]
struct Seat {
    user: u64,
    cursor: Cursor,
    /// The conversation's count less what is unread.
    behind: u64,
    /// What is under way for it, a bit each.
    marks: u8,
}

/// Something is queued for a user's cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    Receipt = 1,
    Write = 2,
}

impl Head {
    fn floor(&self) -> Floor {
        Floor::of(self.first, self.head)
    }
}

#[derive(Debug)]
enum Seats {
    Few([Option<Seat>; FEW]),
    Many(HashTable<Seat>),
}

/// One conversation.
#[derive(Debug)]
struct Head {
    print: [u64; 2],
    head: Seq,
    first: Seq,
    /// Grows by one with each message; it begins where nobody has more unread.
    count: u64,
    members: u32,
    /// What keeps it from being evicted (number): cursors that are not written yet.
    pins: u32,
    touched: bool,
    seats: Seats,
}

/// What an entry costs besides its users (bytes): its slot, its place in the index.
const COST: usize = size_of::<Head>() + 16;

impl Seats {
    fn find(&self, user: u64) -> Option<&Seat> {
        match self {
            Self::Few(seats) => seats.iter().flatten().find(|seat| seat.user == user),
            Self::Many(seats) => seats.find(user, |seat| seat.user == user),
        }
    }

    fn find_mut(&mut self, user: u64) -> Option<&mut Seat> {
        match self {
            Self::Few(seats) => seats.iter_mut().flatten().find(|seat| seat.user == user),
            Self::Many(seats) => seats.find_mut(user, |seat| seat.user == user),
        }
    }

    fn enter(&mut self, seat: Seat) {
        if let Some(known) = self.find_mut(seat.user) {
            *known = seat;
            return;
        }
        if let Self::Few(seats) = self {
            if let Some(free) = seats.iter_mut().find(|seat| seat.is_none()) {
                *free = Some(seat);
                return;
            }
            let mut many = HashTable::new();
            for few in seats.iter().flatten() {
                many.insert_unique(few.user, *few, |seat| seat.user);
            }
            *self = Self::Many(many);
        }
        if let Self::Many(many) = self {
            many.insert_unique(seat.user, seat, |seat| seat.user);
        }
    }

    fn leave(&mut self, user: u64) {
        match self {
            Self::Few(seats) => {
                if let Some(seat) = seats.iter_mut().find(|seat| seat.is_some_and(|seat| seat.user == user)) {
                    *seat = None;
                }
            }
            Self::Many(seats) => {
                if let Ok(found) = seats.find_entry(user, |seat| seat.user == user) {
                    found.remove();
                }
            }
        }
    }

    fn each(&mut self, mut each: impl FnMut(&mut Seat)) {
        match self {
            Self::Few(seats) => seats.iter_mut().flatten().for_each(each),
            Self::Many(seats) => seats.iter_mut().for_each(&mut each),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Few(_) => 0,
            Self::Many(seats) => seats.capacity() * (size_of::<Seat>() + 2),
        }
    }
}

/// The entries of a shard, under a budget.
#[derive(Debug)]
pub(super) struct Heads {
    hasher: SipHasher13,
    slab: Slab<Head>,
    index: HashTable<u32>,
    bytes: usize,
    max_bytes: usize,
    /// Where the eviction looks next.
    hand: u32,
}

/// Where a conversation begins: the lowest `seq` it may keep. Of one that keeps nothing, whose `first` is 0, that is behind its head, so that
/// of two who know of it, one of them perhaps late, the higher is right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Floor(pub Seq);

impl Floor {
    pub(super) fn of(first: Seq, head: Seq) -> Self {
        Self(if first == Seq(0) { Seq(head.0 + 1) } else { first })
    }

    pub(super) fn first(self, head: Seq) -> Seq {
        if self.0 > head { Seq(0) } else { self.0 }
    }
}

impl Heads {
    pub(super) fn new(hasher: SipHasher13, max_bytes: usize) -> Self {
        Self { hasher, slab: Slab::default(), index: HashTable::new(), bytes: 0, max_bytes, hand: 0 }
    }

    fn print(&self, name: &str) -> [u64; 2] {
        let mut hasher = self.hasher;
        hasher.write(name.as_bytes());
        let print = hasher.finish128();
        [print.h1, print.h2]
    }

    /// A user, for the questions below.
    pub(super) fn who(&self, user: &UserName) -> Who {
        Who(self.print(user.as_str())[0])
    }

    /// A conversation's entry, which counts as used.
    pub(super) fn find(&mut self, conversation: &ConversationId) -> Option<Key> {
        let print = self.print(conversation.as_str());
        let is = |&slot: &u32| self.slab.at(slot).is_some_and(|(_, head)| head.print == print);
        let slot = *self.index.find(print[0], is)?;
        let (key, _) = self.slab.at(slot)?;
        self.slab.at_mut(slot)?.touched = true;
        Some(key)
    }

    /// What an entry says for a user; nothing that is not exact.
    pub(super) fn standing(&self, key: Key, who: Who) -> Option<Standing> {
        let head = self.slab.get(key)?;
        let seat = head.seats.find(who.0)?;
        let unread = head.count.checked_sub(seat.behind)?.min(u64::from(UNREAD_MAX)) as u32;
        let Head { head, first, members, .. } = *head;
        Some(Standing { head, first, cursor: seat.cursor, unread, members })
    }

    /// How far a user has got, as far as an entry knows.
    pub(super) fn cursor(&self, key: Key, who: Who) -> Option<Cursor> {
        Some(self.slab.get(key)?.seats.find(who.0)?.cursor)
    }

    /// Keeps what a look at the view found; what is `uncounted` says nothing of unread messages.
    pub(super) fn keep(
        &mut self,
        conversation: &ConversationId,
        who: Who,
        found: &Standing,
        uncounted: bool,
    ) -> Option<Key> {
        let key = match self.find(conversation) {
            Some(key) => key,
            None => self.enter(conversation, found)?,
        };
        let head = self.slab.get_mut(key)?;
        // It was trimmed since the view was asked.
        let (begins, then) = (head.floor(), Floor::of(found.first, found.head));
        let uncounted = uncounted || then < begins;
        let before = head.seats.cost();
        let known = head.seats.find(who.0);
        let cursor = known.map_or(found.cursor, |seat| seat.cursor.further(found.cursor));
        let behind = match head.count - u64::from(found.unread) {
            _ if cursor.read == head.head => head.count,
            behind if cursor.read == found.cursor.read && !uncounted => behind,
            // It has moved since the view was asked.
            _ => UNCOUNTED,
        };
        let marks = known.map_or(0, |seat| seat.marks);
        head.seats.enter(Seat { user: who.0, cursor, behind, marks });
        head.first = begins.max(then).first(head.head);
        self.bytes = self.bytes - before + head.seats.cost();
        Some(key)
    }

    fn enter(&mut self, conversation: &ConversationId, found: &Standing) -> Option<Key> {
        let mut looked = 0;
        while self.bytes + COST > self.max_bytes {
            looked += 1;
            // Where all are used, one of them goes.
            if looked > 2 * EVICTION_SCAN || !self.evict(looked > EVICTION_SCAN) {
                return None;
            }
        }
        let print = self.print(conversation.as_str());
        let key = self.slab.insert(Head {
            print,
            head: found.head,
            first: found.first,
            count: u64::from(UNREAD_MAX),
            members: found.members,
            pins: 0,
            touched: true,
            seats: Seats::Few([None; FEW]),
        });
        self.bytes += COST;
        let slab = &self.slab;
        let rehash = |&slot: &u32| slab.at(slot).map_or(0, |(_, head)| head.print[0]);
        self.index.insert_unique(print[0], key.index, rehash);
        Some(key)
    }

    /// Looks at one entry, and takes it out if it was not used since the last look, or at any rate; false without any.
    fn evict(&mut self, at_any_rate: bool) -> bool {
        let slot = self.hand;
        self.hand = if slot + 1 < self.slab.high_water() { slot + 1 } else { 0 };
        let Some(head) = self.slab.at_mut(slot) else { return !self.slab.is_empty() };
        if head.pins > 0 || std::mem::take(&mut head.touched) && !at_any_rate {
            return true;
        }
        self.bytes -= COST + head.seats.cost();
        let print = head.print[0];
        if let Ok(found) = self.index.find_entry(print, |&other| other == slot) {
            found.remove();
        }
        if let Some((key, _)) = self.slab.at(slot) {
            self.slab.remove(key);
        }
        true
    }

    /// A message was committed: its sender has read up to it.
    pub(super) fn committed(&mut self, key: Key, seq: Seq, from: Who) {
        let Some(head) = self.slab.get_mut(key).filter(|head| seq > head.head) else { return };
        head.head = seq;
        head.count += 1;
        if head.first == Seq(0) {
            head.first = seq;
        }
        let count = head.count;
        if let Some(seat) = head.seats.find_mut(from.0) {
            seat.cursor = Cursor { received: seq, read: seq };
            seat.behind = count;
        }
    }

    /// Messages below `first` are not kept any more: whose unread ones may have been among them is to be counted again.
    pub(super) fn trimmed(&mut self, key: Key, first: Seq) {
        let Some(head) = self.slab.get_mut(key) else { return };
        head.first = head.floor().max(Floor(first)).first(head.head);
        let count = head.count;
        head.seats.each(|seat| {
            if seat.behind < count && seat.cursor.read < first {
                seat.behind = UNCOUNTED;
            }
        });
    }

    /// The sequencer has learnt from the view how its conversation stands: what was not counted is not known.
    pub(super) fn resumed(&mut self, key: Key, at: Seq, first: Seq) {
        let Some(head) = self.slab.get_mut(key) else { return };
        // It may have been trimmed since the view was asked.
        head.first = head.floor().max(Floor::of(first, at)).first(at);
        if head.head != at {
            head.head = at;
            head.seats.each(|seat| seat.behind = UNCOUNTED);
        }
    }

    /// A user has got further; tells the cursor then, if it moved.
    pub(super) fn advance(&mut self, key: Key, who: Who, to: Cursor) -> Option<Cursor> {
        let head = self.slab.get_mut(key)?;
        let (at, count) = (head.head, head.count);
        let seat = head.seats.find_mut(who.0)?;
        let cursor = seat.cursor.further(to.clamped(at));
        if cursor == seat.cursor {
            return None;
        }
        if cursor.read == at {
            seat.behind = count;
        } else if cursor.read != seat.cursor.read {
            seat.behind = UNCOUNTED;
        }
        seat.cursor = cursor;
        Some(cursor)
    }

    /// Marks what is queued for a user's cursor; true if it was not before. Keeps the entry as long as something is.
    pub(super) fn mark(&mut self, key: Key, who: Who, mark: Mark) -> bool {
        let Some(head) = self.slab.get_mut(key) else { return false };
        let Some(seat) = head.seats.find_mut(who.0).filter(|seat| seat.marks & mark as u8 == 0) else {
            return false;
        };
        seat.marks |= mark as u8;
        head.pins += 1;
        true
    }

    /// What was queued is done now, or is no longer its own: the mark goes, the pin stays until [`Heads::unpin`].
    pub(super) fn unmark(&mut self, key: Key, who: Who, mark: Mark) {
        if let Some(seat) = self.slab.get_mut(key).and_then(|head| head.seats.find_mut(who.0)) {
            seat.marks &= !(mark as u8);
        }
    }

    /// One thing less keeps the entry.
    pub(super) fn unpin(&mut self, key: Key) {
        if let Some(head) = self.slab.get_mut(key) {
            head.pins -= 1;
        }
    }

    /// A group has so many members.
    pub(super) fn counts_members(&mut self, key: Key, members: u32) {
        if let Some(head) = self.slab.get_mut(key) {
            head.members = members;
        }
    }

    /// A user takes no part any more.
    pub(super) fn left(&mut self, key: Key, who: Who) {
        if let Some(head) = self.slab.get_mut(key) {
            head.seats.leave(who.0);
        }
    }

    /// The members an entry knows of, and its head.
    pub(super) fn size_and_head(&self, key: Key) -> Option<(u32, Seq)> {
        self.slab.get(key).map(|head| (head.members, head.head))
    }

    /// The lowest seq kept.
    pub(super) fn first(&self, key: Key) -> Option<Seq> {
        self.slab.get(key).map(|head| head.first)
    }

    /// What all entries cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What keeps entries.
    pub(super) fn pins(&self) -> usize {
        self.slab.iter().map(|(_, head)| head.pins as usize).sum()
    }

    /// What must hold of all entries.
    pub(super) fn invariants(&self) {
        assert_eq!(self.index.len(), self.slab.len(), "every head is indexed once");
        let cost = self.slab.iter().map(|(_, head)| COST + head.seats.cost()).sum::<usize>();
        assert_eq!(cost, self.bytes, "what heads cost is counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u32) -> UserName {
        UserName::new(&format!("user{n}")).unwrap()
    }

    fn conversation(n: u32) -> ConversationId {
        ConversationId::private(&user(n), &user(n + 1))
    }

    fn heads(max_bytes: usize) -> Heads {
        Heads::new(SipHasher13::new_with_key(&[1; 16]), max_bytes)
    }

    fn at(head: u64, read: u64, unread: u32) -> Standing {
        Standing { head: Seq(head), first: Seq(1), cursor: to(read, read), unread, members: 0 }
    }

    fn to(received: u64, read: u64) -> Cursor {
        Cursor { received: Seq(received), read: Seq(read) }
    }

    #[test]
    fn it_follows_commits_and_cursors() {
        let mut heads = heads(1 << 20);
        let (alice, bob) = (heads.who(&user(0)), heads.who(&user(1)));
        let key = heads.keep(&conversation(0), alice, &at(10, 7, 3), false).unwrap();
        heads.committed(key, Seq(12), bob);
        assert_eq!(heads.standing(key, alice), Some(at(12, 7, 4)));
        assert_eq!(heads.standing(key, bob), None);
        heads.keep(&conversation(0), bob, &at(12, 12, 0), false).unwrap();
        heads.committed(key, Seq(13), alice);
        assert_eq!(heads.standing(key, alice), Some(at(13, 13, 0)), "who sends has read");
        assert_eq!(heads.standing(key, bob), Some(at(13, 12, 1)));
        assert_eq!(heads.advance(key, bob, to(99, 0)), Some(to(13, 12)), "clamped to the head");
        assert_eq!(heads.advance(key, bob, to(12, 12)), None, "and never back");
        assert_eq!(heads.advance(key, bob, to(0, 99)), Some(to(13, 13)));
        assert_eq!(heads.standing(key, bob), Some(at(13, 13, 0)));
        heads.invariants();
    }

    #[test]
    fn what_is_not_counted_is_not_said() {
        let mut heads = heads(1 << 20);
        let alice = heads.who(&user(0));
        let key = heads.keep(&conversation(0), alice, &at(10, 0, 9), false).unwrap();
        assert_eq!(heads.advance(key, alice, to(5, 5)), Some(to(5, 5)));
        assert_eq!((heads.standing(key, alice), heads.cursor(key, alice)), (None, Some(to(5, 5))));
        heads.keep(&conversation(0), alice, &at(10, 5, 5), false).unwrap();
        assert_eq!(heads.standing(key, alice), Some(at(10, 5, 5)));
        heads.advance(key, alice, to(7, 7));
        heads.keep(&conversation(0), alice, &at(10, 5, 5), false).unwrap();
        assert_eq!(heads.cursor(key, alice), Some(to(7, 7)), "what the view knew was older");
        assert_eq!(heads.standing(key, alice), None);
        heads.keep(&conversation(0), alice, &at(10, 7, 3), false).unwrap();
        heads.resumed(key, Seq(11), Seq(2));
        assert_eq!(heads.standing(key, alice), None, "the view knew of one more");
    }

    #[test]
    fn what_was_trimmed_is_counted_again() {
        let mut heads = heads(1 << 20);
        let (alice, bob) = (heads.who(&user(0)), heads.who(&user(1)));
        let key = heads.keep(&conversation(0), alice, &at(10, 4, 6), false).unwrap();
        heads.keep(&conversation(0), bob, &at(10, 8, 2), false).unwrap();
        heads.trimmed(key, Seq(7));
        assert_eq!(heads.standing(key, alice), None, "two of the unread are gone");
        assert_eq!(heads.standing(key, bob), Some(Standing { first: Seq(7), ..at(10, 8, 2) }));
        heads.keep(&conversation(0), alice, &at(10, 4, 6), false).unwrap();
        assert_eq!((heads.standing(key, alice), heads.first(key)), (None, Some(Seq(7))), "an older look");
        let counted = Standing { first: Seq(7), ..at(10, 4, 4) };
        heads.keep(&conversation(0), alice, &counted, false).unwrap();
        assert_eq!(heads.standing(key, alice), Some(counted));
        heads.trimmed(key, Seq(11));
        assert_eq!(heads.first(key), Some(Seq(0)), "nothing is kept");
        // Whoever looked before that knows less.
        heads.trimmed(key, Seq(8));
        heads.keep(&conversation(0), alice, &counted, false).unwrap();
        assert_eq!((heads.standing(key, alice), heads.first(key)), (None, Some(Seq(0))));
        heads.resumed(key, Seq(10), Seq(7));
        assert_eq!(heads.first(key), Some(Seq(0)));
        // What comes then is kept, whatever was before.
        heads.committed(key, Seq(12), bob);
        let nothing = Standing { first: Seq(0), ..at(10, 10, 0) };
        heads.keep(&conversation(0), alice, &nothing, true).unwrap();
        assert_eq!(heads.first(key), Some(Seq(12)));
    }

    #[test]
    fn a_budget_holds_and_what_is_used_stays() {
        let mut heads = heads(100 * COST);
        let (used, who) = (conversation(7), heads.who(&user(7)));
        for n in 0..10_000 {
            heads.keep(&conversation(n), who, &at(1, 1, 0), false);
            assert!(heads.bytes() <= 100 * COST);
            assert!(n < 7 || heads.find(&used).is_some(), "{n}");
        }
        heads.invariants();
        let key = heads.find(&used).unwrap();
        assert!(heads.mark(key, who, Mark::Write) && !heads.mark(key, who, Mark::Write));
        for n in 20_000..30_000 {
            heads.keep(&conversation(n), who, &at(1, 1, 0), false);
        }
        assert!(heads.standing(key, who).is_some(), "what is not written yet is kept");
        heads.unmark(key, who, Mark::Write);
        heads.unpin(key);
        assert_eq!(heads.pins(), 0);
    }

    #[test]
    fn a_group_has_room_for_many() {
        let mut heads = heads(1 << 20);
        let all: Vec<Who> = (0..100).map(|n| heads.who(&user(n))).collect();
        let keys = all.iter().map(|who| heads.keep(&conversation(0), *who, &at(5, 5, 0), false).unwrap());
        let key = keys.last().unwrap();
        heads.committed(key, Seq(6), all[50]);
        for (n, who) in all.iter().enumerate() {
            let unread = u32::from(n != 50);
            assert_eq!(heads.standing(key, *who).map(|standing| standing.unread), Some(unread), "{n}");
        }
        heads.left(key, all[3]);
        assert!(heads.standing(key, all[3]).is_none() && heads.standing(key, all[4]).is_some());
        heads.invariants();
    }
}
