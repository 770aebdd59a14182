//! What the rules may rely on, whatever log and view stand behind them: each promise is one function, held against all of them. A
//! replicated log will be held to the same.

mod keeping;

use super::*;
use crate::ids::{CommandId, ConversationId, GroupName, Millis, Seq, UserName};
use crate::limits::{MEMORY_LOG_RECORDS, PORT_RECORDS};
use crate::log::disk::faults::{Fault, fail};
use crate::log::{Durability, MessageRecord, Position};
use crate::store::{Config, Store, Wake, log_folder};
use crate::view::{Activation, Page, Printer, Range, Recall, Wanted};
use crate::wire::{PayloadKind, Target};
use siphasher::sip128::SipHasher13;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const PARTITION: PartitionId = PartitionId(3);

/// Rings whenever something came back.
#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn wait(&self) {
        *self.1.wait_while(self.0.lock().unwrap(), |rung| !*rung).unwrap() = false;
    }
}

/// One shard's storage, and what it stands on.
struct Held {
    storage: Storage,
    bell: Arc<Bell>,
    store: Option<(Store, TempDir)>,
}

impl Held {
    fn memory() -> Self {
        Self { storage: Storage::memory(64 << 20), bell: Arc::default(), store: None }
    }

    fn disk(durability: Durability) -> Self {
        Self::open(tempfile::tempdir().unwrap(), durability)
    }

    fn open(folder: TempDir, durability: Durability) -> Self {
        let config = Config {
            folder: folder.path().into(),
            durability,
            segment: 2 << 20,
            min_free: 0,
            cache: 1 << 20,
            watchdog: Duration::from_secs(2),
            retention: crate::store::Retention::default(),
            core: None,
            shares_cores: false,
        };
        let bell = Arc::<Bell>::default();
        let rings = Arc::clone(&bell);
        let wake: Wake = Arc::new(move || {
            *rings.0.lock().unwrap() = true;
            rings.1.notify_all();
        });
        let (store, mut ports, _) = Store::open(&config, vec![wake]).unwrap();
        Self { storage: Storage::disk(ports.remove(0)), bell, store: Some((store, folder)) }
    }

    /// The same, closed and opened again; none of what only lives in memory.
    fn again(self) -> Option<Self> {
        let (store, folder) = self.store?;
        drop(self.storage);
        drop(store);
        Some(Self::open(folder, Durability::Fsync))
    }

    /// Has its log fail, if it is one that can.
    fn fails(&self, fault: Option<Fault>) -> bool {
        let log = self.store.as_ref().map(|(_, folder)| log_folder(folder.path()));
        log.inspect(|log| fail(log, fault)).is_some()
    }

    fn append(&mut self, record: &Record) -> Ticket {
        self.storage.append(PARTITION, record.clone()).unwrap()
    }

    /// The next outcomes, this many.
    fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        self.storage.flush();
        let mut outcomes = Vec::new();
        loop {
            self.storage.outcomes(&mut outcomes);
            if outcomes.len() >= count {
                assert_eq!(outcomes.len(), count, "one for each append");
                return outcomes;
            }
            self.bell.wait();
        }
    }

    fn answer(&mut self, want: Want) -> Answer {
        self.storage.ask(want);
        loop {
            if let Some(answer) = self.storage.answers().pop() {
                return answer;
            }
            self.bell.wait();
        }
    }

    fn activation(&mut self, conversation: &ConversationId) -> Activation {
        let wanted = Wanted { printer: printer(), upto: None, since: Millis(0), most: 1000 };
        let recall = Recall { from: Some(Seq(1)), ids: Some(wanted) };
        match self.answer(Want::Activation(conversation.clone(), recall)) {
            Answer::Activation(other, activation) if other == *conversation => *activation,
            other => panic!("{other:?}"),
        }
    }

    fn page(&mut self, conversation: &ConversationId) -> Page {
        let range = Range { before: None, after: Some(Seq(0)), limit: 1000, bytes: 16 << 20 };
        match self.answer(Want::Page(7, conversation.clone(), range)) {
            Answer::Page(7, page) => page,
            other => panic!("{other:?}"),
        }
    }
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn conversation() -> ConversationId {
    ConversationId::private(&user("anna"), &user("bela"))
}

