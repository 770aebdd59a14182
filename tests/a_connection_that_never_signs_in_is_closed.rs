//! A connection has its time to sign in and no more: an upgraded one is closed with 3502, others just end.

mod common;

use common::TestServer;
use common::raw::{PING, Raw, UPGRADE, auth, frame, text};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;

#[test]
fn a_connection_that_never_signs_in_is_closed() {
    let server = TestServer::chat(2, &[("client.auth_timeout", "100ms")]);
    let mut inside = server.sign_in("alice");
    let mut silent = Raw::over(server.tcp());
    let mut half = Raw::over(server.tcp());
    half.write(&UPGRADE.as_bytes()[..40]);
    let mut upgraded = Raw::upgraded(&server);
    let mut busy = Raw::upgraded(&server);
    // Signs of life, and attempts, are no sign-in.
    busy.write(&frame(PING, b"?"));
    busy.write(&text(&json!({"type": "ping"})));
    busy.write(&text(&json!({"type": "message", "to": "alice", "message": 1})));
    let mut slow = Raw::upgraded(&server);
    slow.write(&auth("bob")[..20]);
    for raw in [&mut upgraded, &mut busy, &mut slow] {
        assert_eq!(raw.expect_close().0, 3502);
    }
    [&mut silent, &mut half].into_iter().for_each(Raw::expect_end);
    assert_eq!(server.count(Counter::ClosedNeverSignedIn), 3);
    inside.expect_nothing();
    drop((upgraded, busy, slow));
    server.wait_until("only Alice is left", |server| server.level(Gauge::Connections) == 1);
}
