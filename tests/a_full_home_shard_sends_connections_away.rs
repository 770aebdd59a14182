//! A shard without room sends connections away with 3000 and a time to come back; those it has stay, and with room it
//! takes new ones.

mod common;

use common::TestServer;
use common::raw::{PING, PONG, Raw, UPGRADE, auth, frame};
use longwire::metrics::{Counter, Gauge};
use std::io::{Read, Write};
use std::net::TcpStream;

/// What fits into the smallest table is this, a few more or less.
const PLENTY: usize = 40;

/// What becomes of somebody who signs in at a server that may be full.
enum Reception {
    In(Raw),
    /// With the reason.
    SentAway(String),
    /// No shard listens.
    Refused,
}

fn sign_in(server: &TestServer, user: &str) -> Reception {
    let Ok(mut stream) = TcpStream::connect(server.address()) else { return Reception::Refused };
    stream.set_read_timeout(Some(common::PATIENCE)).expect("a time-out");
    let hello = [UPGRADE.as_bytes(), &auth(user)].concat();
    let mut first = [0; 1];
    // The last shard may stop listening with this connection in its queue.
    if stream.write_all(&hello).is_err() || !matches!(stream.read(&mut first), Ok(1)) {
        return Reception::Refused;
    }
    let mut raw = Raw::over(stream);
    raw.expect_head();
    match raw.next_frame() {
        Some((common::raw::TEXT, _)) => Reception::In(raw),
        Some((common::raw::CLOSE, payload)) => {
            assert_eq!(payload[..2], 3000u16.to_be_bytes());
            Reception::SentAway(String::from_utf8_lossy(&payload[2..]).into_owned())
        }
        other => panic!("expected to be in or out, got {other:?}"),
    }
}

fn assert_alive(raw: &mut Raw) {
    raw.write(&frame(PING, b"?"));
    assert_eq!(raw.next_frame(), Some((PONG, b"?".to_vec())));
}

#[test]
fn a_full_home_shard_sends_connections_away() {
    let server = TestServer::small(2, 20);
    let (full, other) = (server.user_on(0, 0), server.user_on(1, 0));
    let mut inside = Vec::new();
    let reason = loop {
        assert!(inside.len() < PLENTY, "the shard has more room than it was given");
        match sign_in(&server, &full) {
            Reception::In(raw) => inside.push(raw),
            Reception::SentAway(reason) => break reason,
            Reception::Refused => {}
        }
    };
    let wait = reason.strip_prefix("retryAfter=").and_then(|ms| ms.parse::<u64>().ok());
    assert!(wait.is_some_and(|ms| ms > 0), "{reason}");
    assert!(server.count(Counter::HandOverFailed) > 0);
    inside.iter_mut().for_each(assert_alive);
    // The other shard has room for its own.
    let mut neighbour = loop {
        match sign_in(&server, &other) {
            Reception::In(raw) => break raw,
            Reception::SentAway(reason) => panic!("there was room: {reason}"),
            Reception::Refused => {}
        }
    };
    assert_alive(&mut neighbour);
    inside.truncate(5);
    server.wait_until("some have left", |server| server.level(Gauge::Connections) <= 6);
    let Reception::In(mut raw) = sign_in(&server, &full) else { panic!("there is room again") };
    assert_alive(&mut raw);
    inside.iter_mut().for_each(assert_alive);
}

#[test]
fn a_full_server_stops_listening_until_there_is_room() {
    let server = TestServer::small(2, 20);
    let users = [server.user_on(0, 0), server.user_on(1, 0)];
    let mut inside = Vec::new();
    // Refused twice by each: both are full, not one of them unlucky.
    let mut refused = 0;
    for n in 0.. {
        assert!(inside.len() < 2 * PLENTY, "the server has more room than it was given");
        match sign_in(&server, &users[n % 2]) {
            Reception::In(raw) => inside.push(raw),
            Reception::SentAway(_) => {}
            Reception::Refused => refused += 1,
        }
        if refused == 4 {
            break;
        }
    }
    inside.iter_mut().for_each(assert_alive);
    inside.truncate(2);
    server.wait_until("most have left", |server| server.level(Gauge::Connections) <= 2);
    for user in &users {
        let Reception::In(mut raw) = sign_in(&server, user) else { panic!("there is room again") };
        assert_alive(&mut raw);
    }
}
