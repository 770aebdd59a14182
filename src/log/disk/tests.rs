//! What was told to be committed is found again, whatever happens to the last commit; damage is refused.

use super::commit;
use super::health::{Condition, Health};
use super::recover::{Found, OpenError, recover};
use super::segment::{self, FIRST, StoreId};
use super::writer::{Batch, End, Order, Plan, Sink, Writer};
use crate::ids::{GroupName, PartitionId, Seq, UserName};
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

/// Every record found, with its position.
fn read(folder: &Path) -> Result<(Vec<(u64, Record)>, Found), OpenError> {
    let mut records = Vec::new();
    let found = recover(folder, STORE, &mut |position, _, record| records.push((position.0, record)))?;
    Ok((records, found))
}

/// Writes commits of so many records each, one after the other.
fn write(folder: &Path, commits: &[u32], stop: bool) {
    let (records, found) = read(folder).unwrap();
    let (told, ends) = flume::unbounded();
    let writer = Writer::new(plan(folder), found.tail, Told(told), Arc::new(Health::default())).unwrap();
    let (orders, queue) = flume::unbounded();
    let thread = std::thread::spawn(move || writer.run(&queue));
    let mut next = records.len() as u64 + 1;
    for count in commits {
        orders.send(Order::Append(batch(next, *count))).unwrap();
        assert_eq!(ends.recv().unwrap(), (Ticket(next), End::Committed(Position(next), Durability::Fsync)));
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
    while let Ok((commit, _)) = commit::read_any(&bytes[at[at.len() - 1]..]) {
        at.push(at[at.len() - 1] + commit::size(commit.body.len()));
    }
    at
}

#[test]
fn what_was_committed_is_found_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 5, 2], true);
    write(folder.path(), &[3], false);
    let (records, found) = read(folder.path()).unwrap();
    assert_eq!(records, expected(11));
    assert_eq!(found.cut, None);
}

#[test]
fn segments_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    // Some 600 KB each: three fill a segment.
    write(folder.path(), &[15_000; 8], true);
    let (records, found) = read(folder.path()).unwrap();
    assert_eq!(records.len(), 8 * 15_000);
    assert!(found.segments.len() > 2, "{:?}", found.segments);
    fs::remove_file(&found.segments[1].1).unwrap();
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
        assert_eq!(found.cut.as_ref().map(|cut| cut.offset), (lost && torn).then_some(last as u64));
        if found.cut.is_some() {
            assert!(fs::read(&file).unwrap()[last..].iter().all(|b| *b == 0));
        }
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
fn files_of_two_stores_or_versions_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1], true);
    let error = recover(folder.path(), StoreId(1), &mut |_, _, _| {}).unwrap_err().to_string();
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
    orders.send(Order::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(read(folder.path()).unwrap().0, expected(3));
}
