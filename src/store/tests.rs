//! A store opened, used from several shards, closed and opened again.

use super::*;
use crate::ids::{ConversationId, Millis, PartitionId, Seq, UserName};
use crate::log::{MessageRecord, Outcome, Record};
use crate::view::Range;
use crate::wire::{PayloadKind, Target};
use std::sync::Condvar;
use std::sync::Mutex;

/// Rings whenever a shard is woken.
#[derive(Default)]
struct Bell(Mutex<u64>, Condvar);

impl Bell {
    fn wait(&self, heard: &mut u64) {
        let rung = self.1.wait_while(self.0.lock().unwrap(), |rung| *rung == *heard).unwrap();
        *heard = *rung;
    }
}

pub(super) struct Shard {
    pub(super) port: Port,
    bell: Arc<Bell>,
    heard: u64,
}

impl Shard {
    pub(super) fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.port.flush();
        loop {
            self.port.poll(&mut outcomes);
            if outcomes.len() >= count {
                return outcomes;
            }
            self.bell.wait(&mut self.heard);
        }
    }

    pub(super) fn page(&mut self, conversation: &ConversationId) -> Vec<u64> {
        let range = Range { before: None, after: Some(Seq(0)), limit: 1000, bytes: 16 << 20 };
        self.port.read(Want::Page(5, conversation.clone(), range)).unwrap();
        let mut answers = Vec::new();
        loop {
            self.port.answers(&mut answers);
            match answers.pop() {
                Some(Answer::Page(5, page)) => return page.messages.iter().map(|m| m.seq.0).collect(),
                Some(other) => panic!("{other:?}"),
                None => self.bell.wait(&mut self.heard),
            }
        }
    }
}

pub(super) fn config(folder: &Path) -> Config {
    let durability = Durability::Fsync;
    Config {
        folder: folder.into(),
        durability,
        segment: 2 << 20,
        min_free: 0,
        cache: 1 << 20,
        watchdog: Duration::from_secs(2),
        retention: Retention::default(),
        core: None,
        shares_cores: true,
    }
}

pub(super) fn open(folder: &Path, shards: usize) -> (Store, Vec<Shard>, Report) {
    opened(&config(folder), shards)
}

pub(super) fn opened(config: &Config, shards: usize) -> (Store, Vec<Shard>, Report) {
    let bells: Vec<Arc<Bell>> = (0..shards).map(|_| Arc::default()).collect();
    let wakes = bells.iter().map(|bell| {
        let bell = Arc::clone(bell);
        Arc::new(move || {
            *bell.0.lock().unwrap() += 1;
            bell.1.notify_all();
        }) as Wake
    });
    let (store, ports, report) = Store::open(config, wakes.collect()).unwrap();
    let shards = ports.into_iter().zip(bells).map(|(port, bell)| Shard { port, bell, heard: 0 });
    (store, shards.collect(), report)
}

pub(super) fn names(n: usize) -> (UserName, UserName, ConversationId) {
    let (from, to) = (UserName::new("a").unwrap(), UserName::new(&format!("b{n}")).unwrap());
    let conversation = ConversationId::private(&from, &to);
    (from, to, conversation)
}

pub(super) fn message(n: usize, seq: u64) -> Record {
    let (from, to, conversation) = names(n);
    Record::Message(Arc::new(MessageRecord {
        conversation,
        seq: Seq(seq),
        prev: Seq(seq - 1),
        time: Millis(seq),
        from,
        target: Target::User(to),
        id: None,
        kind: PayloadKind::Text,
        bytes: vec![b'x'; 2000].into(),
    }))
}

#[test]
fn what_was_committed_is_read_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut seq = 0;
    for round in 0..3 {
        let (store, mut shards, report) = open(folder.path(), 2 + round);
        assert_eq!((report.cut, report.replayed, report.head), (None, 0, Position(seq * 2)));
        for (n, shard) in shards.iter_mut().enumerate().take(2) {
            assert_eq!(shard.page(&names(n).2), (1..=seq).collect::<Vec<_>>());
            // More than a segment in all.
            for new in seq + 1..=seq + 300 {
                shard.port.append(PartitionId(n as u8), &message(n, new)).unwrap();
                if new % 7 == 0 {
                    shard.port.flush();
                }
            }
            let outcomes = shard.outcomes(300);
            assert!(outcomes.iter().all(|o| matches!(o, Outcome::Committed(.., Durability::Fsync))));
            assert_eq!(shard.page(&names(n).2).len() as u64, seq + 300);
        }
        seq += 300;
        drop(shards);
        drop(store);
    }
}

