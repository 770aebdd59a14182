//! Many who come back at once and have missed nothing cost no read of the store: neither their conversations, nor how these stand.

mod common;

use common::{Client, TestServer};
use longwire::metrics::Counter;
use serde_json::{Map, Value, json};

const USERS: usize = 40;
const READS: [Counter; 3] = [Counter::ListsMissed, Counter::HeadsMissed, Counter::TailsMissed];

fn name(n: usize) -> String {
    format!("user{}", n % USERS)
}

/// A `sync`'s answer; receipts of what others have read come in between.
fn sync(client: &mut Client, cursors: &Map<String, Value>) -> Value {
    client.send(&json!({"type": "sync", "cursors": cursors}));
    loop {
        let next = client.next();
        match next["type"].as_str() {
            Some("sync") => return next,
            Some("receipt") => {}
            _ => panic!("{next}"),
        }
    }
}

#[test]
fn a_reconnect_with_nothing_new_reads_no_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::stored(3, folder.path());
    for n in 0..USERS {
        let mut client = server.sign_in(&name(n));
        client.ask(&json!({"type": "joinGroup", "group": "room"}), "joined");
        for other in 1..6 {
            let to = name(n + other);
            client.ask(&json!({"type": "message", "to": to, "message": n, "id": to}), "ack");
        }
    }
    // Each learns how things stand, and reads it.
    let mut held: Vec<Map<String, Value>> = Vec::new();
    for n in 0..USERS {
        let mut client = server.sign_in(&name(n));
        let answer = sync(&mut client, &Map::new());
        let all = answer["conversations"].as_array().expect("conversations");
        assert_eq!(all.len(), 11, "{answer}");
        let stand =
            |one: &Value| (one["conversation"].as_str().expect("a name").to_owned(), one["head"].clone());
        let cursors: Map<String, Value> = all.iter().map(stand).collect();
        for (conversation, head) in cursors.iter().filter(|(_, head)| **head != 0) {
            client.send(&json!({"type": "read", "conversation": conversation, "seq": head}));
        }
        let after = sync(&mut client, &cursors);
        assert_eq!(after["conversations"], json!([]));
        held.push(cursors);
    }
    server.wait_until("all have gone", |server| server.sessions() == 0);
    let before = READS.map(|counter| server.count(counter));
    let known = server.count(Counter::HeadsHit);
    let mut clients: Vec<_> = (0..USERS).map(|n| server.sign_in(&name(n))).collect();
    for (client, cursors) in clients.iter_mut().zip(&held) {
        let answer = sync(client, cursors);
        assert_eq!((&answer["conversations"], &answer["next"]), (&json!([]), &Value::Null));
    }
    assert_eq!(READS.map(|counter| server.count(counter)), before, "all of it was in memory");
    assert_eq!(server.count(Counter::HeadsHit) - known, (USERS * 11) as u64);
    // And what is new is in memory too.
    clients[0].send(&json!({"type": "message", "to": name(1), "message": "new", "id": "new"}));
    while clients[0].next()["type"] != "ack" {}
    while clients[1].next()["type"] != "message" {}
    let answer = sync(&mut clients[1], &held[1]);
    assert_eq!(answer["conversations"][0]["messages"][0]["message"], "new", "{answer}");
    assert_eq!(READS.map(|counter| server.count(counter)), before);
}