fn message(seq: u64, prev: u64) -> Arc<MessageRecord> {
    Arc::new(MessageRecord {
        conversation: conversation(),
        seq: Seq(seq),
        prev: Seq(prev),
        time: Millis(1000 + seq),
        from: user(if seq.is_multiple_of(2) { "anna" } else { "bela" }),
        target: Target::User(user(if seq.is_multiple_of(2) { "bela" } else { "anna" })),
        id: (!seq.is_multiple_of(3)).then(|| CommandId::new(&format!("id{seq}")).unwrap()),
        kind: [PayloadKind::Json, PayloadKind::Text, PayloadKind::Bytes][seq as usize % 3],
        bytes: (0..seq as usize * 7 % 900).map(|n| n as u8).collect(),
    })
}

fn printer() -> Printer {
    Printer::new(SipHasher13::new_with_key(&[3; 16]))
}

/// Each message is there, and known by its id, if it has one.
fn recalls(activation: &Activation, written: &[Arc<MessageRecord>]) {
    assert_eq!(activation.stored, written.iter().map(|message| message.seq).collect::<Vec<_>>());
    let with_id = written.iter().filter(|message| message.id.is_some());
    let ids = activation.ids.as_ref();
    assert_eq!(ids.map_or(0, |ids| ids.len()), with_id.clone().count());
    for message in with_id {
        let MessageRecord { conversation, from, id, kind, bytes, seq, prev, time, .. } = &**message;
        let print = printer().print(conversation, from, id.as_deref().unwrap(), *kind, bytes);
        let known = ids.and_then(|ids| ids.find(&print)).unwrap();
        assert_eq!((known.print, known.seq, known.prev, known.time), (print, *seq, *prev, *time));
    }
}

fn member(name: &str, joined: bool, seq: u64) -> Record {
    Record::Member { group: GroupName::new("garden").unwrap(), user: user(name), joined, seq: Seq(seq) }
}

fn place(outcome: &Outcome) -> (Ticket, Position) {
    match outcome {
        Outcome::Committed(ticket, position, _) => (*ticket, *position),
        other => panic!("{other:?}"),
    }
}

/// Holds a promise against each of them.
fn all(promise: impl Fn(Held)) {
    promise(Held::memory());
    promise(Held::disk(Durability::Os));
    promise(Held::disk(Durability::Fsync));
}

#[test]
fn each_append_has_one_outcome_in_the_order_of_appends_at_a_growing_position() {
    all(|mut held| {
        let mut last = Position(0);
        let mut seq = 0;
        for count in [1, 5, 40] {
            let records: Vec<_> =
                (seq + 1..=seq + count).map(|n| Record::Message(message(n, n - 1))).collect();
            seq += count;
            let tickets: Vec<_> = records.iter().map(|record| held.append(record)).collect();
            let outcomes = held.outcomes(count as usize);
            let told: Vec<_> = outcomes.iter().map(|outcome| place(outcome).0).collect();
            assert_eq!(told, tickets);
            for outcome in &outcomes {
                let (_, position) = place(outcome);
                assert!(position > last, "{position:?} after {last:?}");
                last = position;
            }
        }
    });
}

