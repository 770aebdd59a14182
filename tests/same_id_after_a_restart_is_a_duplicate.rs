//! A message sent again under its `id` after a restart is the one from before; other content under it is a conflict.

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
