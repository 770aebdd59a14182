//! However often a server is killed under load, at whatever instant: what it acked or delivered is there, once, where it was said to be,
//! and what is sent again is recognised.
//!
//! `LONGWIRE_SEED=7` repeats the dice of a run, `KILLS=200 ACKED=1000000` says how often it is killed at least and how many messages
//! are acked at least, at each durability; `LONGWIRE_LONG=1` is those two.

mod common;
#[path = "common/ledger/mod.rs"]
mod ledger;
#[path = "common/process.rs"]
mod process;

use common::PATIENCE;
use ledger::{Book, Crowd, Durable, Town, address, audit, number, settle};
use process::Running;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

const TOWN: Town = Town { users: 24, groups: 3 };
/// How long a crowd talks at most before the server is killed (ms).
const TALK: u64 = 250;
const TALK_LONG: u64 = 400;
/// One start of so many is killed as well, in the first ms.
const STARTS: u32 = 4;
const START: u64 = 150;

fn kill(mut running: Running) {
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
}

fn start(server: &Durable, random: &mut StdRng) -> Running {
    while random.random_ratio(1, STARTS) {
        let mut child =
            server.command().stdout(std::process::Stdio::null()).spawn().expect("the binary starts");
        std::thread::sleep(Duration::from_micros(random.random_range(0..START * 1000)));
        child.kill().expect("a server that starts");
        child.wait().expect("it ends");
    }
    server.start()
}

fn kills(durability: &'static str, seed: u64) {
    let long = number("LONGWIRE_LONG").is_some_and(|long| long > 0);
    let kills = number("KILLS").unwrap_or(if long { 200 } else { 5 });
    let acked = number("ACKED").unwrap_or(if long { 1_000_000 } else { 0 });
    let talk = if kills > 5 { TALK_LONG } else { TALK };
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let server = Durable::new(&folder.path().join("store"), durability);
    let mut running = server.start();
    settle(address(&running), TOWN);
    let mut book = Book::default();
    let (mut killed, begun) = (0, Instant::now());
    while killed < kills || book.acked < acked {
        let crowd = Crowd::begin(address(&running), TOWN, book.next, durability);
        std::thread::sleep(Duration::from_micros(random.random_range(0..talk * 1000)));
        kill(running);
        book.close(&crowd.end());
        let start_at = Instant::now();
        running = start(&server, &mut random);
        let started = start_at.elapsed();
        audit(address(&running), TOWN, &mut book);
        killed += 1;
        if killed % 10 == 0 || kills <= 10 {
            println!(
                "{durability}: {killed} kills, {} messages acked, none lost; started in {} ms; {} s",
                book.acked,
                started.as_millis(),
                begun.elapsed().as_secs()
            );
        }
    }
    assert!(book.acked > 0, "somebody was heard");
    // At last all of it once more, from the beginning; and after a good end.
    book.heads.clear();
    audit(address(&running), TOWN, &mut book);
    running.signal("TERM");
    assert_eq!(running.exit_code(PATIENCE), Some(0));
    running = server.start();
    book.heads.clear();
    audit(address(&running), TOWN, &mut book);
    let stored: u64 = book.heads.values().map(|(_, count)| count).sum();
    println!("{durability}: {killed} kills, {} messages acked, {stored} stored", book.acked);
    kill(running);
}

#[test]
fn with_every_commit_synced() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    kills("fsync", seed);
}

#[test]
fn with_every_commit_in_the_kernel() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    kills("os", seed);
}
