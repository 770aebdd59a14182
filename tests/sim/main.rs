//! Shards of the rules in one thread: virtual time, late and reordered mail, a log that fails, a server that crashes and starts again,
//! clients that come and go.
//!
//! A seed repeats a run: `LONGWIRE_SEED=7 cargo test --test sim`. `LONGWIRE_LONG=1` runs many more.

#![allow(clippy::unwrap_used)]

mod client;
mod host;
mod scribe;
mod truth;
mod world;

use world::{Size, World};

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    match (number("LONGWIRE_SEED"), number("LONGWIRE_LONG")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(long)) if long > 0 => 0..2000,
        _ => 0..24,
    }
}

/// Tells how many messages came too late for an encoding: private ones, and groups'.
fn run(shards: u16, size: Size) -> [u32; 2] {
    run_all(shards, size).0
}

/// And how often the server crashed.
fn run_all(shards: u16, size: Size) -> ([u32; 2], u32) {
    let mut crashes = 0;
    let mut late = [0; 2];
    for seed in seeds() {
        eprintln!("shards {shards}, LONGWIRE_SEED={seed}");
        let seen = World::new(shards, seed, size).run();
        eprintln!("{seen:?}");
        assert!(seen.unencoded >= seen.late_private, "each of them is noticed: {seen:?}");
        late = [late[0] + seen.late_private, late[1] + seen.late_group];
        crashes += seen.crashes;
    }
    (late, crashes)
}

/// What is rare must have happened in some run; a single seed promises nothing.
fn assert_some_came_late(late: [u32; 2]) {
    assert!(seeds().count() == 1 || late.iter().all(|times| *times > 0), "private and group: {late:?}");
}

#[test]
fn one_shard_keeps_its_promises() {
    run(1, Size::SMALL);
}

#[test]
fn three_shards_keep_their_promises() {
    assert_some_came_late(run(3, Size::SMALL));
}

#[test]
fn seven_shards_keep_their_promises() {
    assert_some_came_late(run(7, Size::LARGE));
}

#[test]
fn servers_that_crash_keep_their_promises() {
    for shards in [1, 3] {
        let (_, crashes) = run_all(shards, Size::SMALL.with_crashes());
        assert!(seeds().count() == 1 || crashes > 0, "somebody crashed");
    }
}
