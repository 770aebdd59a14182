//! The messages remembered by their `id`, so that a repeated one is recognised: those of this process, and those loaded with their
//! conversations. Knows no conversation's state.

use super::ids_loaded::Loaded;
use crate::ids::{ConversationId, Millis, Seq};
use crate::log::{Durability, MessageRecord, Ticket};
use crate::view::{Ids, Known, Print, Printer, Wanted};
use hashbrown::HashTable;
use std::collections::VecDeque;

/// Entries of one chunk of the ring (number): it grows without moving any.
const CHUNK: usize = 1024;

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
pub(super) enum Found {
    Nothing,
    Same(Remembered),
    /// The same id with other content.
    Conflict,
}

/// All remembered messages of a shard, the oldest evicted first: what was loaded is older than what was said since.
#[derive(Debug)]
pub(super) struct IdWindow {
    printer: Printer,
    loaded: Loaded,
    table: HashTable<u32>,
    ring: VecDeque<Vec<Remembered>>,
    /// Entries before it in the first chunk are evicted.
    start: usize,
    /// The number of the first entry kept; numbers wrap.
    first: u32,
    len: usize,
    max_bytes: usize,
    window_ms: u64,
}

impl IdWindow {
    pub(super) fn new(printer: Printer, max_bytes: usize, window_ms: u64) -> Self {
        let (table, ring, loaded) = (HashTable::new(), VecDeque::new(), Loaded::default());
        Self { printer, loaded, table, ring, start: 0, first: 0, len: 0, max_bytes, window_ms }
    }

    pub(super) fn printer(&self) -> &Printer {
        &self.printer
    }

    pub(super) fn find(&self, conversation: &ConversationId, print: &Print, now: Millis) -> Found {
        let number = self.table.find(print.hash(), |&number| {
            self.entry(EntryId(number)).is_some_and(|entry| entry.print.same_id(print))
        });
        let said = number.and_then(|&number| self.entry(EntryId(number)).copied());
        match said.or_else(|| self.find_loaded(conversation, print, now)) {
            None => Found::Nothing,
            Some(entry) if entry.print == *print => Found::Same(entry),
            Some(_) => Found::Conflict,
        }
    }

    fn find_loaded(&self, conversation: &ConversationId, print: &Print, now: Millis) -> Option<Remembered> {
        let ids = self.loaded.of(conversation)?;
        let Known { print, seq, prev, time } =
            *ids.find(print).filter(|known| !self.is_old(known.time, now))?;
        Some(Remembered { print, seq, prev, time, state: State::Done(ids.durability()) })
    }

    fn is_old(&self, time: Millis, now: Millis) -> bool {
        time.0.saturating_add(self.window_ms) < now.0
    }

    /// Which messages of a conversation to load for their ids: of those up to a number, which an earlier process has given.
    pub(super) fn wanted(
        &self,
        conversation: &ConversationId,
        upto: Option<Seq>,
        now: Millis,
    ) -> Option<Wanted> {
        // What this process has said since is newer, and goes before.
        let most = (self.max_bytes / COST).saturating_sub(self.len);
        let since = Millis(now.0.saturating_sub(self.window_ms));
        let wanted = Wanted { printer: self.printer, upto, since, most };
        (most > 0 && self.loaded.of(conversation).is_none()).then_some(wanted)
    }

    /// Keeps what was loaded, as far as there is room.
    pub(super) fn keep(&mut self, conversation: &ConversationId, ids: Box<Ids>) {
        self.loaded.keep(conversation, ids);
        while self.bytes() > self.max_bytes && self.loaded.drop_first() {}
    }

    fn bytes(&self) -> usize {
        self.len * COST + self.loaded.bytes()
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
        let rehash = |&number: &u32| at(ring, start, first, number).map_or(0, |entry| entry.print.hash());
        self.table.insert_unique(print.hash(), number, rehash);
        EntryId(number)
    }

