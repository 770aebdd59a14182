//! A new device of someone with a thousand conversations asks once and has them all, each with its newest message.

mod common;

use common::TestServer;
use serde_json::{Value, json};

const CONVERSATIONS: usize = 1000;

#[test]
fn a_new_device_is_usable_after_one_round_trip() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let server = TestServer::stored(2, folder.path());
        let mut alice = server.sign_in("alice");
        for n in 0..CONVERSATIONS {
            let to = format!("user{n}");
            alice.send(&json!({"type": "message", "to": to, "message": n, "id": n.to_string()}));
        }
        for _ in 0..CONVERSATIONS {
            alice.expect("ack");
        }
    }
    // Nothing is in memory, and the cores are others.
    let server = TestServer::stored(3, folder.path());
    let mut phone = server.sign_in("alice");
    let answer = phone.ask(&json!({"type": "sync"}), "sync");
    let mut found: Vec<u64> = Vec::new();
    for conversation in answer["conversations"].as_array().expect("conversations") {
        let messages = conversation["messages"].as_array().expect("messages");
        let [message] = &messages[..] else { panic!("the one message: {conversation}") };
        assert_eq!(message["seq"], conversation["head"]);
        assert_eq!((&conversation["unread"], &conversation["read"]), (&json!(0), &conversation["head"]));
        found.push(message["message"].as_u64().expect("a number"));
    }
    found.sort_unstable();
    assert_eq!(found, (0..CONVERSATIONS as u64).collect::<Vec<_>>());
    assert_eq!(answer["next"], Value::Null, "all of it in one answer");
}
