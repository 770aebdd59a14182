//! A server whose lateness is known: the generator reports at least that much, and only an open loop shows a stall.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Kind, Outcome, Server, at_once, run};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// The workloads that measure latency, with a handful of connections.
const WORKLOADS: [(Kind, &[&str]); 4] = [
    (Kind::Tutorial, &["pairs", "--users=4", "--dialect=tutorial"]),
    (Kind::Longwire, &["group", "--members=4", "--dialect=longwire"]),
    (Kind::Tutorial, &["groups", "--groups=2", "--members=4", "--groups-per-user=1", "--dialect=tutorial"]),
    (Kind::Echo, &["echo", "--connections=4"]),
];

fn measured(workload: &[&str], server: &Server, more: &[&str]) -> Outcome {
    let outcome = run(&[workload, more, &["--warmup=100ms", "--drain=10s", "--url", server.url()]].concat());
    assert_eq!(outcome.code, 0, "{workload:?}: {outcome:?}");
    outcome
}

#[test]
fn ten_milliseconds_are_in_every_percentile() {
    at_once(&WORKLOADS, |(kind, workload)| {
        let server = Server::of(*kind).delay(10 * MS).start();
        for more in [&["--rate=400", "--poisson"] as &[&str], &["--in-flight=2"]] {
            let outcome = measured(workload, &server, &[more, &["--duration=500ms"]].concat());
            for quantile in ["p50", "p90", "p99", "p999", "p9999", "max"] {
                let us = outcome.number(&format!("latency_us.{quantile}"));
                assert!(us >= 10_000.0, "{quantile} is {us} µs in {outcome:?}");
            }
            assert_eq!(outcome.longer_than(10_000.0), outcome.count("latency_us.count"), "{outcome:?}");
        }
    });
}

#[test]
fn an_open_loop_shows_a_stall() {
    at_once(&WORKLOADS, |(kind, workload)| {
        // A quarter of the messages is meant for the stall; what is meant for its first tenth waits 0.9 s or more.
        let server = Server::of(*kind).stall(1_500 * MS, 1_000 * MS).start();
        let outcome = measured(workload, &server, &["--rate=400", "--duration=4s"]);
        for (quantile, least) in [("p90", 500_000.0), ("p99", 900_000.0), ("max", 950_000.0)] {
            let us = outcome.number(&format!("latency_us.{quantile}"));
            assert!(us >= least, "{quantile} is {us} µs in {outcome:?}");
        }
    });
}

/// The same stall, and what a closed loop makes of it: why an open loop is what latency is measured with.
#[test]
fn a_closed_loop_hides_a_stall() {
    at_once(&[WORKLOADS[0], WORKLOADS[3]], |(kind, workload)| {
        let server = Server::of(*kind).stall(700 * MS, 1_000 * MS).start();
        let outcome = measured(workload, &server, &["--in-flight=1", "--duration=2s"]);
        assert!(outcome.number("latency_us.max") >= 950_000.0, "{outcome:?}");
        // Nothing more than what was on its way met it: one message of each pair or connection.
        let on_its_way = if *kind == Kind::Echo { 4 } else { 2 };
        let long = outcome.longer_than(500_000.0);
        assert!((1..=on_its_way).contains(&long), "{long} were long: {outcome:?}");
    });
}
