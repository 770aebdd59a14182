//! Members of a group read what was said while they were away; who has left reads nothing of it, before and after a restart.

mod common;

use common::{Client, TestServer};
use serde_json::json;

fn may_read(client: &mut Client, messages: usize) {
    let answer = client.ask(&json!({"type": "sync"}), "sync");
    let room = &answer["conversations"][0];
    assert_eq!((&room["conversation"], &room["unread"]), (&json!("g:room"), &json!(messages)), "{answer}");
    assert_eq!(room["messages"].as_array().map(Vec::len), Some(messages), "{room}");
}

fn may_not_read(client: &mut Client, head: u64) {
    let answer = client.ask(&json!({"type": "sync", "cursors": {"g:room": 0}}), "sync");
    assert_eq!(answer["conversations"], json!([]));
    for command in [
        json!({"type": "history", "conversation": "g:room"}),
        json!({"type": "read", "conversation": "g:room", "seq": head}),
        json!({"type": "received", "conversation": "g:room", "seq": head}),
    ] {
        let error = client.ask(&command, "error");
        assert_eq!((&error["code"], &error["for"]), (&json!(403), &command["type"]));
    }
}

#[test]
fn one_who_left_cannot_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut head = 0;
    {
        let server = TestServer::stored(3, folder.path());
        for name in ["bob", "carol"] {
            server.sign_in(name).ask(&json!({"type": "joinGroup", "group": "room"}), "joined");
        }
        let mut alice = server.sign_in("alice");
        alice.ask(&json!({"type": "joinGroup", "group": "room"}), "joined");
        for n in 0..5 {
            let ack = alice
                .ask(&json!({"type": "message", "group": "room", "message": n, "id": n.to_string()}), "ack");
            head = ack["seq"].as_u64().expect("a number");
        }
        let (mut bob, mut carol) = (server.sign_in("bob"), server.sign_in("carol"));
        may_read(&mut bob, 5);
        may_read(&mut carol, 5);
        drop(carol);
        bob.ask(&json!({"type": "leaveGroup", "group": "room"}), "left");
        may_not_read(&mut bob, head);
    }
    let server = TestServer::stored(2, folder.path());
    may_not_read(&mut server.sign_in("bob"), head);
    may_not_read(&mut server.sign_in("mallory"), head);
    may_read(&mut server.sign_in("carol"), 5);
}
