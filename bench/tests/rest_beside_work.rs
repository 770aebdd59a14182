//! Connections at rest beside a workload are opened, signed in and held, and none of the workload's counts are theirs.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, run, serve};

#[test]
fn pairs_and_groups_beside_others_at_rest() {
    let url = serve(Kind::Longwire, Fault::None);
    for workload in [
        &["pairs", "--users=4", "--rate=500"] as &[&str],
        &["groups", "--groups=2", "--members=3", "--groups-per-user=1", "--senders=2", "--rate=100"],
    ] {
        for threads in ["--threads=1", "--threads=2"] {
            let more = [
                "--dialect=longwire",
                "--idle=31",
                "--warmup=50ms",
                "--duration=400ms",
                threads,
                "--url",
                &url,
            ];
            let outcome = run(&[workload, &more].concat());
            assert_eq!(outcome.code, 0, "{outcome:?}");
            let users = if workload[0] == "pairs" { 4 } else { 6 };
            assert_eq!(outcome.count("course.memory.plateau.connections"), users + 31, "{outcome:?}");
            assert!(outcome.count("latency_us.count") > 40, "{outcome:?}");
        }
    }
}

#[test]
fn a_bound_on_memory_is_kept_or_the_run_fails() {
    let url = serve(Kind::Longwire, Fault::None);
    let idle =
        ["idle", "--connections=20", "--hold=100ms", "--settle=10ms", "--dialect=longwire", "--url", &url];
    let wide = run(&[&idle as &[&str], &["--generator-bytes=100000000"]].concat());
    assert_eq!(wide.code, 0, "{wide:?}");
    assert!(wide.number("weight.generator_max") > 1e7, "{wide:?}");
    // The server's process was not named, so what it takes is not known.
    let unknown = run(&[&idle as &[&str], &["--server-bytes=100000000"]].concat());
    assert_eq!(unknown.code, 1, "{unknown:?}");
}
