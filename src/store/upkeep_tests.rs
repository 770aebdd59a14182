//! A stopped store is checked, counted, exported, restored and mended; nothing of it is lost on the way.

use super::tests::{message, names, open};
use super::*;
use crate::ids::{CommandId, ConversationId, GroupName, Millis, PartitionId, Seq, UserName};
use crate::log::{MessageRecord, Record};
use crate::wire::{PayloadKind, Target};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;

/// Runs a server's store over some records, and stops it.
fn serve(folder: &Path, records: &[Record]) {
    let (store, mut shards, _) = open(folder, 1);
    for record in records {
        shards[0].port.append(PartitionId(7), record).unwrap();
    }
    let outcomes = shards[0].outcomes(records.len());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, crate::log::Outcome::Committed(..))));
    drop(shards);
    drop(store);
}

fn text(record: &mut StdRng) -> (PayloadKind, Vec<u8>) {
    match record.random_range(0..5) {
        0 => (PayloadKind::Json, br#"{"a": [1, "\u00e9"]}"#.to_vec()),
        1 => (PayloadKind::Json, b"{\n  \"line\": \"break\"\n}".to_vec()),
        2 => (PayloadKind::Json, "\"caf\u{e9} \u{2028}\"".into()),
        3 => (PayloadKind::Text, "two\nlines \"and\" \u{0} \u{1f600}".into()),
        _ => (PayloadKind::Bytes, (0..record.random_range(0..40)).map(|_| record.random()).collect()),
    }
}

/// Records of a few people who talk, read, join and leave.
fn talk(seed: u64, count: usize) -> Vec<Record> {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut heads = BTreeMap::<ConversationId, u64>::new();
    let mut firsts = BTreeMap::<ConversationId, u64>::new();
    let user = |n: u64| UserName::new(&format!("user{n}")).unwrap();
    let group = |n: u64| GroupName::new(&format!("group{n}")).unwrap();
    (0..count)
        .map(|n| {
            let from = user(random.random_range(0..5));
            if random.random_ratio(1, 8) {
                let conversation = ConversationId::private(&from, &user(random.random_range(0..5)));
                let (received, read) = (Seq(n as u64 + 1), Seq(n as u64));
                return Record::Cursor { conversation, user: from, received, read };
            }
            let nth = random.random_range(0..60);
            if let Some((conversation, head)) = heads.iter().nth(nth) {
                let first = firsts.entry(conversation.clone()).or_default();
                *first = random.random_range(*first..=*head + 1);
                return Record::Trim { conversation: conversation.clone(), first: Seq(*first) };
            }
            if random.random_ratio(1, 4) {
                let (group, joined) = (group(random.random_range(0..3)), random.random_ratio(2, 3));
                return Record::Member { group, user: from, joined, seq: Seq(n as u64) };
            }
            let (target, conversation) = if random.random_ratio(1, 2) {
                let to = user(random.random_range(0..5));
                let conversation = ConversationId::private(&from, &to);
                (Target::User(to), conversation)
            } else {
                let group = group(random.random_range(0..3));
                let conversation = ConversationId::group(&group);
                (Target::Group(group), conversation)
            };
            let head = heads.entry(conversation.clone()).or_default();
            let prev = Seq(*head);
            *head += random.random_range(1..5000);
            let (kind, bytes) = text(&mut random);
            let id = random.random_ratio(1, 2).then(|| CommandId::new(&format!("\"{n}\"")).unwrap());
            let (seq, time, bytes) = (Seq(*head), Millis(n as u64), bytes.into());
            Record::Message(Arc::new(MessageRecord {
                conversation,
                seq,
                prev,
                time,
                from,
                target,
                id,
                kind,
                bytes,
            }))
        })
        .collect()
}

fn exported(folder: &Path) -> String {
    let mut out = Vec::new();
    export(&Stopped::open(folder).unwrap(), false, &mut out, &mut |_, _| {}).unwrap();
    String::from_utf8(out).unwrap()
}

fn imported(lines: &str) -> Result<TempDir, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &mut lines.as_bytes(), &mut |_, _| {}).map(|_| folder)
}

fn checked(folder: &Path) -> Checked {
    check(&Stopped::open(folder).unwrap(), &mut |_, _| {})
}

fn whole(folder: &Path) {
    let found = checked(folder);
    assert_eq!(found.faults, []);
}

