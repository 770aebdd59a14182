//! Acks are timed from when their messages were meant to leave, and what a raw sync takes in the same folder stands beside them; a started
//! server's data is gone with it.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, run, serve};

#[test]
fn acks_are_timed_and_raw_syncs_beside_them() {
    let folder = std::env::temp_dir().join(format!("longwire-bench-disk-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let disk = folder.to_str().unwrap();
    for workload in
        [&["pairs", "--users=4", "--rate=200"] as &[&str], &["group", "--members=4", "--rate=100"]]
    {
        let url = serve(Kind::Longwire, Fault::None);
        let more = ["--ids", "--dialect=longwire", "--warmup=100ms", "--duration=1s", "--disk", disk];
        let outcome = run(&[workload, &more, &["--url", &url]].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        // Those that were meant for the measured time, not those that left in it.
        assert!(outcome.count("ack_us.count").abs_diff(outcome.count("sent")) <= 2, "{outcome:?}");
        assert!(outcome.number("ack_gap_us") > 0.0, "{outcome:?}");
        assert!(outcome.count("disk.idle_us.count") > 0, "{outcome:?}");
        assert!(outcome.count("disk.beside_us.count") > 0, "{outcome:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left of it");
    }
    std::fs::remove_dir(&folder).unwrap();
}
