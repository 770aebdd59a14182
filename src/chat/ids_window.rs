//! The messages remembered by their `id`, so that a repeated one is recognised. Knows no conversation's state.

use crate::ids::{ConversationId, Millis, Seq, UserName};
use crate::log::{Durability, MessageRecord, Ticket};
use crate::wire::PayloadKind;
use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::VecDeque;
use std::hash::Hasher;

/// What stands between hashed names: no byte of UTF-8.
const SEPARATOR: u8 = 0xff;
/// Entries of one chunk of the ring (number): it grows without moving any.
const CHUNK: usize = 1024;

/// A message's fingerprints under a secret key: which one it is, and what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Print {
    key: [u64; 2],
    content: [u64; 2],
}

/// What became of a remembered message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Appended, outcome not known yet.
    Pending(Ticket),
    Done(Durability),
    /// Not stored: forgotten already, its place in the ring is freed in turn.
    Gone,
}

/// A message remembered by its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    print: Print,
    pub(super) seq: Seq,
    pub(super) prev: Seq,
    pub(super) time: Millis,
    pub(super) state: State,
}

/// What one costs (bytes): its entry, and its place in a table seven eighths full at most.
const COST: usize = size_of::<Remembered>() + 10;

/// Names an entry until it is evicted, which a pending one never is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EntryId(u32);

/// What a look-up found.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Nothing,
    Same(&'a Remembered),
    /// The same id with other content.
    Conflict,
}

/// All remembered messages of a shard, the oldest evicted first.
#[derive(Debug)]
pub(super) struct IdWindow {
    hasher: SipHasher13,
    table: HashTable<u32>,
    ring: VecDeque<Vec<Remembered>>,
    /// Entries before it in the first chunk are evicted.
    start: usize,
    /// The number of the first entry kept; numbers wrap.
    first: u32,
    len: usize,
    max: usize,
    window_ms: u64,
}

impl IdWindow {
    pub(super) fn new(hasher: SipHasher13, max_bytes: usize, window_ms: u64) -> Self {
        let max = max_bytes / COST;
        let (table, ring) = (HashTable::new(), VecDeque::new());
        Self { hasher, table, ring, start: 0, first: 0, len: 0, max, window_ms }
    }

    /// Fingerprints a message.
    pub(super) fn print(
        &self,
        conversation: &ConversationId,
        user: &UserName,
        id: &str,
        kind: PayloadKind,
        bytes: &[u8],
    ) -> Print {
        let mut key = self.hasher;
        for part in [conversation.as_str(), user.as_str(), id] {
            key.write(part.as_bytes());
            key.write_u8(SEPARATOR);
        }
        let mut content = self.hasher;
        content.write_u8(kind as u8);
        content.write(bytes);
        let (key, content) = (key.finish128(), content.finish128());
        Print { key: [key.h1, key.h2], content: [content.h1, content.h2] }
    }

