//! How a run is going is said on stderr, and only there; stdout carries the report alone.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Kind, Outcome, Server, run};

/// Longer than the time between two lines.
fn long(more: &[&str]) -> Outcome {
    let server = Server::of(Kind::Tutorial).start();
    let pairs = ["pairs", "--users=2", "--dialect=tutorial"];
    let load = ["--rate=200", "--warmup=0s", "--duration=6s", "--url", server.url()];
    let outcome = run(&[&pairs as &[&str], &load, more].concat());
    // That all of stdout is one report is what reading it has shown.
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.count("deliveries") > 1_000, "{outcome:?}");
    outcome
}

#[test]
fn a_long_run_says_lines_where_there_is_no_terminal() {
    let outcome = long(&[]);
    let lines: Vec<&str> = outcome.said.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("measuring: 2 of 2 connected, out ")), "{lines:?}");
    assert!(outcome.said.bytes().all(|byte| byte != 0x1b && byte != b'\r'), "{lines:?}");
}

#[test]
fn a_quiet_one_says_nothing() {
    assert_eq!(long(&["--quiet"]).said, "");
}
