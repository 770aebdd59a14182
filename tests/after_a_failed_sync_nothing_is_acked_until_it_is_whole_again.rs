//! When the disk fails a write or a sync, nothing is acked, senders hear 503, `/readyz` says so; when it works again the server goes on by
//! itself, and what was acked before and after is there, also when the power goes.
//!
//! `LONGWIRE_SEED=7` repeats the dice of a run.

mod common;
#[path = "common/ledger/mod.rs"]
mod ledger;
#[path = "common/power.rs"]
mod power;
#[path = "common/process.rs"]
mod process;

use common::PATIENCE;
use ledger::{Book, Crowd, Durable, Town, address, admin, audit, number, settle};
use power::Disk;
use process::Running;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const TOWN: Town = Town { users: 8, groups: 2 };

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn wait_for_more(what: &str, count: &AtomicU64, more: u64) {
    let before = count.load(Ordering::Relaxed);
    wait_until(what, || count.load(Ordering::Relaxed) >= before + more);
}

fn is_ready(running: &Running) -> bool {
    admin(running, "/readyz").0 == 200
}

/// A server whose disk fails by each of these rules in turn and works again after it; then it is killed, and the power goes.
fn fails(rules: &[&str]) {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let disk = Disk::new();
    let server = Durable::new(&disk.root().join("store"), "fsync");
    let mut book = Book::default();
    let mut running = Running::spawn(disk.below(server.command()), &["try"]);
    settle(address(&running), TOWN);
    for rule in rules {
        println!("{rule}");
        assert!(is_ready(&running));
        let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
        wait_for_more("all is well", &crowd.acked, 50);
        disk.plan(rule);
        wait_until("it says that it is not ready", || !is_ready(&running));
        wait_for_more("what was taken before is told", &crowd.refused, 100);
        // Without commits nothing is acked; who is slow to hear may count an ack of before only now.
        let commits = || running.metric("longwire_store_commits_total");
        let before = commits();
        wait_for_more("all are told to try later", &crowd.refused, 100);
        assert!(commits() <= before, "nothing is committed, and so acked, meanwhile");
        disk.plan("");
        wait_until("it is ready again", || is_ready(&running));
        wait_for_more("it goes on", &crowd.acked, 50);
        crowd.be_quiet();
        book.close(&crowd.end());
        audit(address(&running), TOWN, &mut book);
    }
    // The last failure comes with a kill, and the power goes.
    let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
    wait_for_more("all is well", &crowd.acked, 50);
    disk.plan(rules[0]);
    wait_for_more("all are told to try later", &crowd.refused, 20);
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
    book.close(&crowd.end());
    disk.plan("");
    // What the kernel still holds of the failed commit is read by the next server, and may not be on the disk.
    running = Running::spawn(disk.below(server.command()), &["try"]);
    audit(address(&running), TOWN, &mut book);
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
    disk.lose_power(Some(&mut random));
    running = Running::spawn(disk.below(server.command()), &["try"]);
    book.heads.clear();
    audit(address(&running), TOWN, &mut book);
}

#[test]
fn of_the_log() {
    fails(&["sync /log/ EIO", "write /log/ ENOSPC", "write /log/ EIO 1", "sync /log/ EIO 3"]);
}

#[test]
fn of_the_view() {
    fails(&["write /view/ EIO", "write /view/ ENOSPC 2"]);
}

#[test]
fn a_write_that_is_cut_short_goes_on() {
    let disk = Disk::new();
    let server = Durable::new(&disk.root().join("store"), "fsync");
    let mut book = Book::default();
    let running = Running::spawn(disk.below(server.command()), &["try"]);
    settle(address(&running), TOWN);
    disk.plan("write /store/ short");
    let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
    wait_for_more("all is well", &crowd.acked, 100);
    assert!(is_ready(&running));
    crowd.be_quiet();
    book.close(&crowd.end());
    audit(address(&running), TOWN, &mut book);
}