fn only_fault(folder: &Path) -> String {
    let mut found = checked(folder);
    assert_eq!(found.faults_found, 1, "{:#?}", found.faults);
    found.faults.remove(0).what
}

#[test]
fn what_is_exported_is_imported_the_same() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut records = talk(seed, 300);
        let more = records.split_off(200);
        serve(folder.path(), &records);
        let lines = exported(folder.path());
        let again = imported(&lines).unwrap();
        assert_eq!(exported(again.path()), lines);
        whole(again.path());
        // Both go on, and still have the same.
        for folder in [folder.path(), again.path()] {
            serve(folder, &more);
            whole(folder);
        }
        let rest = |folder| exported(folder).split_once('\n').unwrap().1.to_string();
        assert_eq!(rest(again.path()), rest(folder.path()));
    }
}

#[test]
fn an_export_has_what_the_view_has_not_yet() {
    let folder = tempfile::tempdir().unwrap();
    serve(folder.path(), &talk(5, 200));
    let lines = exported(folder.path());
    fs::remove_dir_all(folder.path().join("view")).unwrap();
    let log = fs::read(log_file(folder.path())).unwrap();
    assert_eq!(exported(folder.path()), lines);
    assert_eq!(fs::read(log_file(folder.path())).unwrap(), log);
}

fn log_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(log_folder(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "log")).min().unwrap()
}

/// The number of the line that is refused.
fn wrong<T: std::fmt::Debug>(read: Result<T, ImportError>) -> usize {
    match read.unwrap_err() {
        ImportError::Line(line, _) => line as usize,
        error => panic!("{error}"),
    }
}

#[test]
fn the_first_wrong_line_is_named_and_nothing_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    serve(folder.path(), &talk(6, 25));
    let text = exported(folder.path());
    let lines: Vec<&str> = text.lines().collect();
    let joined = |parts: &[&[&str]]| parts.concat().join("\n") + "\n";
    // Lines are checked before anything is made of them, so that each can be left out without a store.
    let refused = |text: &str| wrong(order::read(&mut text.as_bytes(), &mut |_| Ok(())));
    for at in 0..lines.len() {
        let (before, this, behind) = (&lines[..at], &lines[at..=at], &lines[at + 1..]);
        assert!(refused(&joined(&[before, behind])) > at, "without line {}", at + 1);
        assert_eq!(refused(&joined(&[before, this, this, behind])), at + 2, "line {} twice", at + 1);
    }
    assert_eq!(refused(&joined(&[&lines[..2], &["{\"type\":\"x\"}"]])), 3);
    assert_eq!(refused(&text[..text.len() - 1]), lines.len(), "its last line is cut");
    assert_eq!(refused(""), 1);
    // Whatever was made before the wrong line came, nothing of it is in the store.
    let (empty, last) = (tempfile::tempdir().unwrap(), lines.len() - 1);
    let cut = joined(&[&lines[..last]]);
    assert_eq!(wrong(import(empty.path(), &mut cut.as_bytes(), &mut |_, _| {})), lines.len());
    assert_eq!(exported(empty.path()).lines().count(), 2, "nothing is in it");
}

#[test]
fn a_group_that_begins_anew_and_is_deleted_again_has_nothing_of_the_first_time() {
    let folder = tempfile::tempdir().unwrap();
    let (anna, group) = (UserName::new("anna").unwrap(), GroupName::new("garden").unwrap());
    let garden = ConversationId::group(&group);
    let member = |joined, seq| Record::Member { group: group.clone(), user: anna.clone(), joined, seq };
    let message = Record::Message(Arc::new(MessageRecord {
        conversation: garden.clone(),
        seq: Seq(5),
        prev: Seq(0),
        time: Millis(1),
        from: anna.clone(),
        target: Target::Group(group.clone()),
        id: None,
        kind: PayloadKind::Text,
        bytes: Box::from(*b"hello"),
    }));
    serve(folder.path(), &[member(true, Seq(0)), message]);
    assert_eq!(delete(folder.path(), &garden).unwrap(), Deleted { head: Seq(5), members: 1 });
    let nothing = exported(folder.path());
    serve(folder.path(), &[member(true, Seq(5))]);
    assert_eq!(delete(folder.path(), &garden).unwrap(), Deleted { head: Seq(0), members: 1 });
    whole(folder.path());
    let lines = |export: &str| export.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&exported(folder.path())), lines(&nothing));
}

