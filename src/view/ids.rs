//! Messages known by their `id`: their fingerprints under a secret key, and a table of them, made where messages are read, so that nobody
//! else need enter them one by one. Knows no conversation's state and no budget.

use crate::ids::{ConversationId, Millis, Seq, UserName};
use crate::limits::ACTIVATION_IDS_BYTES;
use crate::log::{Durability, MessageRecord};
use crate::wire::PayloadKind;
use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt;
use std::hash::Hasher;

/// What stands between hashed names: no byte of UTF-8.
const SEPARATOR: u8 = 0xff;
/// Messages too old in a row after which no newer one is expected (number): a clock may have been wrong for a while.
const STRAYS: usize = 64;

/// A message's fingerprints: which one it is, and what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    key: [u64; 2],
    content: [u64; 2],
}

impl Print {
    /// Of which message it is, for a table.
    pub fn hash(&self) -> u64 {
        self.key[0]
    }

    /// Whether the other has the same id, in the same conversation, of the same user.
    pub fn same_id(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// Makes fingerprints under its key.
#[derive(Clone, Copy)]
pub struct Printer(SipHasher13);

impl Printer {
    /// With a keyed hasher.
    pub fn new(hasher: SipHasher13) -> Self {
        Self(hasher)
    }

    /// Fingerprints a message.
    pub fn print(
        &self,
        conversation: &ConversationId,
        user: &UserName,
        id: &str,
        kind: PayloadKind,
        bytes: &[u8],
    ) -> Print {
        let mut key = self.0;
        for part in [conversation.as_str(), user.as_str(), id] {
            key.write(part.as_bytes());
            key.write_u8(SEPARATOR);
        }
        let mut content = self.0;
        content.write_u8(kind as u8);
        content.write(bytes);
        let (key, content) = (key.finish128(), content.finish128());
        Print { key: [key.h1, key.h2], content: [content.h1, content.h2] }
    }

    fn print_of(&self, message: &MessageRecord) -> Option<Print> {
        let MessageRecord { conversation, from, id, kind, bytes, .. } = message;
        Some(self.print(conversation, from, id.as_deref()?, *kind, bytes))
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.write_str("Printer")
    }
}

/// What a sequencer wants to know of a conversation's messages, to go on with it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Recall {
    /// Which numbers from this one on are there: the outcome of their appends is unknown.
    pub from: Option<Seq>,
    /// Messages to be known by their ids.
    pub ids: Option<Wanted>,
}

/// Which messages are wanted by their ids: the newest ones.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Makes their fingerprints.
    pub printer: Printer,
    /// Only up to this one: what follows is known already.
    pub upto: Option<Seq>,
    /// Only those said since.
    pub since: Millis,
    /// Only so many are looked at.
    pub most: usize,
}

/// One message known by its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct Known {
    pub print: Print,
    pub seq: Seq,
    pub prev: Seq,
    pub time: Millis,
}

/// Messages of one conversation, known by their ids.
#[derive(Debug)]
pub struct Ids {
    table: HashTable<Known>,
    newest: Millis,
    durability: Durability,
}

impl Ids {
    /// The message with the id of this fingerprint.
    pub fn find(&self, print: &Print) -> Option<&Known> {
        self.table.find(print.hash(), |known| known.print.same_id(print))
    }

    /// All of them, in no order.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.table.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What they cost.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.table.allocation_size()
    }

    /// When the newest one was said.
    pub fn newest(&self) -> Millis {
        self.newest
    }

    /// What is proved of them.
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

