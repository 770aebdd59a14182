//! A start that fails on one core ends the others before it tells: no thread of it is left, no ring and no listener.

mod common;

use common::PATIENCE;
use longwire::shard::{AppKind, Plan, launch};
use std::fs;
use std::time::Instant;

/// Threads of this process, its rings and its sockets. (glommio keeps an eventfd for each executor that there ever was.)
fn held() -> [usize; 2] {
    let kinds = fs::read_dir("/proc/self/fd")
        .expect("a list")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let opened =
        kinds.filter(|kind| ["io_uring", "socket:"].iter().any(|what| kind.to_string_lossy().contains(what)));
    [fs::read_dir("/proc/self/task").expect("a list").count(), opened.count()]
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let good = common::plan(AppKind::Chat, 3, &[("server.dev", "true")]);
    // There is no such core.
    let bad = |n: usize| {
        let mut cores = good.cores.clone();
        cores[n] = 1_000_000;
        Plan { cores, ..good.clone() }
    };
    for n in 0..3 {
        let before = held();
        launch(&bad(n)).expect_err("a core is missing");
        let start = Instant::now();
        // The kernel may list a thread that was joined for a moment yet, and what it held.
        while held() != before {
            assert!(start.elapsed() < PATIENCE, "{before:?} became {:?}", held());
            std::thread::yield_now();
        }
    }
}
