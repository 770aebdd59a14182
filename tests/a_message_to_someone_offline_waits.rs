//! A message to someone who is not there is in the history when they come, however long that takes and whatever happened to the server.

mod common;

use common::TestServer;
use serde_json::json;

const MESSAGES: u64 = 250;

#[test]
fn a_message_to_someone_offline_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sent = Vec::new();
    {
        let server = TestServer::stored(2, folder.path());
        let mut alice = server.sign_in("alice");
        for n in 0..MESSAGES {
            alice.send(&json!({"type": "message", "to": "bob", "message": n, "id": n.to_string()}));
        }
        for _ in 0..MESSAGES {
            sent.push(alice.expect("ack")["seq"].as_u64().expect("a number"));
        }
    }
    let server = TestServer::stored(1, folder.path());
    let mut bob = server.sign_in("bob");
    // Forwards from the beginning, a page at a time.
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let ask = json!({"type": "history", "conversation": "u:alice:bob", "after": after, "limit": 40});
        let page = bob.ask(&ask, "history");
        let messages = page["messages"].as_array().expect("a page");
        read.extend(messages.iter().map(|message| message["seq"].as_u64().expect("a number")));
        after = *read.last().expect("the first page is not empty");
        if page["more"] != true {
            break;
        }
    }
    assert_eq!(read, sent);
    // And backwards from the end.
    let page = bob.ask(&json!({"type": "history", "conversation": "u:alice:bob", "limit": 40}), "history");
    let last: Vec<_> =
        page["messages"].as_array().expect("a page").iter().map(|m| m["message"].clone()).collect();
    assert_eq!(last, (MESSAGES - 40..MESSAGES).map(|n| json!(n)).collect::<Vec<_>>());
}
