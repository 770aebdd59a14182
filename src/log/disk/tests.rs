//! What was told to be committed is found again, whatever happens to the last commit; damage is refused.

use super::commit;
use super::health::{Condition, Health};
use super::recover::{self, Cut, OpenError, Short, Tail};
use super::segment::{self, FIRST, StoreId};
use super::spare::Spare;
use super::writer::{Batch, End, Order, Plan, Sink, Writer};
use crate::ids::{GroupName, PartitionId, Seq, UserName};
use crate::limits::COMMIT_BYTES_MAX;
use crate::log::{Durability, Position, Record, Ticket, record};
use flume::Sender;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const STORE: StoreId = StoreId(77);
const SEGMENT: u64 = 2 << 20;

struct Told(Sender<(Ticket, End)>);

impl Sink for Told {
    fn ended(&mut self, batch: Batch, end: End, _: u64) {
        self.0.send((batch.first, end)).unwrap();
    }

    fn committed(&mut self, _: Position, _: u32, _: &[u8]) {}

    fn told(&mut self) {}
}

fn plan(folder: &Path) -> Plan {
    let (folder, durability) = (folder.into(), Durability::Fsync);
    Plan { folder, store: STORE, segment: SEGMENT, durability, min_free: 0, watchdog: Duration::MAX }
}

fn member(n: u64) -> Record {
    let name = "u".repeat(1 + n as usize % 50);
    let (group, user) = (GroupName::new("g").unwrap(), UserName::new(&name).unwrap());
    Record::Member { group, user, joined: n.is_multiple_of(2), seq: Seq(n) }
}

fn batch(first: u64, records: u32) -> Batch {
    let mut bytes = Vec::new();
    for n in first..first + u64::from(records) {
        record::write(PartitionId(3), &member(n), &mut bytes);
    }
    Batch { shard: 0, first: Ticket(first), records, bytes, generation: 0 }
}

/// Records with their positions.
type Numbered = Vec<(u64, Record)>;

/// Every record found, with its position, and what is to be cut off.
fn read(folder: &Path) -> Result<(Numbered, Option<Cut>), OpenError> {
    let mut records = Vec::new();
    let found = recover::read(folder, STORE, &mut |position, _, record| records.push((position.0, record)))?;
    Ok((records, found.cut))
}

/// The same, and makes it whole.
fn mend(folder: &Path) -> (Numbered, Option<Tail>) {
    let mut records = Vec::new();
    let found = recover::read(folder, STORE, &mut |position, _, record| records.push((position.0, record)));
    (records, found.unwrap().mend().unwrap())
}

/// Writes commits of so many records each, one after the other.
fn write(folder: &Path, commits: &[u32], stop: bool) {
    write_as(folder, commits, stop, Durability::Fsync);
}

fn write_as(folder: &Path, commits: &[u32], stop: bool, durability: Durability) {
    let (records, tail) = mend(folder);
    let (told, ends) = flume::unbounded();
    let plan = Plan { durability, ..plan(folder) };
    let writer = Writer::new(plan, tail, Told(told), Arc::new(Health::default())).unwrap();
    let (orders, queue) = flume::unbounded();
    let thread = std::thread::spawn(move || writer.run(&queue));
    let mut next = records.len() as u64 + 1;
    for count in commits {
        orders.send(Order::Append(batch(next, *count))).unwrap();
        assert_eq!(ends.recv().unwrap(), (Ticket(next), End::Committed(Position(next), durability)));
        next += u64::from(*count);
    }
    if stop {
        orders.send(Order::Stop).unwrap();
    }
    drop(orders);
    thread.join().unwrap();
}

fn expected(count: u64) -> Vec<(u64, Record)> {
    (1..=count).map(|n| (n, member(n))).collect()
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files = segment::list(folder).unwrap();
    assert_eq!(files.len(), 1);
    files.remove(0).1
}

/// Where commits begin in a file, and where the last one ends.
fn commits(bytes: &[u8]) -> Vec<usize> {
    let mut at = vec![FIRST];
    while let Ok((commit, _)) = commit::read_any(&bytes[at[at.len() - 1]..], STORE) {
        at.push(at[at.len() - 1] + commit::size(commit.body.len()));
    }
    at
}

#[test]
fn what_was_committed_is_found_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 5, 2], true);
    write(folder.path(), &[3], false);
    assert_eq!(read(folder.path()).unwrap(), (expected(11), None));
}

#[test]
fn segments_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    // Some 600 KB each: three fill a segment.
    write(folder.path(), &[15_000; 8], true);
    assert_eq!(read(folder.path()).unwrap().0.len(), 8 * 15_000);
    let segments = segment::list(folder.path()).unwrap();
    assert!(segments.len() > 2, "{segments:?}");
    fs::remove_file(&segments[1].1).unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("one is missing"), "{error}");
}