#[test]
fn what_was_committed_is_in_every_read_that_is_asked_for_then_as_it_was_written() {
    all(|mut held| {
        let mut written: Vec<Arc<MessageRecord>> = Vec::new();
        for seq in 1..60 {
            written.push(message(seq, seq - 1));
            held.append(&Record::Message(Arc::clone(&written[written.len() - 1])));
            held.outcomes(1);
            let activation = held.activation(&conversation());
            assert_eq!((activation.head, activation.first), (Seq(seq), Seq(1)));
            recalls(&activation, &written);
        }
        assert_eq!(held.page(&conversation()).messages, written);
        // And by the next server, where there is one.
        if let Some(mut held) = held.again() {
            assert_eq!(held.page(&conversation()).messages, written);
            recalls(&held.activation(&conversation()), &written);
        }
    });
}

#[test]
fn members_are_who_joined_last_and_did_not_leave() {
    all(|mut held| {
        let garden = ConversationId::group(&GroupName::new("garden").unwrap());
        let changes = [("anna", true, 0), ("bela", true, 4), ("anna", false, 5), ("anna", true, 9)];
        for (name, joined, seq) in changes {
            held.append(&member(name, joined, seq));
        }
        held.outcomes(changes.len());
        let expected = [(user("anna"), Seq(9)), (user("bela"), Seq(4))];
        assert_eq!(held.activation(&garden).members, expected);
        if let Some(mut held) = held.again() {
            assert_eq!(held.activation(&garden).members, expected);
        }
    });
}

#[test]
fn what_is_too_much_is_refused_and_taken_once_outcomes_were() {
    const { assert!(MEMORY_LOG_RECORDS == PORT_RECORDS) };
    all(|mut held| {
        let record = member("anna", true, 1);
        for _ in 0..PORT_RECORDS {
            held.append(&record);
        }
        assert_eq!(held.storage.append(PARTITION, record.clone()), Err(Refused::Full));
        held.outcomes(PORT_RECORDS);
        held.append(&record);
        held.outcomes(1);
    });
}

#[test]
fn nothing_is_committed_that_was_queued_behind_what_was_not() {
    for fault in [Fault::Write, Fault::Sync] {
        all(|mut held| {
            held.append(&Record::Message(message(1, 0)));
            held.outcomes(1);
            if !held.fails(Some(fault)) {
                return;
            }
            // At durability `os` nothing is synced that could fail.
            if fault == Fault::Sync && held.activation(&conversation()).durability == Durability::Os {
                held.fails(None);
                return;
            }
            held.append(&Record::Message(message(2, 1)));
            held.storage.flush();
            // It may be refused already.
            let queued = held.storage.append(PARTITION, Record::Message(message(3, 2)));
            let outcomes = held.outcomes(1 + usize::from(queued.is_ok()));
            let fails = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_));
            assert!(outcomes.iter().all(fails), "{outcomes:?}");
            // Until it is resolved, it is not there.
            assert_eq!(held.activation(&conversation()).head, Seq(1));
            held.fails(None);
            // Refused while it fails; then it goes on behind what is there.
            let next = Record::Message(message(4, 1));
            while held.storage.append(PARTITION, next.clone()).is_err() {
                std::thread::yield_now();
            }
            place(&held.outcomes(1)[0]);
            let expected = [message(1, 0), message(4, 1)];
            assert_eq!(held.page(&conversation()).messages, expected);
            let mut held = held.again().unwrap();
            assert_eq!(held.page(&conversation()).messages, expected);
        });
    }
}

#[test]
fn what_is_unknown_when_a_server_ends_is_there_for_the_next_or_not_but_whole() {
    all(|mut held| {
        if !held.fails(Some(Fault::Sync)) {
            return;
        }
        held.append(&Record::Message(message(1, 0)));
        held.append(&Record::Message(message(2, 1)));
        held.outcomes(2);
        held.fails(None);
        let mut held = held.again().unwrap();
        let found = held.page(&conversation()).messages;
        assert!(found.is_empty() || found == [message(1, 0), message(2, 1)], "{found:?}");
        let head = held.activation(&conversation()).head;
        held.append(&Record::Message(message(5, head.0)));
        place(&held.outcomes(1)[0]);
        assert_eq!(held.activation(&conversation()).head, Seq(5));
    });
}
