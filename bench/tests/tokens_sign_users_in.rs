//! Users sign in by tokens that the generator signs, shown in a message or in the upgrade; a server with another key lets nobody in.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Outcome, at_once, run};
use std::path::{Path, PathBuf};

/// A key's file, gone with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new() -> Self {
        let name = format!("longwire-bench-{}-{:x}.key", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, format!("{:032x}", fastrand::u128(..))).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A run against a server that takes tokens of `server` only.
fn against(server: &KeyFile, words: &[&str]) -> Outcome {
    let longwire = Path::new(env!("CARGO_BIN_EXE_longwire-bench")).with_file_name("longwire");
    assert!(longwire.exists(), "{} is not there: cargo build -p longwire", longwire.display());
    let spawn = format!(
        "{{bin}}/longwire serve --durability memory --cores 0 --listen 127.0.0.1:{{port}} --admin-listen off --group-open --token-key {}",
        server.path()
    );
    run(&[words, &["--server-core=any", "--quiet", "--spawn", &spawn]].concat())
}

#[test]
fn a_token_is_shown_in_a_message_or_in_the_upgrade() {
    let key = KeyFile::new();
    let window = ["--warmup=50ms", "--duration=200ms", "--drain=5s", "--token-key", key.path()];
    let workloads: [(&[&str], &str); 4] = [
        (&["pairs", "--users=4", "--idle=4", "--rate=100"], "deliveries"),
        (&["group", "--members=4", "--rate=50", "--encoding=proto"], "deliveries"),
        (&["churn", "--connections=20", "--churn-rate=50", "--users=2", "--rate=10"], "churn.came"),
        (&["storm", "--connections=20", "--users=2", "--rate=10"], "storm.back_us.count"),
    ];
    // Two servers at a time.
    at_once(&["message", "upgrade"], |place| {
        for (words, counted) in &workloads {
            let outcome = against(&key, &[words, &window as &[&str], &["--token-at", place]].concat());
            assert_eq!(outcome.code, 0, "{place}: {words:?}: {outcome:?}");
            assert!(outcome.count(counted) > 0, "{place}: {words:?}: {outcome:?}");
        }
    });
}

#[test]
fn the_cost_of_a_sign_in_is_told_without_anything_beside_it() {
    let key = KeyFile::new();
    let words = ["idle", "--connections=50", "--hold=100ms", "--settle=10ms", "--token-key", key.path()];
    for more in
        [&["--sign-in-only"] as &[&str], &["--sign-in-only", "--token-at=upgrade", "--encoding=proto"]]
    {
        let outcome = against(&key, &[&words, more].concat());
        assert_eq!((outcome.code, outcome.count("idle.connections")), (0, 50), "{outcome:?}");
        assert!(outcome.number("idle.setup_cpu_us_per_connection") > 0.0, "{outcome:?}");
        assert_eq!(outcome.report["idle"]["sign_in_only"], true, "{outcome:?}");
    }
    let unanswered = run(&["idle", "--sign-in-only", "--dialect=tutorial", "--url=ws://127.0.0.1:9/"]);
    assert!(unanswered.code == 1 && unanswered.said.contains("no sign-in is answered"), "{unanswered:?}");
}

#[test]
fn a_token_that_the_server_does_not_take_is_a_failed_connection() {
    let (key, other) = (KeyFile::new(), KeyFile::new());
    let words = ["pairs", "--users=2", "--duration=100ms", "--token-key", other.path()];
    at_once(&["message", "upgrade"], |place| {
        let outcome = against(&key, &[&words as &[&str], &["--token-at", place]].concat());
        // The first one ends the run.
        let failed = outcome.count("failed_connections");
        assert!(outcome.code == 1 && failed > 0, "{outcome:?}");
        assert_eq!(outcome.count("failures.closed with 3500"), failed, "{outcome:?}");
    });
}

#[test]
fn what_cannot_sign_in_by_token_is_refused_before_anything_runs() {
    let key = KeyFile::new();
    let refused = |words: &[&str], code: i32, said: &str| {
        let outcome = run(&[words, &["--url=ws://127.0.0.1:9/"]].concat());
        assert!(outcome.code == code && outcome.said.contains(said), "{words:?}: {outcome:?}");
    };
    refused(&["pairs", "--dialect=nchan", "--token-key", key.path()], 1, "sign_in_by_token");
    refused(&["echo", "--token-key", key.path()], 1, "nobody signs in");
    refused(&["pairs", "--token-at=upgrade"], 2, "--token-key");
    refused(&["pairs", "--token-key", "/nowhere"], 1, "/nowhere");
}
