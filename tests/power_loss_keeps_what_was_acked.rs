//! A machine that loses its power under load keeps what was acked at `fsync`, whatever part of what was not synced is on its disk.
//!
//! `LONGWIRE_SEED=7` repeats the dice of a run, `ROUNDS=100` is how often the power goes.

mod common;
#[path = "common/ledger/mod.rs"]
mod ledger;
#[path = "common/power.rs"]
mod power;
#[path = "common/process.rs"]
mod process;

use ledger::{Book, Crowd, Durable, Town, address, audit, number, settle};
use power::Disk;
use process::Running;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const TOWN: Town = Town { users: 16, groups: 2 };
const ROUNDS: u64 = 5;
/// How long a crowd talks at most (ms).
const TALK: u64 = 400;

fn start(disk: &Disk, server: &Durable) -> Running {
    Running::spawn(disk.below(server.command()), &["try"])
}

fn kill(mut running: Running) {
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
}

#[test]
fn what_was_synced_is_there() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let disk = Disk::new();
    let server = Durable::new(&disk.root().join("store"), "fsync");
    let mut book = Book::default();
    let mut running = start(&disk, &server);
    settle(address(&running), TOWN);
    for round in 1..=number("ROUNDS").unwrap_or(ROUNDS) {
        // A kill alone loses nothing that the kernel has; a loss of power after it may.
        for loses in [random.random_bool(0.5), true] {
            let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
            std::thread::sleep(Duration::from_micros(random.random_range(0..TALK * 1000)));
            kill(running);
            book.close(&crowd.end());
            if loses {
                disk.lose_power(Some(&mut random));
            }
            running = start(&disk, &server);
            audit(address(&running), TOWN, &mut book);
        }
        println!("round {round}: {} messages acked, none lost", book.acked);
    }
    book.heads.clear();
    audit(address(&running), TOWN, &mut book);
    kill(running);
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_noticed_here() {
    let disk = Disk::new();
    let server = Durable::new(&disk.root().join("store"), "fsync");
    let mut book = Book::default();
    let running = start(&disk, &server);
    settle(address(&running), TOWN);
    disk.plan("sync / lie");
    let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
    while crowd.acked.load(std::sync::atomic::Ordering::Relaxed) < 1000 {
        std::thread::yield_now();
    }
    kill(running);
    book.close(&crowd.end());
    disk.lose_power(None);
    disk.plan("");
    let held = catch_unwind(AssertUnwindSafe(|| {
        let running = start(&disk, &server);
        audit(address(&running), TOWN, &mut book);
    }));
    assert!(held.is_err(), "what no disk had cannot be there");
}