#[test]
fn only_an_empty_store_takes_an_import() {
    let folder = tempfile::tempdir().unwrap();
    serve(folder.path(), &talk(7, 20));
    let lines = exported(folder.path());
    let error = import(folder.path(), &mut lines.as_bytes(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, ImportError::NotEmpty(_)), "{error}");
    // One that was started and stopped is empty.
    let empty = tempfile::tempdir().unwrap();
    serve(empty.path(), &[]);
    import(empty.path(), &mut lines.as_bytes(), &mut |_, _| {}).unwrap();
    assert_eq!(exported(empty.path()), lines);
}

#[test]
fn a_store_that_someone_uses_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Stopped::open(folder.path()).err().unwrap().to_string().contains("no store"));
    let (store, shards, _) = open(folder.path(), 1);
    let busy = Stopped::open(folder.path()).err().unwrap().to_string();
    assert!(busy.contains(&format!("pid {}", std::process::id())), "{busy}");
    drop(shards);
    drop(store);
}

#[test]
fn a_check_names_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (1..=9).map(|seq| message(0, seq)).collect();
    serve(folder.path(), &records);
    whole(folder.path());
    let (a, b, conversation) = names(0);
    let of_view = |change: &dyn Fn(&fjall::Database, &str)| {
        let copy = tempfile::tempdir().unwrap();
        copy_all(folder.path(), copy.path());
        let db = fjall::Database::builder(copy.path().join("view")).open().unwrap();
        change(&db, conversation.as_str());
        drop(db);
        only_fault(copy.path())
    };
    let keyspace =
        |db: &fjall::Database, name| db.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap();
    let no_head = of_view(&|db, name| keyspace(db, "heads").remove(name).unwrap());
    assert!(no_head.contains(&format!("{conversation} has messages and no head")), "{no_head}");
    let not_known =
        of_view(&|db, name| keyspace(db, "privates").remove([b.as_str(), "\0", name].concat()).unwrap());
    assert!(not_known.contains(&format!("not among those of {b}")), "{not_known}");
    let group = of_view(&|db, _| {
        keyspace(db, "groups").insert([a.as_str(), "\0g"].concat(), 5_u64.to_be_bytes()).unwrap();
    });
    assert!(group.contains("not a member of g:g"), "{group}");
    let log = log_file(folder.path());
    let mut bytes = fs::read(&log).unwrap();
    bytes[4096 + 48 + 20] ^= 1;
    fs::write(&log, bytes).unwrap();
    let damaged = only_fault(folder.path());
    assert!(damaged.contains(log.to_str().unwrap()) && damaged.contains("byte 4096"), "{damaged}");
    // What the view has can be saved.
    let mut out = Vec::new();
    let store = Stopped::open(folder.path()).unwrap();
    assert!(export(&store, false, &mut Vec::new(), &mut |_, _| {}).is_err());
    export(&store, true, &mut out, &mut |_, _| {}).unwrap();
    let saved = imported(std::str::from_utf8(&out).unwrap()).unwrap();
    let (store, mut shards, _) = open(saved.path(), 1);
    assert_eq!(shards[0].page(&conversation), (1..=9).collect::<Vec<_>>());
    drop(shards);
    drop(store);
}

#[test]
fn a_check_finds_messages_that_the_view_has_lost() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (1..=9).map(|seq| message(0, seq)).collect();
    serve(folder.path(), &records);
    let db = fjall::Database::builder(folder.path().join("view")).open().unwrap();
    let messages = db.keyspace("messages", fjall::KeyspaceCreateOptions::default).unwrap();
    let key = messages.iter().nth(4).unwrap().key().unwrap();
    messages.remove(key).unwrap();
    drop((messages, db));
    let found = checked(folder.path());
    let told: Vec<_> = found.faults.iter().map(|fault| &fault.what).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("seq 5, record 5 of the log, is missing"), "{told:?}");
    assert!(told[1].contains("seq 6 follows 4, not 5"), "{told:?}");
}

