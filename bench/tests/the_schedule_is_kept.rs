//! An open loop sends as many messages as its rate says, each meant for its own time, whatever the server or the machine
//! does; what left late is in the lag.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Kind, Mark, Outcome, Server, drain, finish, raw, run, start};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// 500 messages a second, a warm-up of 100 ms and half a second that counts.
const LOAD: [&str; 3] = ["--rate=500", "--warmup=100ms", "--duration=500ms"];
const MESSAGES: usize = 300;
const GAP: u64 = 2_000_000;

/// The intended times of a run, sorted, as the server read them.
fn times(server: &Server) -> Vec<u64> {
    let mut times: Vec<u64> = server.arrivals().iter().map(|(_, mark)| mark.time).collect();
    times.sort_unstable();
    times
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Every message of the run came, `counted` of them were meant for the time that counts, and each for its own.
fn even(times: &[u64], counted: u64, outcome: &Outcome) {
    assert_eq!(times.len() as u64, counted + 50, "{outcome:?}");
    let uneven = gaps(times).into_iter().find(|gap| gap.abs_diff(GAP) > 1);
    assert_eq!(uneven, None, "a gap is not the schedule's: {outcome:?}");
    for histogram in ["latency_us", "lag_us"] {
        assert_eq!(outcome.count(&format!("{histogram}.count")), counted, "{outcome:?}");
    }
}

#[test]
fn even_gaps_over_all_threads_and_senders() {
    for (kind, workload) in [
        (Kind::Tutorial, &["pairs", "--users=4", "--threads=1", "--dialect=tutorial"] as &[&str]),
        (Kind::Tutorial, &["pairs", "--users=4", "--threads=2", "--dialect=tutorial"]),
        (Kind::Echo, &["echo", "--connections=4", "--threads=2"]),
        (Kind::Tutorial, &["group", "--members=3", "--threads=2", "--dialect=tutorial"]),
    ] {
        let server = Server::of(kind).start();
        let outcome = run(&[workload, &LOAD, &["--url", server.url()]].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let marks: Vec<Mark> = server.arrivals().into_iter().map(|(_, mark)| mark).collect();
        let mut senders = BTreeMap::<u64, usize>::new();
        for mark in &marks {
            *senders.entry(mark.sender).or_default() += 1;
        }
        if workload[0] == "group" {
            assert_eq!(marks.len(), MESSAGES, "{outcome:?}");
            continue;
        }
        assert_eq!(senders, (0..4).map(|sender| (sender, MESSAGES / 4)).collect(), "{outcome:?}");
        let mut times: Vec<u64> = marks.iter().map(|mark| mark.time).collect();
        times.sort_unstable();
        even(&times, 250, &outcome);
    }
}

#[test]
fn a_server_that_reads_nothing_for_a_second_slows_nothing() {
    // Some of it stays in the sockets' buffers, the rest with the generator: 8 MB in that second.
    let server = Server::of(Kind::Tutorial).deaf(20, Duration::from_secs(1)).start();
    let more = ["--payload=16384", "--drain=10s", "--dialect=tutorial", "--url", server.url()];
    let outcome = run(&[&["pairs", "--users=4"] as &[&str], &more, &LOAD].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    even(&times(&server), 250, &outcome);
    // What was meant to leave while it slept waited for it to wake.
    assert!(outcome.number("latency_us.p50") >= 400_000.0, "{outcome:?}");
}

#[test]
fn exponential_gaps_follow_the_rate_and_the_seed() {
    let server = Server::of(Kind::Echo).start();
    let mut runs = Vec::new();
    for seed in ["--seed=1", "--seed=1", "--seed=2"] {
        let load = ["--rate=5000", "--poisson", seed, "--warmup=0s", "--duration=1s", "--url", server.url()];
        let outcome = run(&[&["echo", "--connections=4", "--threads=2"] as &[&str], &load].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let times = times(&server);
        // Five standard deviations; the seed is fixed all the same.
        assert!((4_640..=5_360).contains(&times.len()), "{} messages in {outcome:?}", times.len());
        let gaps = gaps(&times);
        let short = gaps.iter().filter(|&&gap| gap < 100_000).count();
        // A share of 1 - e^-0.5 = 39 % of exponential gaps lies under half the mean.
        assert!((1_700..=2_250).contains(&short), "{short} short gaps");
        runs.push(gaps);
    }
    let same =
        |one: &[u64], other: &[u64]| one.iter().zip(other).all(|(one, other)| one.abs_diff(*other) <= 1);
    assert!(same(&runs[0], &runs[1]), "one seed, two schedules");
    assert!(!same(&runs[0], &runs[2]), "two seeds, one schedule");
}

/// It is asked for before the window, and not waited for within it.
#[test]
fn a_metrics_page_that_does_not_come_costs_no_measured_time() {
    let server = Server::of(Kind::Tutorial).start();
    let page = raw(|_, stream| drop(drain(&stream))).replacen("ws", "http", 1);
    let load = ["--rate=500", "--warmup=200ms", "--duration=2s", "--metrics", &page, "--url", server.url()];
    let outcome = run(&[&["pairs", "--users=4", "--dialect=tutorial"] as &[&str], &load].concat());
    assert_eq!((outcome.code, outcome.count("latency_us.count")), (0, 1_000), "{outcome:?}");
    // The page is given up after two seconds where nothing waits for it: of a window that waited nothing would be left.
    assert!(outcome.count("sent") >= 500 && outcome.count("in_time") >= 500, "{outcome:?}");
    assert!(outcome.report["notes"].to_string().contains("metrics"), "{outcome:?}");
}

/// The generator itself is stopped: what it sends late is late by its own fault, and it says so.
#[test]
fn a_generator_that_was_stopped_knows_it() {
    let server = Server::of(Kind::Tutorial).start();
    let load = ["--rate=500", "--warmup=100ms", "--duration=2s", "--url", server.url()];
    let child = start(&[&["pairs", "--users=4", "--dialect=tutorial"] as &[&str], &load].concat());
    let pid = Pid::from_child(&child);
    // Within the time that counts.
    server.wait_for(MESSAGES / 3);
    kill_process(pid, Signal::STOP).unwrap();
    let since = Instant::now();
    std::thread::sleep(Duration::from_millis(300));
    let stopped = since.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    let outcome = finish(child);
    assert!(stopped >= Duration::from_millis(300));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    even(&times(&server), 1_000, &outcome);
    // The histogram keeps three digits.
    for histogram in ["latency_us", "lag_us"] {
        assert!(outcome.number(&format!("{histogram}.max")) >= 250_000.0, "{outcome:?}");
    }
    let late = outcome.report["late"].as_str().unwrap_or_default();
    assert!(late.contains("sent late"), "{outcome:?}");
}
