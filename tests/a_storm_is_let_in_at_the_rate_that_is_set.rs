//! Of clients that connect all at once no more are upgraded than `rate.handshakes` allows. The others get HTTP 503 with a time to
//! come back, and do get in then; who is in already notices nothing.

mod common;

use common::TestServer;
use common::raw::{Raw, UPGRADE};
use longwire::metrics::{Counter, Gauge};
use std::time::Instant;

const CLIENTS: u64 = 100;

/// Asks for an upgrade: `None` if it was granted, else the seconds to wait.
fn knock(server: &TestServer) -> (Raw, Option<u64>) {
    let mut raw = Raw::over(server.tcp());
    raw.write(UPGRADE.as_bytes());
    let head = raw.expect_head();
    let field = head.lines().find_map(|line| line.strip_prefix("Retry-After: "));
    let seconds = field.map(|seconds| seconds.parse().expect("seconds"));
    let status = if seconds.is_some() { "HTTP/1.1 503 " } else { "HTTP/1.1 101 " };
    assert!(head.starts_with(status), "{head}");
    (raw, seconds)
}

#[test]
fn a_storm_is_let_in_at_the_rate_that_is_set() {
    // One a second: the hundred would take far longer than a test waits.
    let server = TestServer::chat(1, &[("rate.handshakes", "1")]);
    let start = Instant::now();
    let mut inside = server.sign_in("alice");
    let storm: Vec<_> = (0..CLIENTS).map(|_| knock(&server)).collect();
    let sent_away: Vec<u64> = storm.iter().filter_map(|(_, seconds)| *seconds).collect();
    assert!(
        !sent_away.is_empty() && sent_away.iter().all(|seconds| (1..=5).contains(seconds)),
        "{sent_away:?}"
    );
    assert!(sent_away.windows(2).any(|pair| pair[0] != pair[1]), "not all at once: {sent_away:?}");
    assert_eq!(server.count(Counter::Shed), sent_away.len() as u64);
    assert_eq!(server.count(Counter::Upgraded), 1 + CLIENTS - sent_away.len() as u64);
    // One may come at once, and one each second; a tick of the clock may make a second shorter.
    let granted = 1 + CLIENTS - sent_away.len() as u64;
    let most = 2 + start.elapsed().as_secs();
    assert!(granted <= most, "{granted} were let in, and no more than {most} may be");
    inside.expect_nothing();
    let mut tries = 0..;
    while tries.next().is_some() && knock(&server).1.is_some() {}
    drop(storm);
    server.wait_until("only Alice is left", |server| server.level(Gauge::Connections) == 1);
}