    /// Remembers a message that turned out to be stored, unless it is remembered or too old.
    pub(super) fn remember(&mut self, record: &MessageRecord, durability: Durability, now: Millis) {
        let Some(id) = &record.id else { return };
        if self.is_old(record.time, now) {
            return;
        }
        let MessageRecord { conversation, from, kind, bytes, .. } = record;
        let print = self.printer.print(conversation, from, id, *kind, bytes);
        if matches!(self.find(conversation, &print, now), Found::Nothing) {
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
            && let Ok(found) = self.table.find_entry(entry.print.hash(), |&number| number == id.0)
        {
            found.remove();
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.table.len() + self.loaded.len()
    }

    fn entry(&self, id: EntryId) -> Option<&Remembered> {
        at(&self.ring, self.start, self.first, id.0)
    }

    fn is_full(&self) -> bool {
        self.bytes() + COST > self.max_bytes
    }

    /// Makes room for one more.
    fn evict(&mut self, now: Millis) {
        while self.loaded.first_newest().is_some_and(|newest| self.is_old(newest, now)) || self.is_full() {
            if !self.loaded.drop_first() {
                break;
            }
        }
        while let Some(entry) = self.entry(EntryId(self.first)) {
            let old = self.is_old(entry.time, now) || self.is_full();
            match entry.state {
                State::Gone => {}
                State::Done(_) if old => {
                    let (hash, first) = (entry.print.hash(), self.first);
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
    use crate::ids::{CommandId, UserName};
    use crate::log::{Position, Record};
    use crate::view::{MemoryView, Recall, View};
    use crate::wire::{PayloadKind, Target};
    use siphasher::sip128::SipHasher13;
    use std::sync::Arc;

    fn window(entries: usize, ms: u64) -> IdWindow {
        IdWindow::new(Printer::new(SipHasher13::new_with_key(&[1; 16])), entries * COST, ms)
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
        ids.printer.print(&record.conversation, &record.from, id, record.kind, &record.bytes)
    }

    fn find(ids: &IdWindow, record: &MessageRecord) -> Found {
        ids.find(&record.conversation, &print(ids, record), record.time)
    }

    fn knows(ids: &IdWindow, record: &MessageRecord) -> bool {
        matches!(find(ids, record), Found::Same(found) if found.seq == record.seq)
    }

    #[test]
    fn the_same_id_with_other_content_conflicts() {
        let mut ids = window(10, 1000);
        let first = record("x", 1, 0);
        ids.remember(&first, Durability::Memory, Millis(0));
        let other = MessageRecord { bytes: b"2"[..].into(), ..first.clone() };
        assert!(knows(&ids, &first));
        assert!(matches!(find(&ids, &other), Found::Conflict));
        let elsewhere = MessageRecord { from: UserName::new("b").unwrap(), ..other };
        assert!(matches!(find(&ids, &elsewhere), Found::Nothing));
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

    /// The ids of messages 1 to `count`, as a view has them.
    fn loaded(ids: &IdWindow, count: u64, time: u64) -> (ConversationId, Box<Ids>) {
        let mut view = MemoryView::new(1 << 20);
        for n in 1..=count {
            let message = MessageRecord { prev: Seq(n - 1), ..record(&n.to_string(), n, time) };
            view.apply(Position(n), &Record::Message(Arc::new(message)));
        }
        let conversation = record("x", 1, 0).conversation;
        let wanted = ids.wanted(&conversation, None, Millis(time));
        let recall = Recall { from: None, ids: wanted };
        let ids = view.activate(&conversation, &recall).ids.unwrap();
        (conversation, ids)
    }

    #[test]
    fn what_was_loaded_is_known_until_its_room_is_needed_or_it_is_too_old() {
        let mut ids = window(3000, 1000);
        let (conversation, table) = loaded(&ids, 900, 100);
        ids.keep(&conversation, table);
        assert_eq!(ids.len(), 900);
        assert!(knows(&ids, &record("1", 1, 100)) && knows(&ids, &record("900", 900, 100)));
        let other = MessageRecord { bytes: b"2"[..].into(), ..record("900", 900, 100) };
        assert!(matches!(find(&ids, &other), Found::Conflict));
        assert!(!knows(&ids, &record("900", 900, 1101)), "too old");
        assert!(ids.wanted(&conversation, None, Millis(100)).is_none(), "it is here");
        for n in 0..3000 {
            ids.remember(&record(&format!("new {n}"), 1000 + n, 100), Durability::Memory, Millis(100));
            assert!(ids.bytes() <= ids.max_bytes);
        }
        assert_eq!(ids.len(), 3000, "what was said since goes before");
        assert!(!knows(&ids, &record("900", 900, 100)) && knows(&ids, &record("new 0", 1000, 100)));
        assert!(ids.wanted(&conversation, None, Millis(100)).is_none(), "there is no room");
    }

    #[test]
    fn a_table_too_old_is_dropped() {
        let mut ids = window(3000, 1000);
        let (conversation, table) = loaded(&ids, 9, 100);
        ids.keep(&conversation, table);
        ids.remember(&record("new", 1000, 1100), Durability::Memory, Millis(1100));
        assert_eq!(ids.len(), 10);
        ids.remember(&record("newer", 1001, 1101), Durability::Memory, Millis(1101));
        assert_eq!(ids.len(), 2);
    }
}
