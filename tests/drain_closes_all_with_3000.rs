//! A server that drains accepts nobody, closes everybody with 3000 and a time to come back, and ends within its time,
//! whoever does not answer.

mod common;

use common::TestServer;
use common::raw::Raw;
use longwire::metrics::Counter;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SHARDS: u16 = 4;
/// How long connections may take, and how long the rest of the end may.
const TIMEOUT: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_millis(2500);

#[test]
fn drain_closes_all_with_3000() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let mut clients: Vec<_> =
        (0..4 * SHARDS).map(|n| server.sign_in(&server.user_on(n % SHARDS, 0))).collect();
    let mut upgraded = Raw::upgraded(&server);
    let mut silent = Raw::over(server.tcp());
    // The server has seen it.
    server.wait_until("all are accepted", |server| {
        server.count(Counter::Accepted) == u64::from(4 * SHARDS) + 2
    });
    let address = server.address();
    let control = server.control();
    // Twice, as an impatient operator does.
    control.drain(TIMEOUT * 100);
    control.drain(TIMEOUT * 100);
    for client in &mut clients {
        assert_eq!(client.expect_close(), 3000);
        // The client library has answered; the rest of the handshake is the server's.
        while client.socket.read().is_ok() {}
    }
    let (code, reason) = upgraded.expect_close();
    assert_eq!(code, 3000);
    let wait = reason.strip_prefix("retryAfter=").and_then(|ms| ms.parse::<u64>().ok());
    assert!(wait.is_some_and(|ms| ms > 0), "{reason}");
    silent.expect_end();
    drop((upgraded, silent, clients));
    server.join();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_drain_ends_within_its_time_whoever_does_not_answer() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let mut mute: Vec<_> =
        (0..SHARDS).map(|shard| Raw::sign_in(&server, &server.user_on(shard, 0))).collect();
    let start = Instant::now();
    server.control().drain(TIMEOUT);
    for raw in &mut mute {
        assert_eq!(raw.expect_close().0, 3000);
    }
    server.join();
    let took = start.elapsed();
    assert!(took < TIMEOUT + SLACK, "it took {took:?}");
}
