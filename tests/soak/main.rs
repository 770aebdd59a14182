//! A server with a minute, or ten, of clients that come, talk and go in every way behind it has lost nothing that it acked, said nothing
//! twice, and keeps no memory of them.
//!
//! `LONGWIRE_SEED=7` repeats the dice of a run, `SOAK_SECONDS=60` takes so many seconds instead of ten, `LONGWIRE_LONG=1` ten minutes.

mod client;
#[path = "../common/mod.rs"]
mod common;
mod ledger;
#[path = "../common/process.rs"]
mod process;
mod regular;
mod server;
mod visitor;

use client::{Client, Flavour};
use common::PATIENCE;
use ledger::{Ledger, Place, id_of};
use regular::Regular;
use server::{Server, Way};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use visitor::{Done, Visitor};

/// How long it takes, if nothing else is said, and by `LONGWIRE_LONG` (s).
const SECONDS: u64 = 10;
const SECONDS_LONG: u64 = 600;
/// Rounds at most; after each everyone is quiet, and the books are closed. Those of the first third fill what is kept on purpose.
const ROUNDS: u64 = 12;
/// A round at least (s).
const ROUND_MIN: u64 = 2;
/// What the server may have more at the end than after any of the first rounds (bytes): less than 300 for each visit of a minute, or 30 of
/// ten.
const ALLOWANCE: u64 = 3 << 20;
const REGULARS: usize = 8;
const VISITORS: usize = 4;
const GROUPS: usize = 3;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Everyone heard what was acked, once, where the ack said it is: whoever stays hears all groups, everyone's, and his own.
fn hold(regular: &Regular, acked: &BTreeMap<Place, Vec<String>>) {
    let own = |conversation: &str| conversation.split(':').any(|part| part == regular.name);
    let is_for =
        |conversation: &str| conversation.is_empty() || conversation.starts_with("g:") || own(conversation);
    let expected: HashMap<String, Place> = acked
        .iter()
        .filter(|((conversation, _), _)| is_for(conversation))
        .flat_map(|(place, ids)| ids.iter().map(|id| (id.clone(), place.clone())))
        .collect();
    let start = Instant::now();
    while regular.heard() < expected.len() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let heard = regular.close();
    let lost: Vec<_> = expected.iter().filter(|(id, _)| !heard.contains_key(*id)).take(5).collect();
    assert!(lost.is_empty(), "{} did not hear what was acked, like {lost:?}", regular.name);
    assert_eq!(heard, expected, "{} heard what was not acked, or elsewhere", regular.name);
}

/// What a group's history has of the round is what was acked.
fn hold_history(reader: &mut Client, group: &str, acked: &BTreeMap<Place, Vec<String>>) {
    let conversation = format!("g:{group}");
    let mut expected = acked.iter().rev().filter(|((other, _), _)| *other == conversation);
    let mut before = u64::MAX >> 11;
    for _ in 0..3 {
        let (messages, more) = reader.history(&conversation, before);
        for (seq, content) in messages.iter().rev() {
            let Some(((_, expected), ids)) = expected.next() else { return };
            assert_eq!((*seq, id_of(content)), (*expected, ids[0].clone()), "the history of {group}");
            before = *seq;
        }
        if !more {
            return;
        }
    }
}

#[test]
fn clients_that_come_and_go_lose_nothing_and_leave_nothing() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    let long = number("LONGWIRE_LONG").is_some_and(|long| long > 0);
    let seconds = number("SOAK_SECONDS").unwrap_or(if long { SECONDS_LONG } else { SECONDS });
    println!("LONGWIRE_SEED={seed} SOAK_SECONDS={seconds}");
    let rounds = (seconds / ROUND_MIN).clamp(3, ROUNDS);
    let server = Server::start();
    let address = server.address();
    let groups: Vec<String> = (0..GROUPS).map(|n| format!("garden{n}")).collect();
    let regulars: Vec<Regular> = (0..REGULARS)
        .map(|n| {
            let window = (n & 2 != 0).then_some(if n & 4 == 0 { 15 } else { 9 });
            let way = [Way::Tcp, Way::Tls, Way::Unix][n % 3];
            Regular::new(format!("regular{n}"), Flavour { binary: n & 1 != 0, window, way })
        })
        .collect();
    let names: Vec<String> = regulars.iter().map(|regular| regular.name.clone()).collect();
    let (ledger, done) = (Ledger::default(), AtomicBool::new(false));
    let mut visitors: Vec<_> =
        (0..VISITORS).map(|n| Visitor::new(n, &address, &ledger, (&names, &groups), seed)).collect();
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        // All of them are there before anything is said.
        let arrived: Vec<_> = regulars.iter().map(|regular| regular.arrive(&address, &groups)).collect();
        for (regular, client) in regulars.iter().zip(arrived) {
            scope.spawn(|| regular.stay(client, &done));
        }
        // A failure here lets them go.
        let _guard = Guard(&done);
        for round in 1..=rounds {
            let end = Instant::now() + Duration::from_secs(seconds) / rounds as u32;
            let did = play(&mut visitors, end);
            server.wait_for_connections(REGULARS as u64);
            let acked = ledger.close();
            regulars.iter().for_each(|regular| hold(regular, &acked));
            let plain = Flavour { binary: false, window: None, way: Way::Tcp };
            let mut reader = Client::sign_in(&address, plain, &names[0], "reader");
            groups.iter().for_each(|group| hold_history(&mut reader, group, &acked));
            drop(reader);
            server.wait_for_connections(REGULARS as u64);
            memory.push(server.memory());
            println!(
                "round {round} of {rounds}: {} visits, {} messages acked and heard, {} delivered in all, {} KiB",
                did.visits,
                did.messages,
                server.sum("longwire_messages_delivered_total"),
                memory[memory.len() - 1] >> 10,
            );
        }
    });
    server.wait_for_connections(0);
    let warm = memory[..memory.len().div_ceil(3)].iter().max().expect("a round");
    let last = memory[memory.len() - 1];
    assert!(last <= warm + ALLOWANCE, "{last} bytes at the end, {warm} when warm: {memory:?}");
    server.stop();
}

/// All visitors at a time, until then.
fn play(visitors: &mut [Visitor<'_>], end: Instant) -> Done {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            visitors.iter_mut().map(|visitor| scope.spawn(move || visitor.visit_until(end))).collect();
        let done = threads.into_iter().map(|thread| thread.join().expect("a visitor"));
        done.fold(Done::default(), |sum, one| Done {
            visits: sum.visits + one.visits,
            messages: sum.messages + one.messages,
        })
    })
}

/// Ends what runs beside it, however it ends.
struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