#[test]
fn a_folder_is_held_by_one_process_and_of_one_version() {
    let folder = tempfile::tempdir().unwrap();
    let (store, shards, _) = open(folder.path(), 1);
    let busy = Store::open(&config(folder.path()), Vec::new()).err().unwrap().to_string();
    assert!(busy.contains(&format!("pid {}", std::process::id())), "{busy}");
    drop(shards);
    drop(store);
    let file = folder.path().join("STORE");
    let newer = std::fs::read_to_string(&file).unwrap().replace("version = 1", "version = 2");
    std::fs::write(&file, newer).unwrap();
    let refused = Store::open(&config(folder.path()), Vec::new()).err().unwrap().to_string();
    assert!(refused.contains("version 2"), "{refused}");
}

#[test]
fn a_view_that_was_lost_is_made_anew_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut shards, _) = open(folder.path(), 1);
    for seq in 1..=50 {
        shards[0].port.append(PartitionId(0), &message(0, seq)).unwrap();
    }
    shards[0].outcomes(50);
    drop(shards);
    drop(store);
    std::fs::remove_dir_all(folder.path().join("view")).unwrap();
    let (store, mut shards, report) = open(folder.path(), 1);
    assert_eq!(report.replayed, 50);
    assert_eq!(shards[0].page(&names(0).2), (1..=50).collect::<Vec<_>>());
    drop(shards);
    drop(store);
}

#[test]
fn without_its_number_what_is_there_is_not_taken_for_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, shards, _) = open(folder.path(), 1);
    drop(shards);
    drop(store);
    let file = folder.path().join("STORE");
    std::fs::remove_file(&file).unwrap();
    let refused = Store::open(&config(folder.path()), Vec::new()).err().unwrap().to_string();
    assert!(refused.contains("STORE") && refused.contains("missing"), "{refused}");
    assert!(!file.exists(), "nothing is changed");
}

#[test]
fn a_store_that_is_no_older_than_what_it_told_is_asked_for() {
    // The log's last segment is gone, the view has what was in it.
    let folder = tempfile::tempdir().unwrap();
    let (store, mut shards, _) = open(folder.path(), 1);
    for seq in 1..=50 {
        shards[0].port.append(PartitionId(0), &message(0, seq)).unwrap();
    }
    shards[0].outcomes(50);
    drop(shards);
    drop(store);
    for entry in std::fs::read_dir(log_folder(folder.path())).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let refused = Store::open(&config(folder.path()), Vec::new()).err().unwrap().to_string();
    assert!(refused.contains("are missing"), "{refused}");
}

#[test]
fn a_start_that_is_refused_leaves_the_log_as_it_is() {
    // Half of the last commit is gone, and the view has it: a disk that keeps what it confirmed does not do that.
    let folder = tempfile::tempdir().unwrap();
    let (store, mut shards, _) = open(folder.path(), 1);
    append(&mut shards[0], 1..=9);
    drop(shards);
    drop(store);
    let log = Stopped::open(folder.path()).unwrap().log(&mut |_, _| {}).unwrap();
    let [piece] = &log.segments[..] else { panic!("one segment") };
    let mut bytes = std::fs::read(&piece.file).unwrap();
    bytes[piece.used as usize - 1000..].fill(0);
    std::fs::write(&piece.file, &bytes).unwrap();
    let refused = Store::open(&config(folder.path()), Vec::new()).err().unwrap();
    assert!(matches!(refused, StoreError::Short { .. }), "{refused}");
    assert!(std::fs::read(&piece.file).unwrap() == bytes, "nothing is changed");
}

fn append(shard: &mut Shard, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs.clone() {
        shard.port.append(PartitionId(0), &message(0, seq)).unwrap();
    }
    shard.outcomes(seqs.count());
}

#[test]
fn servers_that_are_killed_early_free_the_log_together() {
    // Each of the two applies less than what the view is put on the disk for.
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, mut shards, _) = open(first.path(), 1);
    append(&mut shards[0], 1..=15_000);
    // As a kill leaves it; the view is left out, since it may just be writing.
    let segments = |folder: &Path| std::fs::read_dir(log_folder(folder)).unwrap().map(|e| e.unwrap().path());
    std::fs::create_dir(log_folder(second.path())).unwrap();
    for path in segments(first.path()).filter(|path| path.extension().is_some_and(|e| e == "log")) {
        std::fs::copy(&path, log_folder(second.path()).join(path.file_name().unwrap())).unwrap();
    }
    std::fs::copy(first.path().join("STORE"), second.path().join("STORE")).unwrap();
    drop((shards, store));

    let (store, mut shards, report) = open(second.path(), 1);
    assert_eq!(report.replayed, 15_000);
    assert!(segments(second.path()).count() > 10, "nothing was freed before");
    append(&mut shards[0], 15_001..=17_000);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while segments(second.path()).count() > 4 {
        assert!(std::time::Instant::now() < until, "the log is not freed");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop((shards, store));
}
