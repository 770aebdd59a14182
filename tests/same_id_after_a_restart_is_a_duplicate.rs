//! A message sent again under its `id` after a restart is the one from before, however much was said since; other content under it is a
//! conflict.

mod common;

use common::TestServer;
use serde_json::json;

#[test]
fn same_id_after_a_restart_is_a_duplicate() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |id: &str, what: &str| json!({"type": "message", "to": "bob", "message": what, "id": id});
    let before = {
        let server = TestServer::stored(1, folder.path());
        let mut alice = server.sign_in("alice");
        alice.ask(&say("once", "hello"), "ack");
        alice.ask(&say("twice", "hello again"), "ack")
    };
    let server = TestServer::stored(2, folder.path());
    let (mut alice, mut bob) = (server.sign_in("alice"), server.sign_in("bob"));
    let again = alice.ask(&say("twice", "hello again"), "ack");
    assert_eq!(again["duplicate"], true, "{again}");
    for field in ["seq", "prev", "time", "durability"] {
        assert_eq!(again[field], before[field], "{field}");
    }
    assert_eq!(alice.ask(&say("once", "something else"), "error")["code"], 409);
    bob.expect_nothing();
    let page = bob.ask(&json!({"type": "history", "conversation": "u:alice:bob"}), "history");
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2), "{page}");
}

/// Messages said since the one that is sent again.
const SINCE: usize = 5000;
/// Sent before their acks are read.
const AHEAD: usize = 250;

#[test]
fn so_is_one_that_many_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |n: usize| json!({"type": "message", "to": "bob", "message": n, "id": format!("m{n}")});
    let mut acks = Vec::new();
    {
        let server = TestServer::stored(1, folder.path());
        let mut alice = server.sign_in("alice");
        for from in (0..=SINCE).step_by(AHEAD) {
            let numbers = from..(from + AHEAD).min(SINCE + 1);
            numbers.clone().for_each(|n| alice.send(&say(n)));
            acks.extend(numbers.map(|_| alice.expect("ack")));
        }
    }
    let server = TestServer::stored(1, folder.path());
    let mut alice = server.sign_in("alice");
    for n in [0, 1, SINCE / 2, SINCE] {
        let again = alice.ask(&say(n), "ack");
        assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &acks[n]["seq"]), "{n}: {again}");
    }
    let new = alice.ask(&say(SINCE + 1), "ack");
    assert_eq!((&new["duplicate"], &new["prev"]), (&json!(null), &acks[SINCE]["seq"]), "{new}");
}