    pub(super) fn find(&self, print: &Print) -> Found<'_> {
        let number = self.table.find(print.key[0], |&number| {
            self.entry(EntryId(number)).is_some_and(|entry| entry.print.key == print.key)
        });
        match number.and_then(|&number| self.entry(EntryId(number))) {
            None => Found::Nothing,
            Some(entry) if entry.print.content == print.content => Found::Same(entry),
            Some(_) => Found::Conflict,
        }
    }

    /// Remembers a message that [`IdWindow::find`] did not find.
    pub(super) fn insert(&mut self, print: Print, record: &MessageRecord, state: State) -> EntryId {
        self.evict(record.time);
        let entry = Remembered { print, seq: record.seq, prev: record.prev, time: record.time, state };
        match self.ring.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.ring.push_back(chunk);
            }
        }
        let number = self.first.wrapping_add(self.len as u32);
        self.len += 1;
        let (ring, start, first) = (&self.ring, self.start, self.first);
        let rehash = |&number: &u32| at(ring, start, first, number).map_or(0, |entry| entry.print.key[0]);
        self.table.insert_unique(print.key[0], number, rehash);
        EntryId(number)
    }

    /// Remembers a message read from the view, unless it is remembered or too old.
    pub(super) fn remember(&mut self, record: &MessageRecord, durability: Durability, now: Millis) {
        let Some(id) = &record.id else { return };
        if record.time.0.saturating_add(self.window_ms) < now.0 {
            return;
        }
        let print = self.print(&record.conversation, &record.from, id, record.kind, &record.bytes);
        if matches!(self.find(&print), Found::Nothing) {
            self.insert(print, record, State::Done(durability));
        }
    }

    /// The outcome of a pending one is known.
    pub(super) fn resolve(&mut self, id: EntryId, state: State) {
        let offset = id.0.wrapping_sub(self.first) as usize + self.start;
        let Some(entry) = self.ring.get_mut(offset / CHUNK).and_then(|chunk| chunk.get_mut(offset % CHUNK))
        else {
            return;
        };
        entry.state = state;
        if state == State::Gone
            && let Ok(found) = self.table.find_entry(entry.print.key[0], |&number| number == id.0)
        {
            found.remove();
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn entry(&self, id: EntryId) -> Option<&Remembered> {
        at(&self.ring, self.start, self.first, id.0)
    }

    /// Makes room for one more.
    fn evict(&mut self, now: Millis) {
        while let Some(entry) = self.entry(EntryId(self.first)) {
            let old = entry.time.0.saturating_add(self.window_ms) < now.0 || self.len >= self.max;
            match entry.state {
                State::Gone => {}
                State::Done(_) if old => {
                    let (hash, first) = (entry.print.key[0], self.first);
                    if let Ok(found) = self.table.find_entry(hash, |&number| number == first) {
                        found.remove();
                    }
                }
                _ => return,
            }
            self.first = self.first.wrapping_add(1);
            self.len -= 1;
            self.start += 1;
            if self.start == CHUNK {
                self.ring.pop_front();
                self.start = 0;
            }
        }
    }
}

fn at(ring: &VecDeque<Vec<Remembered>>, start: usize, first: u32, number: u32) -> Option<&Remembered> {
    let offset = number.wrapping_sub(first) as usize + start;
    ring.get(offset / CHUNK)?.get(offset % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CommandId;
    use crate::wire::Target;

    fn window(entries: usize, ms: u64) -> IdWindow {
        IdWindow::new(SipHasher13::new_with_key(&[1; 16]), entries * COST, ms)
    }

    fn record(id: &str, seq: u64, time: u64) -> MessageRecord {
        let (from, to) = (UserName::new("a").unwrap(), UserName::new("b").unwrap());
        MessageRecord {
            conversation: ConversationId::private(&from, &to),
            seq: Seq(seq),
            prev: Seq(0),
            time: Millis(time),
            from,
            target: Target::User(to),
            id: CommandId::new(id),
            kind: PayloadKind::Json,
            bytes: b"1"[..].into(),
        }
    }

    fn print(ids: &IdWindow, record: &MessageRecord) -> Print {
        let id = record.id.as_deref().unwrap();
        ids.print(&record.conversation, &record.from, id, record.kind, &record.bytes)
    }

    fn knows(ids: &IdWindow, record: &MessageRecord) -> bool {
        matches!(ids.find(&print(ids, record)), Found::Same(found) if found.seq == record.seq)
    }

    #[test]
    fn the_same_id_with_other_content_conflicts() {
        let mut ids = window(10, 1000);
        let first = record("x", 1, 0);
        ids.remember(&first, Durability::Memory, Millis(0));
        let other = MessageRecord { bytes: b"2"[..].into(), ..first.clone() };
        assert!(knows(&ids, &first));
        assert!(matches!(ids.find(&print(&ids, &other)), Found::Conflict));
        let elsewhere = MessageRecord { from: UserName::new("b").unwrap(), ..other };
        assert!(matches!(ids.find(&print(&ids, &elsewhere)), Found::Nothing));
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_age_but_never_a_pending_one() {
        let mut ids = window(3000, 1000);
        for n in 0..5000 {
            ids.remember(&record(&n.to_string(), n, 0), Durability::Memory, Millis(0));
        }
        assert_eq!(ids.len(), 3000);
        assert!(!knows(&ids, &record("1999", 1999, 0)) && knows(&ids, &record("2000", 2000, 0)));
        let waiting = record("pending", 1, 500);
        let print = print(&ids, &waiting);
        let entry = ids.insert(print, &waiting, State::Pending(Ticket(1)));
        ids.remember(&record("new", 1, 5000), Durability::Memory, Millis(5000));
        assert_eq!(ids.len(), 2, "all but the pending one were too old");
        ids.resolve(entry, State::Gone);
        assert!(!knows(&ids, &waiting));
        ids.remember(&record("newer", 1, 5000), Durability::Memory, Millis(5000));
        assert_eq!((ids.len(), ids.len), (2, 2));
        ids.remember(&record("ancient", 1, 100), Durability::Memory, Millis(5000));
        assert_eq!(ids.len(), 2);
    }
}
