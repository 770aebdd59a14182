//! What a fuzzer checks of the decoders holds for every committed seed, for seeds damaged at random, and for odd Protobuf.
//!
//! `LONGWIRE_SEED=7` repeats a run, `LONGWIRE_LONG=1` damages many more. A fuzzer that runs on: `fuzz/README.md`.

use longwire::wire::Encoding;
use longwire_fuzz::{CHECKS, Check};
use rand::prelude::*;
use rand::rngs::SmallRng;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::Instant;

/// Damaged seeds tried, for each decoder.
const TRIES: usize = 50_000;
const TRIES_LONG: usize = 2_000_000;
/// The check that takes far longer than others, of which a part is tried: it compresses all that it is given twice.
const COSTLY: (&str, usize) = ("deflate_round_trip", 16);
/// Seeds and what is made of them stay below this (bytes), as a fuzzer's inputs do.
const LENGTH_MAX: usize = 4096;

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The names and bytes of the files below a folder.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            (name, std::fs::read(entry.path()).expect("a readable file"))
        })
        .collect();
    files.sort();
    files
}

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    files(&format!("fuzz/seeds/{name}"))
}

/// Runs one check, and shows the bytes when it fails.
fn hold(check: Check, what: &str, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(bytes))) {
        eprintln!("{what}: {}", bytes.escape_ascii());
        eprintln!("in hex: {}", data_encoding::HEXLOWER.encode(bytes));
        resume_unwind(panic);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// A generator whose seed is printed, and how often to draw from it.
fn dice() -> (SmallRng, usize) {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let long = number("LONGWIRE_LONG").is_some_and(|long| long > 0);
    (SmallRng::seed_from_u64(seed), if long { TRIES_LONG } else { TRIES })
}

/// One to four changes of a kind that a fuzzer makes.
fn damaged(seeds: &[(String, Vec<u8>)], dice: &mut SmallRng) -> Vec<u8> {
    let pick = |dice: &mut SmallRng| seeds.choose(dice).map(|(_, seed)| seed.clone()).unwrap_or_default();
    let mut bytes = pick(dice);
    for _ in 0..dice.random_range(1..=4) {
        let start = dice.random_range(0..=bytes.len());
        let end = dice.random_range(start..=bytes.len().min(start + 16));
        match dice.random_range(0..7) {
            0 if start < bytes.len() => bytes[start] ^= 1 << dice.random_range(0..8),
            1 if start < bytes.len() => bytes[start] = dice.random(),
            2 => bytes.truncate(start),
            3 => drop(bytes.drain(start..end)),
            // Twice the same, as in a field that is repeated.
            4 => bytes.extend_from_within(start..end),
            5 => bytes.insert(start, dice.random()),
            _ => {
                let other = pick(dice);
                let from = dice.random_range(0..=other.len());
                bytes.splice(start..end, other[from..].iter().copied());
            }
        }
    }
    bytes.truncate(LENGTH_MAX);
    bytes
}

#[test]
fn every_seed_holds() {
    for (name, check) in CHECKS {
        for (seed, bytes) in seeds(name) {
            assert!(bytes.len() <= LENGTH_MAX, "{name}/{seed} is too long for a fuzzer");
            hold(*check, &format!("fuzz/seeds/{name}/{seed}"), &bytes);
        }
    }
}

#[test]
fn damaged_seeds_hold() {
    let (mut dice, tries) = dice();
    for (name, check) in CHECKS {
        let (seeds, start) = (seeds(name), Instant::now());
        let tries = if *name == COSTLY.0 { tries / COSTLY.1 } else { tries };
        for _ in 0..tries {
            hold(*check, name, &damaged(&seeds, &mut dice));
        }
        println!("{name}: {tries} in {:?}", start.elapsed());
    }
}

/// Protobuf that no library would write: any field numbers and wire types, groups, lengths that lie, numbers in more bytes than
/// they need; `depth` messages in each other at most.
fn odd_protobuf(depth: u32, dice: &mut SmallRng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.random_range(0..4) {
        let field: u64 = match dice.random_range(0..40) {
            0 => 0,
            1 => (1 << 29) - 1,
            2 => 1 << 29,
            3 => dice.random_range(9..20),
            4..8 => 15,
            _ => dice.random_range(1..9),
        };
        let wire_type =
            *[0, 0, 0, 1, 3, 4, 5, 6, 7].choose(dice).filter(|_| dice.random_ratio(1, 3)).unwrap_or(&2);
        varint(field << 3 | wire_type, dice, &mut out);
        match wire_type {
            0 => varint(*[0, 1, 100, 1 << 32, 1 << 53, u64::MAX].choose(dice).unwrap_or(&0), dice, &mut out),
            1 => out.extend(dice.random::<[u8; 8]>()),
            5 => out.extend(dice.random::<[u8; 4]>()),
            2 => {
                let inner = match dice.random_range(0..9) {
                    0 if depth > 0 => vec![],
                    1 => b"alice".to_vec(),
                    2 => b"u:alice:bob".to_vec(),
                    3 => b" [1e9, \"\\u00e9\"]".to_vec(),
                    4 if dice.random_ratio(1, 8) => vec![0xff],
                    _ if depth > 0 => odd_protobuf(depth - 1, dice),
                    _ => "é".into(),
                };
                let lies = dice.random_ratio(1, 50);
                varint(if lies { dice.random() } else { inner.len() as u64 }, dice, &mut out);
                out.extend(inner);
            }
            3 => {
                out.extend(odd_protobuf(depth.saturating_sub(1), dice));
                if dice.random_ratio(5, 6) {
                    varint(field << 3 | 4, dice, &mut out);
                }
            }
            _ => {}
        }
    }
    if dice.random_ratio(1, 30) {
        out.truncate(dice.random_range(0..=out.len()));
    }
    out
}

fn varint(mut number: u64, dice: &mut SmallRng, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    if dice.random_ratio(1, 30) {
        out.push(number as u8 | 0x80);
        out.extend(vec![0x80; dice.random_range(0..3)]);
        number = 0;
    }
    out.push(number as u8);
}

#[test]
fn odd_protobuf_is_read_as_prost_reads_it() {
    let (mut dice, tries) = dice();
    let mut understood = 0;
    for _ in 0..tries * 5 {
        let bytes = odd_protobuf(2, &mut dice);
        understood += usize::from(Encoding::Proto.decode(&bytes).is_ok());
        hold(longwire_fuzz::proto_command, "odd protobuf", &bytes);
    }
    println!("{understood} of {} were commands", tries * 5);
    assert!(understood > tries / 100, "only {understood} of {} were commands", tries * 5);
}

#[test]
fn each_command_has_a_seed_in_each_encoding() {
    for (name, encoding) in [("json_command", Encoding::Json), ("proto_command", Encoding::Proto)] {
        let seeds = seeds(name);
        let decoded = |bytes| encoding.decode(bytes).ok().map(|request| request.command.name());
        let found: BTreeSet<_> = seeds.iter().filter_map(|(_, bytes)| decoded(bytes)).collect();
        let all = [
            "auth",
            "history",
            "joinGroup",
            "leaveGroup",
            "members",
            "message",
            "ping",
            "read",
            "received",
            "sync",
            "typing",
        ];
        assert_eq!(found, BTreeSet::from(all), "{name}");
    }
}

/// Nightly Rust builds the fuzzers, and nothing here does: so their sources are held to the list.
#[test]
fn the_fuzzers_call_what_is_checked_here() {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the fuzzers' manifest");
    let manifest: toml::Table = manifest.parse().expect("the manifest is TOML");
    let built = manifest["bin"].as_array().expect("the fuzzers").iter();
    let built: BTreeSet<_> = built.map(|bin| (bin["name"].as_str(), bin["path"].as_str())).collect();
    let sources = files("fuzz/fuzz_targets");
    let paths: Vec<_> = CHECKS.iter().map(|(name, _)| (*name, format!("fuzz_targets/{name}.rs"))).collect();
    assert_eq!(built, paths.iter().map(|(name, path)| (Some(*name), Some(&**path))).collect());
    assert_eq!(sources.len(), CHECKS.len(), "a source for each");
    for (name, _) in CHECKS {
        let call = format!("fuzz_target!(|data: &[u8]| longwire_fuzz::{name}(data));");
        let source = sources.iter().find(|(file, _)| *file == format!("{name}.rs")).expect("its source");
        assert!(String::from_utf8_lossy(&source.1).contains(&call), "{name}.rs calls something else");
    }
}