#[test]
fn what_a_start_would_cut_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (1..=9).map(|seq| message(0, seq)).collect();
    serve(folder.path(), &records);
    let log = log_file(folder.path());
    let mut bytes = fs::read(&log).unwrap();
    let store = Stopped::open(folder.path()).unwrap();
    let before = stats(&store, &mut |_, _| {}).unwrap();
    assert_eq!((before.messages, before.users, before.privates, before.content_bytes), (9, 2, 1, 9 * 2000));
    drop(store);
    // In place of the end that the stopped server wrote: half of a commit.
    let used = before.log.segments[0].used as usize;
    bytes[used - 48..used].fill(0);
    bytes[used - 48..used - 28].copy_from_slice(b"LWCM\0\0\0\0\x10\0\0\0\x01\0\0\0\x63\0\0\0");
    fs::write(&log, &bytes).unwrap();
    let found = checked(folder.path());
    assert_eq!(found.faults, []);
    let torn = found.log.unwrap().cut.unwrap();
    assert_eq!((torn.file, torn.offset), (log.clone(), used as u64 - 48));
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

#[test]
fn a_check_tells_of_a_file_that_has_lost_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (1..=9).map(|seq| message(0, seq)).collect();
    serve(folder.path(), &records);
    let file = log_file(folder.path());
    let used = checked(folder.path()).log.unwrap().segments[0].used;
    // Behind the end that the stopped server wrote, and then with it.
    let log = fs::OpenOptions::new().write(true).open(&file).unwrap();
    log.set_len(used).unwrap();
    whole(folder.path());
    log.set_len(used - 48).unwrap();
    let lost = only_fault(folder.path());
    let place = format!("{} has {} of the {} bytes", file.display(), used - 48, 2 << 20);
    assert!(lost.contains(&place) && lost.contains(&format!("from byte {} on", used - 48)), "{lost}");
}

#[test]
fn a_view_is_made_anew_of_an_export_and_the_log_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = talk(8, 300);
    let more = records.split_off(150);
    serve(folder.path(), &records);
    let backup = exported(folder.path());
    serve(folder.path(), &more);
    let before = exported(folder.path());
    let lose = || {
        for file in fs::read_dir(folder.path().join("view")).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::write(path, "damaged").unwrap();
            }
        }
    };
    for export in [Some(&backup), None, Some(&before)] {
        lose();
        assert!(checked(folder.path()).faults_found > 0);
        let mut lines = export.map(|lines| lines.as_bytes());
        let lines = lines.as_mut().map(|lines| lines as &mut dyn std::io::BufRead);
        let done = rebuild(folder.path(), lines, false, &mut |_, _| {}).unwrap();
        assert_eq!(
            (done.lost, done.applied),
            (
                0,
                if export == Some(&backup) {
                    150
                } else if export.is_none() {
                    300
                } else {
                    0
                }
            )
        );
        assert_eq!(exported(folder.path()), before);
        whole(folder.path());
    }
    let other = tempfile::tempdir().unwrap();
    serve(other.path(), &[]);
    let error = rebuild(other.path(), Some(&mut backup.as_bytes()), false, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, RebuildError::OtherStore), "{error}");
}

#[test]
fn a_rebuild_loses_nothing_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let messages = |seqs: std::ops::RangeInclusive<u64>| seqs.map(|seq| message(0, seq)).collect::<Vec<_>>();
    serve(folder.path(), &messages(1..=10));
    let backup = exported(folder.path());
    // Some segments more, of which the log frees the first.
    serve(folder.path(), &messages(11..=3000));
    serve(folder.path(), &messages(3001..=3010));
    let error = rebuild(folder.path(), Some(&mut backup.as_bytes()), false, &mut |_, _| {}).unwrap_err();
    let RebuildError::Gap { export: Position(10), begins } = error else { panic!("{error}") };
    let error = rebuild(folder.path(), None, false, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, RebuildError::Gap { export: Position(0), .. }), "{error}");
    assert!(checked(folder.path()).faults.is_empty(), "it is as it was");
    let done = rebuild(folder.path(), Some(&mut backup.as_bytes()), true, &mut |_, _| {}).unwrap();
    assert_eq!((done.messages, done.lost), (10, begins.0 - 10));
    let (store, mut shards, _) = open(folder.path(), 1);
    let kept = shards[0].page(&names(0).2);
    assert_eq!(kept[..10], (1..=10).collect::<Vec<_>>());
    assert_eq!(kept[10], begins.0 + 1);
    drop(shards);
    drop(store);
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
