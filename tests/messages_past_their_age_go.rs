//! Messages older than `retention.max_age` go from history and sync, and stay away after a kill; newer ones stay, and numbers go on.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{Running, stored};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::Instant;

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream, user)
}

fn history(client: &mut Client) -> Value {
    client.ask(&json!({"type": "history", "conversation": "u:alice:bob", "limit": 100}), "history")
}

#[test]
fn messages_past_their_age_go() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Running::spawn(stored(folder.path(), &["--retention-max-age", "500ms"]), &["try"]);
    let mut server = start();
    let mut alice = client(&server, "alice");
    let mut last = 0;
    for n in 0..20 {
        let ack =
            alice.ask(&json!({"type": "message", "to": "bob", "message": n, "id": n.to_string()}), "ack");
        last = ack["seq"].as_u64().unwrap();
    }
    let begun = Instant::now();
    let mut bob = client(&server, "bob");
    loop {
        let page = history(&mut bob);
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            assert_eq!((&page["first"], &page["more"]), (&json!(0), &json!(false)), "{page}");
            break;
        }
        assert_eq!(page["first"], messages[0]["seq"], "{page}");
        assert_eq!(messages.last().unwrap()["seq"], last, "the oldest go first: {page}");
        assert!(begun.elapsed() < PATIENCE, "{page}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let synced = bob.ask(&json!({"type": "sync"}), "sync");
    let standing = &synced["conversations"][0];
    assert_eq!((&standing["head"], &standing["first"]), (&json!(last), &json!(0)), "{synced}");
    assert_eq!((&standing["messages"], &standing["unread"]), (&json!([]), &json!(0)), "{synced}");
    assert!(server.metric("longwire_store_trimmed_messages_total") >= 20.0);
    drop((alice, bob));
    server.signal("KILL");
    server.exit_code(PATIENCE);

    let server = start();
    let mut bob = client(&server, "bob");
    assert_eq!(history(&mut bob)["messages"], json!([]));
    let ack = bob.ask(&json!({"type": "message", "to": "alice", "message": "new", "id": "1"}), "ack");
    assert!(ack["seq"].as_u64().unwrap() > last && ack["prev"] == last, "{ack}");
    drop(bob);
    server.stop();
}
