//! A peer that says nothing for two heartbeats is closed with 3012; one that answers pings stays, and so does one that only
//! says other things.

mod common;

use common::TestServer;
use common::desk::{Desk, config};
use common::raw::{Raw, TEXT, frame};
use longwire::metrics::Counter;
use longwire::net::plane::PlaneConfig;
use std::io::Write;
use tungstenite::Message;

/// Pings that a living client answers: the silent one is long gone by then.
const BEATS: usize = 4;

#[test]
fn heartbeat_closes_the_silent() {
    let server = TestServer::chat(4, &[("client.ping_interval", "500ms")]);
    let silent: Vec<_> = (0..4).map(|shard| Raw::sign_in(&server, &server.user_on(shard, 0))).collect();
    let mut living: Vec<_> = (0..4).map(|shard| server.sign_in(&server.user_on(shard, 1))).collect();
    let ends = silent.into_iter().map(|mut raw| std::thread::spawn(move || raw.expect_close().0));
    let ends: Vec<_> = ends.collect();
    let mut beats = vec![0; living.len()];
    while beats.iter().any(|beats| *beats < BEATS) {
        for (client, beats) in living.iter_mut().zip(&mut beats) {
            match client.socket.read().expect("it stays open") {
                Message::Ping(_) => *beats += 1,
                other => panic!("expected a ping, got {other:?}"),
            }
            client.socket.flush().expect("the pong leaves");
        }
    }
    for end in ends {
        assert_eq!(end.join().expect("the silent one is told"), 3012);
    }
    living.iter_mut().for_each(common::Client::expect_nothing);
    assert_eq!(server.count(Counter::ClosedNoPong), 4);
    server.wait_until("their sessions are gone", |server| server.sessions() == 4);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    const INTERVAL: u64 = 1000;
    let mut desk = Desk::new(PlaneConfig { ping_interval: INTERVAL, ..config() }, 4, 16);
    let ((mut talks, who), (_silent, other)) = (desk.connect(), desk.connect());
    for n in 1..=20 {
        // Less than what counts as a standstill of the server's, and a frame for every three of them.
        for _ in 0..3 {
            desk.uptime += INTERVAL / 3;
            desk.turn();
        }
        talks.write_all(&frame(TEXT, b"hi")).expect("it takes bytes");
        desk.turn_until("it is heard", |desk| desk.tally.messages == n);
        assert!(desk.plane.is_talking(who), "it has answered no ping, but it talks");
    }
    assert!(!desk.plane.is_talking(other));
    assert_eq!(desk.plane.counters.get(Counter::ClosedNoPong), 1);
}
