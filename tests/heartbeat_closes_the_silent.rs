//! A peer that answers no ping for two heartbeats is closed with 3012; one that answers stays, whatever else it says.

mod common;

use common::TestServer;
use common::raw::Raw;
use longwire::metrics::Counter;
use tungstenite::Message;

/// Pings that a living client answers: the silent one is long gone by then.
const BEATS: usize = 8;

#[test]
fn heartbeat_closes_the_silent() {
    let server = TestServer::chat(4, &[("client.ping_interval", "100ms")]);
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
