//! A server with nothing to do sleeps: no shard runs its loop, and none makes a system call.

mod common;

use common::TestServer;
use longwire::metrics::Counter;
use std::time::Duration;

const SHARDS: u16 = 4;
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(1);
/// The questions about it wake each shard; each takes a few turns.
const ASKED: u64 = 4 * SHARDS as u64;

/// What it did while it was watched: sleeps begun, and system calls that entered a ring.
fn idle(server: &TestServer) -> (u64, u64) {
    let before = [Counter::Parks, Counter::RingEnters].map(|counter| server.count(counter));
    std::thread::sleep(WATCHED);
    let after = [Counter::Parks, Counter::RingEnters].map(|counter| server.count(counter));
    (after[0] - before[0], after[1] - before[1])
}

#[test]
fn an_idle_server_sleeps() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let (parks, enters) = idle(&server);
    assert!(
        parks <= ASKED && enters <= ASKED,
        "with nobody there it slept {parks} times, made {enters} calls"
    );
    let mut clients: Vec<_> = (0..SHARDS).map(|shard| server.sign_in(&server.user_on(shard, 0))).collect();
    // The heartbeat looks at one connection of each shard now and then.
    let (parks, enters) = idle(&server);
    assert!(parks <= ASKED && enters <= ASKED, "idle it slept {parks} times, made {enters} calls");
    assert!(server.count(Counter::Parks) > 0);
    clients.iter_mut().for_each(common::Client::expect_nothing);
}
