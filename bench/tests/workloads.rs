//! Each workload runs to its end against a small server and counts what that server did, and finds what it did wrong.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, bench, serve};
use serde_json::{Value, json};

/// A short run that pins nothing.
const SHORT: [&str; 6] =
    ["--core=any", "--warmup=50ms", "--duration=400ms", "--drain=2s", "--payload=80", "--url"];

fn run(scenario: &str, url: &str, more: &[&str]) -> (i32, Value) {
    let (code, report, said) = bench(&[&[scenario], more, &SHORT, &[url]].concat());
    assert!(report.is_object(), "no report: {said}");
    (code, report)
}

fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}"))
}

#[test]
fn pairs_in_both_dialects() {
    for (kind, dialect) in [(Kind::Tutorial, "tutorial"), (Kind::Longwire, "longwire")] {
        let url = serve(kind, Fault::None);
        let pid = std::process::id().to_string();
        let more = ["--users=8", "--dialect", dialect, "--threads=2", "--server-pid", &pid];
        let (code, report) = run("pairs", &url, &more);
        assert_eq!(code, 0, "{report}");
        assert!(count(&report, "deliveries") > 50, "{report}");
        assert!(report["server_cpu_us_per_delivery"].as_f64().unwrap() > 0.0, "{report}");
        assert!(report["latency_us"]["p50"].as_f64().unwrap() > 1.0, "{report}");
    }
}

#[test]
fn ids_are_acked_and_counted() {
    let url = serve(Kind::Longwire, Fault::None);
    let (code, report) = run("pairs", &url, &["--users=4", "--dialect=longwire", "--ids"]);
    assert_eq!(code, 0, "{report}");
    // That each message has its ack is the ledger's to say, by the exit code.
    assert!(count(&report, "deliveries") > 50 && count(&report, "acks") > 50, "{report}");
}

#[test]
fn an_open_loop_sends_its_rate_and_says_its_lag() {
    let url = serve(Kind::Tutorial, Fault::None);
    for more in [&["--users=4", "--rate=1000"] as &[&str], &["--users=4", "--rate=1000", "--poisson"]] {
        let (code, report) = run("pairs", &url, &[more, &["--dialect=tutorial"]].concat());
        assert_eq!(code, 0, "{report}");
        let messages = count(&report["latency_us"], "count");
        assert!((250..=550).contains(&messages), "{messages} of 400 in {report}");
        assert_eq!(messages, count(&report["lag_us"], "count"));
    }
}

#[test]
fn a_group_reaches_everyone_but_its_publisher() {
    let url = serve(Kind::Longwire, Fault::None);
    let two = ["--members=9", "--dialect=longwire", "--threads=2", "--ids", "--in-flight=1"];
    let open = ["--members=5", "--dialect=longwire", "--rate=200"];
    for more in [&two as &[&str], &open] {
        let (code, report) = run("group", &url, more);
        assert_eq!(code, 0, "{report}");
        assert!(count(&report, "deliveries") > 50, "{report}");
    }
    let url = serve(Kind::Tutorial, Fault::None);
    let (code, report) = run("group", &url, &["--members=5", "--in-flight=3", "--dialect=tutorial"]);
    assert_eq!(code, 0, "{report}");
}

#[test]
fn what_is_lost_doubled_or_swapped_ends_with_1() {
    for (fault, field) in
        [(Fault::Drop, "lost"), (Fault::Duplicate, "duplicated"), (Fault::Swap, "reordered")]
    {
        let url = serve(Kind::Tutorial, fault);
        let (code, report) = run("pairs", &url, &["--users=2", "--in-flight=4", "--dialect=tutorial"]);
        assert_eq!(code, 1, "{fault:?}: {report}");
        assert_eq!(count(&report["faults"], field), 1, "{fault:?}: {report}");
    }
    let url = serve(Kind::Tutorial, Fault::Close);
    let (code, report) = run("pairs", &url, &["--users=4", "--dialect=tutorial"]);
    assert_eq!((code, count(&report, "failed_connections")), (1, 1), "{report}");
}

#[test]
fn an_echo_comes_back() {
    let url = serve(Kind::Echo, Fault::None);
    let (code, report) = run("echo", &url, &["--connections=5", "--in-flight=3"]);
    assert_eq!(code, 0, "{report}");
    assert!(count(&report, "deliveries") > 50, "{report}");
    // 80 bytes of payload: a header of two bytes each way, and four of mask on the way there. A message may cross the
    // window's end.
    for (figure, bytes) in [("bytes_sent_per_message", 86.0), ("bytes_received_per_delivery", 82.0)] {
        let found = report[figure].as_f64().unwrap();
        assert!((found / bytes - 1.0).abs() < 0.1, "{figure}: {found} in place of {bytes}");
        let total = if bytes > 85.0 { ("bytes_sent", "sent") } else { ("bytes_received", "deliveries") };
        assert!((count(&report, total.0) as f64 / count(&report, total.1) as f64 - found).abs() < 1e-6);
    }
}

#[test]
fn idle_connections_are_held_and_weighed() {
    for (kind, dialect) in [(Kind::Tutorial, "tutorial"), (Kind::Longwire, "longwire")] {
        let url = serve(kind, Fault::None);
        let pid = std::process::id().to_string();
        let arguments =
            ["idle", "--connections=30", "--hold=200ms", "--settle=10ms", "--core=any", "--threads=2"];
        let target = ["--dialect", dialect, "--server-pid", &pid, "--url", &url, "--source", "127.0.0.9"];
        let (code, report, said) = bench(&[&arguments as &[&str], &target].concat());
        assert_eq!(code, 0, "{said} {report}");
        assert_eq!(count(&report["idle"], "connections"), 30);
    }
}

#[test]
fn broadcasts_fall_into_every_other_slice() {
    for (kind, dialect) in [(Kind::Tutorial, "--dialect=tutorial"), (Kind::Longwire, "--dialect=longwire")] {
        let url = serve(kind, Fault::None);
        let (code, report) =
            run("broadcast", &url, &["--connections=20", "--every=50ms", "--rate=500", dialect]);
        assert_eq!(code, 0, "{report}");
        let disturbed = &report["disturbed"];
        assert!(count(disturbed, "broadcasts") >= 2, "{report}");
        assert_eq!(count(disturbed, "broadcast_deliveries"), count(disturbed, "broadcasts") * 19);
    }
}

/// A first run, with no more than where the server is, is one against Longwire.
#[test]
fn longwires_dialect_needs_no_name() {
    let url = serve(Kind::Longwire, Fault::None);
    let idle = ["idle", "--connections=30", "--hold=200ms", "--settle=10ms", "--core=any", "--url", &url];
    let (code, report, said) = bench(&idle);
    assert_eq!(code, 0, "{said} {report}");
    let (code, report) = run("echo", &serve(Kind::Echo, Fault::None), &["--connections=2"]);
    assert_eq!(code, 0, "{report}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (code, report, _) = bench(&["pairs", "--users=2", "--core=any", "--url", "ws://127.0.0.1:9/"]);
    assert_eq!((code, &report["failures"]), (1, &json!({"refused": 2})), "{report}");
    assert!(report["called_off"].as_str().unwrap().contains("2 of 2"), "{report}");
}
