//! A message sent again with the same `id`, on any connection, is the same message: its first number, and no second
//! delivery.

mod common;

use common::TestServer;
use serde_json::{Value, json};

const SHARDS: u16 = 4;

fn assert_duplicate(again: &Value, first: &Value) {
    assert_eq!(again["duplicate"], true, "{again}");
    for field in ["id", "conversation", "seq", "prev", "time", "durability"] {
        assert_eq!(again[field], first[field], "{field} of {again} and {first}");
    }
}

#[test]
fn a_resend_with_the_same_id_is_one_message() {
    let server = TestServer::chat(usize::from(SHARDS), &[("group.event_max_members", "0")]);
    for from in 0..SHARDS {
        let (alice, bob) = (server.user_on(from, 0), server.user_on((from + 1) % SHARDS, 1));
        let (mut a, mut b) = (server.sign_in(&alice), server.sign_in(&bob));
        let group = server.group_on((from + 2) % SHARDS, 0);
        for client in [&mut a, &mut b] {
            client.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        }
        for target in [("to", bob.as_str()), ("group", group.as_str())] {
            let message =
                |what: &str| json!({"type": "message", target.0: target.1, "message": what, "id": what});
            let mut sender = server.sign_in(&alice);
            let first = sender.ask(&message("once"), "ack");
            assert!(first.get("duplicate").is_none(), "{first}");
            assert_duplicate(&sender.ask(&message("once"), "ack"), &first);
            // The client lost its connection and does not know what became of it.
            drop(sender);
            let mut sender = server.sign_in(&alice);
            assert_duplicate(&sender.ask(&message("once"), "ack"), &first);
            let second = sender.ask(&message("twice"), "ack");
            assert_eq!(second["prev"], first["seq"], "nothing was numbered in between");
            // Bob and Alice's other device see each message once.
            for client in [&mut a, &mut b] {
                for ack in [&first, &second] {
                    assert_eq!(client.expect("message")["seq"], ack["seq"]);
                }
                client.expect_nothing();
            }
        }
    }
}

#[test]
fn resends_in_one_write_are_one_message() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let (alice, bob) = (server.user_on(0, 0), server.user_on(1, 0));
    let mut b = server.sign_in(&bob);
    let mut a = common::raw::Raw::sign_in(&server, &alice);
    let message = json!({"type": "message", "to": bob, "message": "x", "id": "x"});
    a.write(&common::raw::text(&message).repeat(5));
    let first = a.expect_event();
    assert_eq!(first["type"], "ack", "{first}");
    for _ in 1..5 {
        assert_duplicate(&a.expect_event(), &first);
    }
    assert_eq!(b.expect("message")["seq"], first["seq"]);
    b.expect_nothing();
}
