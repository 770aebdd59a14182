//! A blend of private and group messages of several sizes loses nothing, and what slow readers meet is counted apart.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Server, run, serve};
use std::time::Duration;

const BLEND: [&str; 10] = [
    "mixed",
    "--users=20",
    "--conversations=30",
    "--groups=4",
    "--members=5",
    "--sizes=64:2,300:1,70000:1",
    "--rate=300",
    "--warmup=50ms",
    "--duration=600ms",
    "--heartbeat=200ms",
];

#[test]
fn in_both_dialects_on_one_thread_and_two() {
    for (kind, dialect) in [(Kind::Longwire, "--dialect=longwire"), (Kind::Tutorial, "--dialect=tutorial")] {
        for threads in ["--threads=1", "--threads=2"] {
            let url = serve(kind, Fault::None);
            let outcome = run(&[&BLEND as &[&str], &[dialect, threads, "--idle=3", "--url", &url]].concat());
            assert_eq!(outcome.code, 0, "{outcome:?}");
            let (private, group) =
                (outcome.count("mixed.private_messages"), outcome.count("mixed.group_messages"));
            assert!(private > 50 && group > 2, "{outcome:?}");
            let sizes = ["64", "300", "70000"].map(|size| outcome.count(&format!("mixed.sizes.{size}")));
            assert_eq!(sizes.iter().sum::<u64>(), private + group, "{outcome:?}");
            assert!(sizes.iter().all(|&count| count > 20), "{outcome:?}");
            if kind == Kind::Longwire {
                assert!(
                    outcome.count("mixed.pings") > 20 && outcome.count("mixed.pongs") > 10,
                    "{outcome:?}"
                );
            }
        }
    }
}

/// What is asked behind a join is answered before it.
#[test]
fn a_blend_begins_when_everyone_has_joined() {
    for (kind, dialect) in [(Kind::Longwire, "--dialect=longwire"), (Kind::Tutorial, "--dialect=tutorial")] {
        let server = Server::of(kind).late_joins(Duration::from_millis(500)).start();
        let outcome = run(&[&BLEND as &[&str], &[dialect, "--url", server.url()]].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.count("mixed.group_messages") > 2, "{outcome:?}");
    }
}

#[test]
fn what_others_miss_is_a_fault_and_slow_readers_are_told_apart() {
    let url = serve(Kind::Longwire, Fault::Drop);
    let outcome = run(&[&BLEND as &[&str], &["--dialect=longwire", "--url", &url]].concat());
    assert_eq!((outcome.code, outcome.faults()), (1, vec![("lost".to_owned(), 1)]), "{outcome:?}");
    let url = serve(Kind::Longwire, Fault::None);
    let slow =
        ["--dialect=longwire", "--slow-readers=25%", "--slow-pause=100ms", "--slow-read=50ms", "--url", &url];
    let outcome = run(&[&BLEND as &[&str], &slow].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.count("mixed.slow_readers"), 5, "{outcome:?}");
    assert!(outcome.count("mixed.slow_deliveries") > 5 && outcome.count("deliveries") > 100, "{outcome:?}");
}
