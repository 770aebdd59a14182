//! Shards of the rules in one thread: virtual time, late and reordered mail, a log that fails, a server that crashes and starts again,
//! messages that are trimmed and conversations that are deleted, clients that come and go.
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

/// What is rare, over all runs.
#[derive(Default)]
struct Total {
    /// Messages that came too late for an encoding: private ones, and groups'.
    late: [u32; 2],
    crashes: u32,
    trimmed: u32,
    deleted: u32,
}

fn run(shards: u16, size: Size) -> Total {
    let mut total = Total::default();
    for seed in seeds() {
        eprintln!("shards {shards}, LONGWIRE_SEED={seed}");
        let seen = World::new(shards, seed, size).run();
        eprintln!("{seen:?}");
        assert!(seen.unencoded >= seen.late_private, "each of them is noticed: {seen:?}");
        total.late = [total.late[0] + seen.late_private, total.late[1] + seen.late_group];
        total.crashes += seen.crashes;
        total.trimmed += seen.trimmed;
        total.deleted += seen.deleted;
    }
    // What is rare must have happened in some run; a single seed promises nothing.
    assert!(seeds().count() == 1 || total.trimmed > 0, "something was trimmed");
    total
}

fn assert_some_came_late(late: [u32; 2]) {
    assert!(seeds().count() == 1 || late.iter().all(|times| *times > 0), "private and group: {late:?}");
}

#[test]
fn one_shard_keeps_its_promises() {
    run(1, Size::SMALL);
}

#[test]
fn three_shards_keep_their_promises() {
    assert_some_came_late(run(3, Size::SMALL).late);
}

#[test]
fn seven_shards_keep_their_promises() {
    assert_some_came_late(run(7, Size::LARGE).late);
}

#[test]
fn servers_that_crash_keep_their_promises() {
    for shards in [1, 3] {
        let Total { crashes, deleted, .. } = run(shards, Size::SMALL.with_crashes());
        assert!(
            seeds().count() == 1 || (crashes > 0 && deleted > 0),
            "somebody crashed, something was deleted"
        );
    }
}