/// Makes such a table of messages that it is shown, the newest first.
pub(super) struct Gathering<'a> {
    wanted: &'a Wanted,
    found: Vec<Known>,
    looked: usize,
    bytes: usize,
    strays: usize,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, found: Vec::new(), looked: 0, bytes: 0, strays: 0 }
    }

    pub(super) fn goes_on(&self) -> bool {
        self.looked < self.wanted.most && self.bytes < ACTIVATION_IDS_BYTES && self.strays < STRAYS
    }

    pub(super) fn see(&mut self, message: &MessageRecord) {
        self.looked += 1;
        self.bytes += message.bytes.len();
        if message.time < self.wanted.since {
            self.strays += 1;
            return;
        }
        self.strays = 0;
        let MessageRecord { seq, prev, time, .. } = *message;
        if let Some(print) = self.wanted.printer.print_of(message) {
            self.found.push(Known { print, seq, prev, time });
        }
    }

    /// How many it was shown.
    pub(super) fn looked(&self) -> usize {
        self.looked
    }

    /// The table, if there is anything to know.
    pub(super) fn end(self, durability: Durability) -> Option<Box<Ids>> {
        let newest = self.found.iter().map(|known| known.time).max()?;
        let mut table = HashTable::with_capacity(self.found.len());
        for known in self.found {
            // Of two under one id the newer one counts: the older was forgotten when it was taken.
            let same = |other: &Known| other.print.same_id(&known.print);
            if table.find(known.print.hash(), same).is_none() {
                table.insert_unique(known.print.hash(), known, |known| known.print.hash());
            }
        }
        Some(Box::new(Ids { table, newest, durability }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CommandId;
    use crate::wire::Target;

    fn message(seq: u64, id: Option<&str>, time: u64) -> MessageRecord {
        let (from, to) = (UserName::new("a").unwrap(), UserName::new("b").unwrap());
        MessageRecord {
            conversation: ConversationId::private(&from, &to),
            seq: Seq(seq),
            prev: Seq(seq - 1),
            time: Millis(time),
            from,
            target: Target::User(to),
            id: id.and_then(CommandId::new),
            kind: PayloadKind::Json,
            bytes: b"1"[..].into(),
        }
    }

    fn printer() -> Printer {
        Printer::new(SipHasher13::new_with_key(&[1; 16]))
    }

    fn wanted(since: u64, most: usize) -> Wanted {
        Wanted { printer: printer(), upto: None, since: Millis(since), most }
    }

    fn gather(wanted: &Wanted, newest_first: &[MessageRecord]) -> (usize, Option<Box<Ids>>) {
        let mut gathering = Gathering::new(wanted);
        for message in newest_first {
            if !gathering.goes_on() {
                break;
            }
            gathering.see(message);
        }
        (gathering.looked(), gathering.end(Durability::Os))
    }

    fn seq_of(ids: &Ids, id: &str) -> Option<u64> {
        ids.find(&printer().print_of(&message(9, Some(id), 0)).unwrap()).map(|known| known.seq.0)
    }

    #[test]
    fn what_was_said_since_is_known_by_its_id_as_far_as_the_number_reaches() {
        let said: Vec<_> =
            (1..=500).rev().map(|n| message(n, (n % 2 == 0).then_some(&*format!("m{n}")), n)).collect();
        let (looked, ids) = gather(&wanted(0, 400), &said);
        let ids = ids.unwrap();
        assert_eq!((looked, ids.len(), ids.newest()), (400, 200, Millis(500)));
        assert_eq!(
            (seq_of(&ids, "m102"), seq_of(&ids, "m100"), seq_of(&ids, "m103")),
            (Some(102), None, None)
        );
        let (looked, ids) = gather(&wanted(450, 400), &said);
        assert_eq!((looked, ids.unwrap().len()), (51 + STRAYS, 26));
        assert!(gather(&wanted(501, 400), &said).1.is_none());
    }

    #[test]
    fn large_messages_are_looked_at_only_as_far_as_their_bytes_are_bounded() {
        let large = MessageRecord { bytes: vec![b'x'; 1 << 20].into(), ..message(1, Some("m"), 1) };
        let wanted = wanted(0, 400);
        let mut gathering = Gathering::new(&wanted);
        while gathering.goes_on() {
            gathering.see(&large);
        }
        assert_eq!(gathering.looked(), ACTIVATION_IDS_BYTES >> 20);
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_hides_nothing_and_the_newest_of_an_id_counts() {
        let said = [message(4, Some("x"), 90), message(3, Some("y"), 1), message(2, Some("x"), 80)];
        let ids = gather(&wanted(50, 9), &said).1.unwrap();
        assert_eq!((ids.len(), seq_of(&ids, "x"), seq_of(&ids, "y")), (1, Some(4), None));
    }
}
