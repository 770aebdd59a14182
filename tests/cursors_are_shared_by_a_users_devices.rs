//! What was read on one device is read on all, also after a restart.

mod common;

use common::{Client, TestServer};
use serde_json::{Value, json};

fn stands(device: &mut Client) -> Value {
    let answer = device.ask(&json!({"type": "sync"}), "sync");
    let conversation = &answer["conversations"][0];
    json!([conversation["read"], conversation["unread"]])
}

#[test]
fn cursors_are_shared_by_a_users_devices() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seqs = Vec::new();
    {
        let server = TestServer::stored(3, folder.path());
        let (mut alice, mut phone, mut desk) =
            (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("bob"));
        for n in 0..10 {
            let ack =
                alice.ask(&json!({"type": "message", "to": "bob", "message": n, "id": n.to_string()}), "ack");
            seqs.push(ack["seq"].clone());
            phone.expect("message");
            desk.expect("message");
        }
        assert_eq!(stands(&mut phone), json!([0, 10]));
        phone.send(&json!({"type": "read", "conversation": "u:alice:bob", "seq": seqs[6]}));
        // The other side is told, when the phone's command has been handled.
        let receipt = alice.expect("receipt");
        assert_eq!((&receipt["read"], &receipt["received"]), (&seqs[6], &seqs[6]));
        assert_eq!(stands(&mut desk), json!([seqs[6], 3]));
        desk.send(&json!({"type": "received", "conversation": "u:alice:bob", "seq": seqs[9]}));
        assert_eq!(alice.expect("receipt")["received"], seqs[9]);
        desk.send(&json!({"type": "read", "conversation": "u:alice:bob", "seq": seqs[2]}));
        assert_eq!(stands(&mut phone), json!([seqs[6], 3]), "never back");
    }
    let server = TestServer::stored(2, folder.path());
    let mut desk = server.sign_in("bob");
    assert_eq!(stands(&mut desk), json!([seqs[6], 3]));
    desk.ask(&json!({"type": "message", "to": "alice", "message": "all read", "id": "x"}), "ack");
    let mut phone = server.sign_in("bob");
    assert_eq!(stands(&mut phone)[1], 0, "who sends has read");
}
