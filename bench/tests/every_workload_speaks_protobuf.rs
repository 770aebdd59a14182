//! Each workload, small, in Protobuf against Longwire itself; and the documented comparison of its two encodings.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Outcome, finish, start};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Two runs at a time, and so two servers.
const AT_ONCE: usize = 2;
const SPAWN: &str = "{bin}/longwire serve --dev --durability memory --cores 0 --listen 127.0.0.1:{port} --admin-listen 127.0.0.1:{admin}";
const WINDOW: [&str; 3] = ["--warmup=100ms", "--duration=400ms", "--drain=5s"];

/// A workload, and what of its report says that messages came, or connections.
type Job = (&'static [&'static str], &'static [&'static str]);
const JOBS: [Job; 9] = [
    (&["pairs", "--users=4", "--idle=4", "--ids", "--rate=200"], &["deliveries", "acks"]),
    (
        &["groups", "--groups=2", "--members=4", "--groups-per-user=1", "--ids", "--rate=50"],
        &["deliveries", "acks"],
    ),
    (&["group", "--members=5", "--in-flight=1", "--payload=4096"], &["deliveries"]),
    (
        &[
            "mixed",
            "--users=8",
            "--conversations=4",
            "--groups=1",
            "--members=4",
            "--heartbeat=100ms",
            "--rate=200",
        ],
        &["mixed.private_messages", "mixed.group_messages", "mixed.pongs"],
    ),
    (&["storm", "--connections=20", "--users=2", "--rate=50"], &["deliveries", "storm.back_us.count"]),
    (
        &["churn", "--connections=20", "--churn-rate=20", "--users=2", "--rate=50"],
        &["deliveries", "churn.came"],
    ),
    (
        &["broadcast", "--connections=10", "--every=50ms", "--turns=1", "--rate=100"],
        &["disturbed.broadcast_deliveries"],
    ),
    // No rate holds this, so the search ends soon, at a rate that sends nothing: that all pairs heard each other was needed to begin.
    (&["rampup", "--users=20", "--rate=2", "--limit=1us"], &[]),
    (&["run"], &["deliveries", "acks"]),
];

fn longwire() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_longwire-bench")).with_file_name("longwire");
    assert!(path.exists(), "{} is not there: cargo build -p longwire with this profile", path.display());
    path
}

fn bench(words: &[&str]) -> Outcome {
    finish(start(words))
}

/// One workload in Protobuf: all went well, and what is to be counted was.
fn speaks((words, counted): &Job, file: &str) {
    let words = if words == &["run"] { &["run", file] } else { *words };
    let encoding = if words[0] == "run" { &[] } else { &["--encoding=proto"] as &[&str] };
    let target = ["--server-core=any", "--quiet", "--spawn", SPAWN];
    let outcome = bench(&[words, &WINDOW, &target, encoding].concat());
    assert_eq!(outcome.code, 0, "{words:?}: {outcome:?}");
    assert!(outcome.report["workload"].as_str().unwrap().ends_with(", in Protobuf"), "{outcome:?}");
    for figure in *counted {
        assert!(outcome.count(figure) > 0, "{figure} of {words:?}: {outcome:?}");
    }
}

/// The command of the page that compares both, at all its sizes, but once each and shortly.
fn compared() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let page = page.replace("\\\n", " ");
    let line =
        page.lines().find(|line| line.contains(" versus ") && line.contains("--encoding proto")).unwrap();
    let words = shell_words::split(line.split(" #").next().unwrap()).unwrap();
    let mut parts = words[1..].split(|word| word == "--");
    let mut small: Vec<&str> = parts.next().unwrap().iter().map(String::as_str).collect();
    small.push("--rounds=1");
    for workload in parts {
        small.push("--");
        small.extend(workload.iter().map(String::as_str));
        small.extend(WINDOW);
        small.extend(["--users=4", "--core=any", "--server-core=any", "--quiet"]);
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_longwire-bench"))
        .args([&["versus", "--json"], &small[1..]].concat())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{small:?}: {said}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 3, "a table for each size: {all}");
    for size in all.as_array().unwrap() {
        assert_eq!(size["targets"].as_array().unwrap().len(), 2, "{size}");
        for what in ["bytes sent per message", "bytes received per delivery"] {
            let figure = size["figures"].as_array().unwrap().iter().find(|figure| figure["what"] == what);
            let of = |target: usize| figure.unwrap()["values"][target]["median"].as_f64().unwrap();
            assert!(of(1) < of(0), "{what}: {} in Protobuf, {} in JSON", of(1), of(0));
        }
    }
}

/// A scenario file that is gone when the test is.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn each_runs_clean_and_the_documented_comparison_too() {
    longwire();
    let file = File(std::env::temp_dir().join(format!("protobuf-{}.toml", std::process::id())));
    let text = "scenario = 'pairs'\nencoding = 'proto'\nids = true\nusers = 4\nrate = 200\n";
    std::fs::write(&file.0, text).unwrap();
    let file = file.0.to_str().unwrap();
    let idle = || {
        let rest = ["idle", "--connections=20", "--hold=300ms", "--settle=50ms", "--encoding=proto"];
        let target = ["--server-core=any", "--quiet", "--spawn", SPAWN];
        let outcome = bench(&[&rest as &[&str], &target].concat());
        assert_eq!((outcome.code, outcome.count("idle.connections")), (0, 20), "{outcome:?}");
    };
    // The longest first.
    let mut work: Vec<Box<dyn Fn() + Send + Sync + '_>> = vec![Box::new(compared), Box::new(idle)];
    work.extend(
        JOBS.iter().map(|job| Box::new(move || speaks(job, file)) as Box<dyn Fn() + Send + Sync + '_>),
    );
    let work = Mutex::new(work.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().next();
                    let Some(job) = next else { return };
                    job();
                }
            });
        }
    });
}
