//! Whoever signs in and syncs while others write has every message: what the answer does not have comes behind it.

mod common;

use common::{Client, TestServer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

const DEVICES: usize = 60;
/// Messages that a device waits for after its `sync`.
const LIVE: usize = 20;

/// The messages of an answer and those that came live, by conversation: each follows the one before it.
fn follows(heads: &mut BTreeMap<String, u64>, message: &Value) -> bool {
    let number = |field: &str| message[field].as_u64().expect("a number");
    let head = heads.entry(message["conversation"].as_str().expect("a name").to_owned()).or_default();
    let (seq, prev) = (number("seq"), number("prev"));
    assert!(seq <= *head || prev <= *head, "a gap between {head} and {message}");
    let is_new = seq > *head;
    *head = seq.max(*head);
    is_new
}

fn comes_back(bob: &mut Client) {
    bob.send(&json!({"type": "sync"}));
    let mut early = Vec::new();
    let answer = loop {
        let next = bob.next();
        match next["type"].as_str() {
            Some("message") => early.push(next),
            _ => break next,
        }
    };
    assert_eq!(answer["type"], "sync", "{answer}");
    let mut heads = BTreeMap::new();
    for conversation in answer["conversations"].as_array().expect("conversations") {
        let name = conversation["conversation"].as_str().expect("a name");
        heads.insert(name.to_owned(), conversation["head"].as_u64().expect("a number"));
    }
    assert_eq!(heads.len(), 2, "{answer}");
    // What came before the answer may be in it; what is not follows it.
    for message in &early {
        follows(&mut heads, message);
    }
    let mut live = 0;
    while live < LIVE {
        let next = bob.next();
        assert_eq!(next["type"], "message", "{next}");
        live += usize::from(follows(&mut heads, &next));
    }
}

#[test]
fn sync_and_live_delivery_leave_no_gap() {
    for durability in ["memory", "fsync"] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().to_str().expect("a path of text");
        let place = [("store.durability", durability), ("store.data_dir", folder)];
        let sizes = [("store.segment_size", "2MiB"), ("store.min_free", "0B")];
        let server = TestServer::chat(3, &[&place[..], &sizes[..]].concat());
        let mut bob = server.sign_in("bob");
        bob.ask(&json!({"type": "joinGroup", "group": "room"}), "joined");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut alice = server.sign_in("alice");
            alice.ask(&json!({"type": "joinGroup", "group": "room"}), "joined");
            bob.expect("groupEvent");
            for target in [("to", "bob"), ("group", "room")] {
                alice.ask(
                    &json!({"type": "message", target.0: target.1, "message": 0, "id": target.0}),
                    "ack",
                );
                bob.expect("message");
            }
            drop(bob);
            let stop = &stop;
            scope.spawn(move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    for target in [("to", "bob"), ("group", "room")] {
                        alice.send(&json!({"type": "message", target.0: target.1, "message": n}));
                    }
                    n += 1;
                    // Not faster than they are stored.
                    alice.ask(
                        &json!({"type": "message", "to": "bob", "message": n, "id": n.to_string()}),
                        "ack",
                    );
                }
            });
            for n in 0..DEVICES {
                let mut bob =
                    server.sign_in_with(&json!({"type": "auth", "username": "bob", "device": n.to_string()}));
                comes_back(&mut bob);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
