//! Users in several groups, several writers in each: every member but the writer gets each message once.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, bench, serve};
use serde_json::Value;

const SHORT: [&str; 6] =
    ["--core=any", "--warmup=50ms", "--duration=400ms", "--drain=2s", "--payload=80", "--url"];

fn run(url: &str, more: &[&str]) -> (i32, Value) {
    let sizes = ["groups", "--groups=6", "--members=5", "--groups-per-user=2", "--senders=3"];
    let (code, report, said) = bench(&[&sizes, more, &SHORT, &[url]].concat());
    assert!(report.is_object(), "no report: {said}");
    (code, report)
}

#[test]
fn on_one_thread_and_across_threads_by_schedule_and_in_turn() {
    let open: &[&str] = &["--rate=40"];
    let closed: &[&str] = &["--in-flight=2"];
    for (kind, dialect) in [(Kind::Tutorial, "--dialect=tutorial"), (Kind::Longwire, "--dialect=longwire")] {
        for pace in [open, closed] {
            for threads in ["--threads=1", "--threads=2"] {
                let (code, report) = run(&serve(kind, Fault::None), &[&[dialect, threads], pace].concat());
                assert_eq!(code, 0, "{report}");
                let (sent, delivered) = (&report["sent"], report["deliveries"].as_u64().unwrap());
                assert!(delivered > 100, "{pace:?}, {threads}: {sent} sent, {report}");
            }
        }
    }
}

#[test]
fn acks_are_counted_and_what_a_member_misses_is_found() {
    let (code, report) =
        run(&serve(Kind::Longwire, Fault::None), &["--dialect=longwire", "--ids", "--rate=40"]);
    assert_eq!(code, 0, "{report}");
    assert!(report["acks"].as_u64().unwrap() > 20, "{report}");
    for (fault, field) in [(Fault::Drop, "lost"), (Fault::Duplicate, "duplicated")] {
        let (code, report) = run(&serve(Kind::Tutorial, fault), &["--rate=40", "--dialect=tutorial"]);
        assert_eq!((code, report["faults"][field].as_u64()), (1, Some(1)), "{fault:?}: {report}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for sizes in [
        &["--groups=3", "--members=5", "--groups-per-user=2"] as &[&str],
        &["--groups=2", "--members=5", "--groups-per-user=10"],
    ] {
        let url: &[&str] = &["--url=ws://127.0.0.1:9/"];
        let (code, _, said) = bench(&[&["groups"], sizes, url].concat());
        assert!(code == 1 && said.contains("per user"), "{sizes:?}: {said}");
    }
}
