//! Shards of the rules in one thread: virtual time, late and reordered mail, a log that fails, clients that come and go.
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
        _ => 0..12,
    }
}

fn run(shards: u16, size: Size) {
    for seed in seeds() {
        eprintln!("shards {shards}, LONGWIRE_SEED={seed}");
        let seen = World::new(shards, seed, size).run();
        eprintln!("{seen:?}");
    }
}

#[test]
fn one_shard_keeps_its_promises() {
    run(1, Size::SMALL);
}

#[test]
fn three_shards_keep_their_promises() {
    run(3, Size::SMALL);
}

#[test]
fn seven_shards_keep_their_promises() {
    run(7, Size::LARGE);
}
