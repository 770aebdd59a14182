//! A peer that vanishes, at any step from connect to signed in, politely or not, leaves no connection, session or slot.

mod common;

use common::TestServer;
use common::raw::{CLOSE, Raw, UPGRADE, auth, frame, text};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use socket2::SockRef;
use std::time::Duration;

const SHARDS: u16 = 4;
const ROUNDS: u16 = 8;

/// How a peer goes.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// The end of its stream.
    End,
    /// A reset, with whatever the server has still to say.
    Reset,
}

fn vanish(raw: Raw, exit: Exit) {
    if matches!(exit, Exit::Reset) {
        SockRef::from(&raw.stream).set_linger(Some(Duration::ZERO)).expect("a reset");
    }
    drop(raw);
}

#[test]
fn a_peer_that_vanishes_leaves_nothing() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let (user, group) = (server.user_on(round % SHARDS, 0), server.group_on(round / 2 % SHARDS, 0));
        let (head, auth) = (UPGRADE.as_bytes(), auth(&user));
        let join = text(&json!({"type": "joinGroup", "group": group}));
        let steps: [Vec<u8>; 9] = [
            Vec::new(),
            head[..head.len() / 2].to_vec(),
            head.to_vec(),
            [head, &auth[..auth.len() / 2]].concat(),
            [head, &auth].concat(),
            [head, &auth, &join].concat(),
            [head, &auth, &join[..join.len() / 2]].concat(),
            [head, &frame(CLOSE, &1000u16.to_be_bytes())].concat(),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ];
        for exit in [Exit::End, Exit::Reset] {
            for (n, step) in steps.iter().enumerate() {
                let mut raw = Raw::over(server.tcp());
                raw.write(step);
                // With and without waiting for what the server says to it.
                if n >= 2 && round % 2 == 0 {
                    raw.expect_head();
                }
                vanish(raw, exit);
                accepted += 1;
            }
        }
    }
    server.wait_until("everybody was accepted", |server| server.count(Counter::Accepted) == accepted);
    server.wait_until("everybody is gone", |server| {
        [Gauge::Connections, Gauge::OutboxBytes, Gauge::AssemblyBytes]
            .iter()
            .all(|gauge| server.level(*gauge) == 0)
            && server.sessions() == 0
    });
    // Those who came as far as joining are members still; nobody else is known.
    assert!(server.level(Gauge::Users) <= u64::from(SHARDS));
    server.sign_in(&server.user_on(0, 1)).expect_nothing();
}

#[test]
fn slots_come_back_whoever_vanishes() {
    // 14 places on each of two shards, and far more peers than that.
    let server = TestServer::small(2, 20);
    for round in 0..100u16 {
        let user = server.user_on(round % 2, 0);
        let mut raw = Raw::over(server.tcp());
        raw.write(&[UPGRADE.as_bytes(), &auth(&user)].concat());
        if round % 3 == 0 {
            raw.expect_upgrade();
        }
        vanish(raw, if round % 4 < 2 { Exit::End } else { Exit::Reset });
        server.wait_until("its place is free", |server| server.level(Gauge::Connections) == 0);
    }
    assert_eq!(server.count(Counter::HandOverFailed), 0, "a place was never given back");
}
