//! A connection has its time to sign in and no more: an upgraded one is closed with 3502, others just end; a request
//! that does not come in its own time is answered with 408.

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

#[test]
fn a_request_is_given_its_time_and_no_more() {
    let server = TestServer::chat(1, &[("client.head_timeout", "50ms")]);
    let mut upgraded = Raw::upgraded(&server);
    let (mut silent, mut half) = (Raw::over(server.tcp()), Raw::over(server.tcp()));
    half.write(&UPGRADE.as_bytes()[..40]);
    for raw in [&mut silent, &mut half] {
        let head = raw.expect_head();
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    }
    assert_eq!(server.count(Counter::HeadTimeouts), 2);
    // Who has made a request has the rest of the time to sign in.
    upgraded.write(&auth("alice"));
    assert_eq!(upgraded.expect_event()["type"], "authenticated");
    drop((silent, half));
    server.wait_until("only Alice is left", |server| server.level(Gauge::Connections) == 1);
}
