//! What is trimmed or deleted is gone for good, whatever is asked for again, whatever fails around it and however often the server begins anew.

use super::*;
use crate::limits::SEQ_BLOCK;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What must be there of the one conversation.
#[derive(Clone, Default)]
struct Kept {
    messages: Vec<Arc<MessageRecord>>,
    head: u64,
    /// The highest number ever given.
    given: u64,
    first: u64,
}

impl Kept {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Message(message) => {
                (self.head, self.given) = (message.seq.0, message.seq.0);
                self.messages.push(Arc::clone(message));
            }
            Record::Trim { first, .. } => self.first = self.first.max(first.0),
            Record::Delete { first, .. } => {
                (self.first, self.head) = (self.first.max(first.0), 0);
                self.messages.clear();
            }
            other => panic!("{other:?}"),
        }
        self.messages.retain(|message| message.seq.0 >= self.first);
    }

    /// A message, or that some go: often such as went before.
    fn next(&self, random: &mut StdRng) -> Record {
        match random.random_range(0..10) {
            0..7 => Record::Message(message(self.given + random.random_range(1..4), self.head)),
            7..9 => trim(random.random_range(0..=self.given + 1)),
            _ => delete(self.head + 1),
        }
    }

    fn is_in(&self, held: &mut Held) {
        let page = held.page(&conversation());
        assert_eq!(page.messages, self.messages);
        let first = self.messages.first().map_or(Seq(0), |message| message.seq);
        assert_eq!(page.first, first);
        let activation = held.activation(&conversation());
        assert_eq!((activation.head, activation.first), (Seq(self.head), first));
        recalls(&activation, &self.messages);
    }
}

fn trim(first: u64) -> Record {
    Record::Trim { conversation: conversation(), first: Seq(first) }
}

fn delete(first: u64) -> Record {
    Record::Delete { conversation: conversation(), first: Seq(first) }
}

/// Each promise is held against a few random runs.
fn random(promise: impl Fn(Held, StdRng)) {
    for seed in 0..3 {
        println!("seed {seed}");
        all(|held| promise(held, StdRng::seed_from_u64(seed)));
    }
}

#[test]
fn what_went_never_comes_back() {
    random(|mut held, mut random| {
        let mut kept = Kept::default();
        for _ in 0..4 {
            for _ in 0..15 {
                let count = random.random_range(1..6);
                for _ in 0..count {
                    let record = kept.next(&mut random);
                    held.append(&record);
                    kept.apply(&record);
                }
                held.outcomes(count);
                kept.is_in(&mut held);
            }
            if held.store.is_some() {
                held = held.again().unwrap();
                kept.is_in(&mut held);
            }
        }
    });
}

#[test]
fn a_conversation_begins_no_lower_than_it_did_whatever_is_asked() {
    all(|mut held| {
        let mut kept = Kept::default();
        let messages: Vec<_> = (1..=5).map(|n| Record::Message(message(n, n - 1))).collect();
        // The second one to delete it finds no head any more.
        let rest = [trim(4), trim(2), delete(6), delete(1), trim(3)];
        for record in messages.iter().chain(&rest) {
            held.append(record);
            kept.apply(record);
            held.outcomes(1);
            kept.is_in(&mut held);
        }
        if let Some(mut held) = held.again() {
            kept.is_in(&mut held);
        }
    });
}

#[test]
fn nobody_is_in_a_deleted_group() {
    all(|mut held| {
        let garden = ConversationId::group(&GroupName::new("garden").unwrap());
        held.append(&member("anna", true, 0));
        held.append(&Record::Cursor {
            conversation: garden.clone(),
            user: user("anna"),
            received: Seq(5),
            read: Seq(4),
        });
        held.append(&Record::Delete { conversation: garden.clone(), first: Seq(1) });
        held.append(&member("bela", true, 7));
        held.outcomes(4);
        assert_eq!(held.activation(&garden).members, [(user("bela"), Seq(7))]);
        if let Some(mut held) = held.again() {
            assert_eq!(held.activation(&garden).members, [(user("bela"), Seq(7))]);
        }
    });
}

#[test]
fn what_goes_by_a_commit_that_is_unknown_went_as_a_whole_or_not_at_all() {
    random(|mut held, mut random| {
        let mut kept = Kept::default();
        let goes_on = random.random();
        for _ in 0..20 {
            let record = kept.next(&mut random);
            held.append(&record);
            kept.apply(&record);
        }
        held.outcomes(20);
        let at_os = held.activation(&conversation()).durability == Durability::Os;
        // At durability `os` nothing is synced that could fail.
        if at_os || !held.fails(Some(Fault::Sync)) {
            return;
        }
        let lost = if random.random() { trim(kept.given + 1) } else { delete(kept.head + 1) };
        held.append(&lost);
        let outcome = held.outcomes(1)[0];
        assert!(matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_)), "{outcome:?}");
        kept.is_in(&mut held);
        held.fails(None);
        if goes_on {
            while held.storage.append(PARTITION, trim(0)).is_err() {
                std::thread::yield_now();
            }
            place(&held.outcomes(1)[0]);
            kept.is_in(&mut held);
        }
        let mut held = held.again().unwrap();
        if held.page(&conversation()).messages.is_empty() {
            kept.apply(&lost);
        }
        let mut held = if random.random() { held.again().unwrap() } else { held };
        kept.is_in(&mut held);
        let next = Record::Message(message(kept.given + 1, kept.head));
        held.append(&next);
        kept.apply(&next);
        place(&held.outcomes(1)[0]);
        kept.is_in(&mut held);
    });
}

#[test]
fn numbers_of_what_was_deleted_are_not_given_again_by_the_next_server() {
    all(|held| {
        let Some((store, folder)) = held.store else { return };
        drop((held.storage, store));
        let mut held = Held::open(folder, Durability::Fsync);
        let reserved = |held: &Held| match &held.storage {
            Storage::Disk(disk) => disk.port.reserved().0,
            Storage::Memory(_) => unreachable!("it was opened from a folder"),
        };
        let mut above = 0;
        for _ in 0..2 {
            let begins = reserved(&held);
            assert!(begins >= above, "{begins} after {above}");
            // The highest that may be given without waiting for more.
            above = begins + SEQ_BLOCK / 2;
            held.append(&Record::Message(message(above, 0)));
            held.append(&delete(above + 1));
            held.outcomes(2);
            assert_eq!(
                held.activation(&conversation()).head,
                Seq(0),
                "nothing tells of it but what is reserved"
            );
            held = held.again().unwrap();
        }
    });
}
