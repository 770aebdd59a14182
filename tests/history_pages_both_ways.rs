//! A conversation's messages can be read page by page, backwards from its end and forwards from anywhere, without gaps.

mod common;

use common::{Client, TestServer};
use serde_json::{Map, Value, json};

const MESSAGES: usize = 57;
const PAGE: usize = 10;

/// Reads pages in one direction until there are no more; all messages in growing order.
fn read_all(client: &mut Client, conversation: &str, backwards: bool) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let mut ask = json!({"type": "history", "conversation": conversation, "limit": PAGE, "id": "h"});
        let from = if backwards { all.first() } else { all.last() };
        if let Some(from) = from {
            ask[if backwards { "before" } else { "after" }] = from["seq"].clone();
        } else if !backwards {
            ask["after"] = json!(0);
        }
        let answer = client.ask(&ask, "history");
        assert_eq!((&answer["id"], &answer["conversation"]), (&json!("h"), &json!(conversation)));
        let page = answer["messages"].as_array().expect("a list").clone();
        assert!(page.len() <= PAGE);
        if backwards {
            all.splice(0..0, page);
        } else {
            all.extend(page);
        }
        assert_eq!(answer["more"], all.len() < MESSAGES, "{} are read", all.len());
        if answer["more"] == false {
            assert_eq!(answer["first"], all[0]["seq"]);
            return all;
        }
    }
}

/// What a message and its place in history have in common.
fn essence(message: &Value) -> Map<String, Value> {
    let fields = ["from", "to", "group", "message", "conversation", "seq", "prev", "time", "id"];
    let kept =
        message.as_object().expect("an object").iter().filter(|(name, _)| fields.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn history_pages_both_ways() {
    let server = TestServer::chat(4, &[("group.event_max_members", "0")]);
    for home in 0..4 {
        let (alice, bob) = (server.user_on(home, 0), server.user_on((home + 1) % 4, 0));
        let group = server.group_on((home + 2) % 4, 0);
        let [mut a, mut b] = [&alice, &bob].map(|user| server.sign_in(user));
        for client in [&mut a, &mut b] {
            client.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        }
        for target in [("to", &bob), ("group", &group)] {
            let mut seen = Vec::new();
            for n in 0..MESSAGES {
                let message =
                    json!({"type": "message", target.0: target.1, "message": {"n": n}, "id": format!("{n}")});
                a.ask(&message, "ack");
                seen.push(essence(&b.expect("message")));
            }
            let conversation = seen[0]["conversation"].as_str().expect("a name").to_owned();
            for client in [&mut a, &mut b] {
                for backwards in [true, false] {
                    let read: Vec<_> =
                        read_all(client, &conversation, backwards).iter().map(essence).collect();
                    assert_eq!(read, seen);
                }
            }
            for (n, message) in seen.iter().enumerate().skip(1) {
                assert_eq!(message["prev"], seen[n - 1]["seq"], "whoever holds `prev` has no gap");
            }
        }
    }
}

#[test]
fn history_of_nothing_is_empty() {
    let server = TestServer::chat(2, &[]);
    let mut alice = server.sign_in("alice");
    let answer = alice.ask(&json!({"type": "history", "conversation": "u:alice:bob"}), "history");
    assert_eq!((&answer["messages"], &answer["more"]), (&json!([]), &json!(false)));
}