#[test]
fn a_last_commit_cut_at_any_byte_is_cut_off_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2, 3], false);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let starts = commits(&whole);
    let [.., last, end] = starts[..] else { panic!("three commits") };
    for cut in last..end {
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        let lost = bytes != whole;
        fs::write(&file, &bytes).unwrap();
        let (records, found) = read(folder.path()).unwrap();
        assert_eq!(records, expected(if lost { 3 } else { 6 }), "cut at {cut}");
        let torn = bytes[last..].iter().any(|b| *b != 0);
        assert_eq!(found.map(|cut| cut.offset), (lost && torn).then_some(last as u64));
        assert_eq!(fs::read(&file).unwrap(), bytes, "reading changes nothing");
        mend(folder.path());
        assert!(!lost || fs::read(&file).unwrap()[last..].iter().all(|b| *b == 0));
    }
}

#[test]
fn a_file_that_lost_its_end_is_told_of_wherever_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2, 3], false);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let starts = commits(&whole);
    let [.., last, end] = starts[..] else { panic!("three commits") };
    for cut in last..=end {
        fs::write(&file, &whole[..cut]).unwrap();
        let found = recover::read(folder.path(), STORE, &mut |_, _, _| {}).unwrap();
        assert_eq!(found.head(), Position(if cut < end { 3 } else { 6 }), "cut at {cut}");
        assert_eq!(found.short, Some(Short { file: file.clone(), made: SEGMENT, is: cut as u64 }));
        found.mend().unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), SEGMENT);
        let again = recover::read(folder.path(), STORE, &mut |_, _, _| {}).unwrap();
        assert_eq!((again.short, again.cut), (None, None), "it is told once");
    }
}

#[test]
fn the_log_goes_on_behind_what_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2, 3], false);
    let file = only_file(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    let starts = commits(&bytes);
    bytes[starts[starts.len() - 1] - 9] ^= 1;
    fs::write(&file, &bytes).unwrap();
    write(folder.path(), &[4], true);
    assert_eq!(read(folder.path()).unwrap().0, expected(7));
}

#[test]
fn a_flipped_byte_before_the_last_commit_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2, 3], false);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let starts = commits(&whole);
    let last = starts[starts.len() - 2];
    for at in (0..last).filter(|at| *at < 200 || *at >= FIRST) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let error = read(folder.path()).unwrap_err();
        let begins = starts.iter().rev().find(|start| **start <= at).map_or(0, |start| *start as u64);
        assert!(
            matches!(&error, OpenError::Damaged { file: named, offset, .. } if *named == file && *offset == begins),
            "{at}: {error}"
        );
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing may be changed");
    }
}

#[test]
fn after_a_stop_in_good_order_any_flipped_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2], true);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let starts = commits(&whole);
    let end_marker = starts[starts.len() - 2];
    let far = [end_marker + 200, whole.len() - 1];
    for at in (FIRST..end_marker).chain(far) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert!(read(folder.path()).is_err(), "{at}");
    }
}

#[test]
fn large_commits_are_cut_or_refused_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    // Some 600 KB each, so that they lie across what is read at a time.
    write(folder.path(), &[15_000; 3], false);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let [.., second, third, _] = commits(&whole)[..] else { panic!("three commits") };
    let mut torn = whole.clone();
    torn[second + 500_000..].fill(0);
    fs::write(&file, &torn).unwrap();
    let (records, cut) = read(folder.path()).unwrap();
    let (cut, last) = (cut.unwrap(), torn.iter().rposition(|b| *b != 0).unwrap());
    assert_eq!((records.len(), cut.offset, cut.bytes), (15_000, second as u64, (last + 1 - second) as u64));
    let mut damaged = whole;
    damaged[third - 9] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let told = read(folder.path()).unwrap_err().to_string();
    assert!(told.contains(&format!("damaged at byte {second}:")), "{told}");
    let (mut far, at) = (torn, second + commit::size(COMMIT_BYTES_MAX) + 300_001);
    far[at] = 1;
    fs::write(&file, &far).unwrap();
    let told = read(folder.path()).unwrap_err().to_string();
    assert!(told.contains(&format!("damaged at byte {at}: bytes where none")), "{told}");
}

#[test]
fn a_first_commit_after_a_good_end_may_be_torn() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2], true);
    write(folder.path(), &[3], false);
    let file = only_file(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    let starts = commits(&bytes);
    let [.., last, end] = starts[..] else { panic!("three commits") };
    bytes[last + 8..end].fill(0);
    fs::write(&file, &bytes).unwrap();
    assert_eq!(mend(folder.path()).0, expected(3));
    write(folder.path(), &[4], true);
    assert_eq!(read(folder.path()).unwrap(), (expected(7), None));
}

#[test]
fn of_commits_that_were_not_synced_a_loss_of_power_may_take_any() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2], false);
    write_as(folder.path(), &[3, 4, 5], false, Durability::Os);
    let file = only_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let starts = commits(&whole);
    // The first of those that were not synced is gone, the others are there.
    let mut bytes = whole.clone();
    bytes[starts[2]..starts[3]].fill(0);
    fs::write(&file, &bytes).unwrap();
    let (records, cut) = read(folder.path()).unwrap();
    assert_eq!((records, cut.map(|cut| cut.offset)), (expected(3), Some(starts[2] as u64)));
    write_as(folder.path(), &[1], true, Durability::Os);
    assert_eq!(read(folder.path()).unwrap(), (expected(4), None));
    // One that was synced behind it says that it was there.
    fs::write(&file, &whole).unwrap();
    write(folder.path(), &[1], false);
    let mut bytes = fs::read(&file).unwrap();
    bytes[starts[2]..starts[3]].fill(0);
    fs::write(&file, &bytes).unwrap();
    assert!(matches!(read(folder.path()).unwrap_err(), OpenError::Damaged { .. }));
}

#[test]
fn a_segment_that_was_begun_and_not_used_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1], false);
    // What a failure between a new segment's name and its first commit leaves.
    let (_, tail) = mend(folder.path());
    let tail = tail.unwrap();
    Spare::new(folder.path().into(), SEGMENT).begin(STORE, tail.link).unwrap();
    let health = Arc::new(Health::default());
    health.set(Condition::Broken, "a test says so".into());
    let (told, ends) = flume::unbounded();
    let writer = Writer::new(plan(folder.path()), Some(tail), Told(told), Arc::clone(&health)).unwrap();
    let (orders, queue) = flume::unbounded();
    let thread = std::thread::spawn(move || writer.run(&queue));
    while health.condition() != Condition::Whole {
        std::thread::yield_now();
    }
    orders.send(Order::Append(batch(2, 3))).unwrap();
    assert!(matches!(ends.recv().unwrap(), (Ticket(2), End::Committed(Position(2), _))));
    orders.send(Order::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(read(folder.path()).unwrap(), (expected(4), None));
}

#[test]
fn a_segment_has_room_for_a_commit_whatever_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (told, ends) = flume::unbounded();
    let plan = Plan { segment: 4096, ..plan(folder.path()) };
    let writer = Writer::new(plan, None, Told(told), Arc::new(Health::default())).unwrap();
    let (orders, queue) = flume::unbounded();
    let thread = std::thread::spawn(move || writer.run(&queue));
    for n in 0..3 {
        orders.send(Order::Append(batch(1 + n * 15_000, 15_000))).unwrap();
        assert!(matches!(ends.recv().unwrap().1, End::Committed(..)));
    }
    orders.send(Order::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(read(folder.path()).unwrap().0.len(), 45_000);
}

#[test]
fn files_of_two_stores_or_versions_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1], true);
    let error = recover::read(folder.path(), StoreId(1), &mut |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("another store"), "{error}");
}

#[test]
fn a_log_that_failed_is_tried_again_and_has_only_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let health = Arc::new(Health::default());
    let (told, ends) = flume::unbounded();
    let writer = Writer::new(plan(folder.path()), None, Told(told), Arc::clone(&health)).unwrap();
    let (orders, queue) = flume::unbounded();
    health.set(Condition::Broken, "a test says so".into());
    let thread = std::thread::spawn(move || writer.run(&queue));
    orders.send(Order::Append(batch(1, 2))).unwrap();
    assert_eq!(ends.recv().unwrap(), (Ticket(1), End::Failed));
    // A second without orders, and it is whole again.
    while health.condition() != Condition::Whole {
        std::thread::yield_now();
    }
    // What was queued before its shard knew of the failure may name what is not there.
    orders.send(Order::Append(batch(3, 1))).unwrap();
    assert_eq!(ends.recv().unwrap(), (Ticket(3), End::Failed));
    orders.send(Order::Append(Batch { generation: 1, ..batch(1, 3) })).unwrap();
    assert!(matches!(ends.recv().unwrap(), (Ticket(1), End::Committed(Position(1), _))));
    // What another shard queued names nothing of it.
    orders.send(Order::Append(Batch { shard: 2, ..batch(4, 1) })).unwrap();
    assert!(matches!(ends.recv().unwrap(), (Ticket(4), End::Committed(Position(4), _))));
    orders.send(Order::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(read(folder.path()).unwrap().0, expected(4));
}
