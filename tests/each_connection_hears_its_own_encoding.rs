//! Two who speak different encodings hear the same, each in its own: messages with their seq, time and id, what happens in
//! a group, messages to everyone; and all that a server answers to a binary connection is binary.

mod common;

use common::proto::{Binary, Fields, Said, ask, command, said};
use common::{Client, TestServer};
use longwire::metrics::Counter;
use serde_json::{Value, json};

const SHARDS: u16 = 4;
/// Everybody hears of everybody's coming and going at a moment of its own: not counted here.
const QUIET: [(&str, &str); 1] = [("group.event_max_members", "0")];
const DURABILITY_NONE: u64 = 1;
const DURABILITY_MEMORY: u64 = 2;

/// A message to a user (`to`, 1) or a group (2), its content as `json` (4), `text` (5) or `bytes` (6).
fn say(target: (u8, &str), content: (u8, &[u8]), id: &str) -> Vec<u8> {
    command(ask::MESSAGE, &[(target.0, target.1.as_bytes()), content], id)
}

fn place_json(event: &Value) -> (&str, u64, u64, u64) {
    let number = |name: &str| event[name].as_u64().expect("a number");
    (event["conversation"].as_str().expect("a name"), number("seq"), number("prev"), number("time"))
}

/// The place of a message; an ack has the same four fields elsewhere.
fn place_proto(event: &Fields, first: u8) -> (&str, u64, u64, u64) {
    let number = |n: u8| event.number(first + n);
    (event.text(first), number(1), number(2), number(3))
}

fn place_of_message(said: &Said) -> (&str, u64, u64, u64) {
    place_proto(&said.event, 9)
}

/// A JSON client and a binary one on different shards, and another device of the second one's user that speaks JSON.
fn three(server: &TestServer) -> (String, Client, String, Binary, Client) {
    let (alice, bob) = (server.user_on(0, 0), server.user_on(1, 0));
    let (a, b) = (server.sign_in(&alice), Binary::sign_in(server, &bob));
    let other = server.sign_in(&bob);
    (alice, a, bob, b, other)
}

#[test]
fn a_private_message_reaches_each_in_its_own_form() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    let (alice, mut a, bob, mut b, mut other) = three(&server);
    let content = json!({"text": "grüße \"😀\"", "n": [1, 2.5, null]});
    let ack = a.ask(&json!({"type": "message", "to": bob, "message": content, "id": "from json"}), "ack");
    let (binary, text) = (b.expect(said::MESSAGE), other.expect("message"));
    assert_eq!(place_of_message(&binary), place_json(&ack));
    assert_eq!(place_json(&text), place_json(&ack));
    assert_eq!((binary.event.text(1), binary.event.text(2)), (&*alice, &*bob));
    assert_eq!((binary.event.text(5), binary.event.text(8)), (&*content.to_string(), "from json"));
    assert_eq!(binary.id, "", "it answers nothing");
    // The other way, each kind of content.
    for (kind, sent, shown, named) in [
        (4, &b" [1e2,\"\\u00fc\"] "[..], json!([100.0, "ü"]), Value::Null),
        (5, "\"quoted\" grüße".as_bytes(), json!("\"quoted\" grüße"), Value::Null),
        (6, &[0, 255, b'x'], json!("AP94"), json!("bytes")),
    ] {
        let id = format!("kind {kind}");
        let ack = b.ask(say((1, &alice), (kind, sent), &id), said::ACK);
        assert_eq!((&ack.id, ack.event.number(5), ack.event.number(6)), (&id, DURABILITY_MEMORY, 0));
        for client in [&mut a, &mut other] {
            let message = client.expect("message");
            assert_eq!(place_json(&message), place_proto(&ack.event, 1));
            assert_eq!((&message["from"], &message["to"]), (&json!(bob), &json!(alice)));
            assert_eq!((&message["message"], &message["kind"]), (&shown, &named));
            assert_eq!(message["id"], ack.id);
        }
        // The same id again is the same message, or a conflict.
        let again = b.ask(say((1, &alice), (kind, sent), &id), said::ACK);
        assert_eq!(place_proto(&again.event, 1), place_proto(&ack.event, 1));
        assert_eq!((again.id, again.event.number(6)), (id.clone(), 1));
        let conflict = b.ask(say((1, &alice), (5, b"other"), &id), said::ERROR);
        assert_eq!((conflict.id, conflict.event.number(1)), (id, 409));
    }
    [a, other].iter_mut().for_each(Client::expect_nothing);
    b.expect_nothing();
}

#[test]
fn a_group_hears_the_same_in_both_encodings() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let (alice, mut a, bob, mut b, mut other) = three(&server);
    for home in 0..SHARDS {
        let group = server.group_on(home, 0);
        assert_eq!(a.ask(&json!({"type": "joinGroup", "group": group}), "joined")["members"], 1);
        let joined = b.ask(command(ask::JOIN_GROUP, &[(1, group.as_bytes())], "join"), said::JOINED);
        assert_eq!((&*joined.id, joined.event.text(1), joined.event.number(2)), ("join", &*group, 2));
        let told = a.expect("groupEvent");
        assert_eq!(
            (&told["user"], &told["event"], &told["members"]),
            (&json!(bob), &json!("joined"), &json!(2))
        );
        let say_json = json!({"type": "message", "group": group, "message": home, "id": format!("{home}")});
        let ack = a.ask(&say_json, "ack");
        let (binary, text) = (b.expect(said::MESSAGE), other.expect("message"));
        assert_eq!((binary.event.text(3), place_of_message(&binary)), (&*group, place_json(&ack)));
        assert_eq!((&text["group"], place_json(&text)), (&json!(group), place_json(&ack)));
        let ack = b.ask(say((2, &group), (5, b"hello"), "1"), said::ACK);
        for client in [&mut a, &mut other] {
            assert_eq!(place_json(&client.expect("message")), place_proto(&ack.event, 1));
        }
        // What is not stored.
        b.send(command(ask::TYPING, &[(2, group.as_bytes())], ""));
        assert_eq!(a.expect("typing")["group"], group);
        a.send(&json!({"type": "typing", "group": group}));
        assert_eq!(b.expect(said::TYPING).event.text(3), group);
        assert_eq!(other.expect("typing")["from"], alice);
        // The group's members and history, each in its own form.
        let members = b.ask(command(ask::MEMBERS, &[(1, group.as_bytes())], "m"), said::MEMBERS);
        let named: Vec<_> = members.event.all(2).map(String::from_utf8_lossy).collect();
        assert_eq!(json!(named), a.ask(&json!({"type": "members", "group": group}), "members")["users"]);
        assert_same_history(&mut a, &mut b, &format!("g:{group}"));
        let left = b.ask(command(ask::LEAVE_GROUP, &[(1, group.as_bytes())], "l"), said::LEFT);
        assert_eq!((&*left.id, left.event.text(1)), ("l", &*group));
        assert_eq!(a.expect("groupEvent")["event"], "left");
        let refused = b.ask(say((2, &group), (5, b"hello"), "2"), said::ERROR);
        assert_eq!((refused.event.number(1), refused.event.text(3)), (403, "message"));
        let joined = a.ask(&json!({"type": "leaveGroup", "group": group}), "left");
        assert_eq!(joined["group"], group);
    }
}

fn assert_same_history(a: &mut Client, b: &mut Binary, conversation: &str) {
    let text = a.ask(&json!({"type": "history", "conversation": conversation}), "history");
    let binary = b.ask(command(ask::HISTORY, &[(1, conversation.as_bytes())], "h"), said::HISTORY);
    assert_eq!((&*binary.id, binary.event.text(1)), ("h", conversation));
    assert_eq!(text["first"], binary.event.number(3));
    let texts = text["messages"].as_array().expect("a list");
    let messages: Vec<_> = binary.event.all(2).map(Fields::of).collect();
    assert_eq!((texts.len(), messages.len()), (2, 2));
    for (text, message) in texts.iter().zip(&messages) {
        assert_eq!(place_json(text), place_proto(message, 9));
        assert_eq!((&text["from"], &text["id"]), (&json!(message.text(1)), &json!(message.text(8))));
    }
}

#[test]
fn a_message_to_everyone_reaches_each_in_its_own_form() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    let (alice, mut a, bob, mut b, mut other) = three(&server);
    let ack = a.ask(&json!({"type": "message", "message": "news", "id": "1"}), "ack");
    let told = b.expect(said::MESSAGE).event;
    assert_eq!((told.text(1), told.text(5), told.has(4)), (&*alice, "\"news\"", true));
    assert_eq!((told.text(9), json!(told.number(12))), ("", ack["time"].clone()));
    assert_eq!(other.expect("message")["message"], "news");
    let everyone = command(ask::MESSAGE, &[(3, b""), (5, b"more")], "2");
    let ack = b.ask(everyone, said::ACK);
    assert_eq!((ack.event.text(1), ack.event.number(5)), ("", DURABILITY_NONE));
    for client in [&mut a, &mut other] {
        let told = client.expect("message");
        assert_eq!((&told["from"], &told["message"]), (&json!(bob), &json!("more")));
        assert_eq!(told["time"], ack.event.number(4));
    }
}

#[test]
fn what_a_binary_connection_is_answered_is_binary() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    let bob = server.user_on(1, 0);
    let mut b = Binary::connect(&server);
    // Before anyone signs in.
    assert_eq!(b.ask(command(ask::PING, &[], "early"), said::PONG).id, "early");
    let refused = b.ask(command(ask::JOIN_GROUP, &[(1, b"g")], "no"), said::ERROR);
    assert_eq!((&*refused.id, refused.event.number(1), refused.event.text(3)), ("no", 401, "joinGroup"));
    let unknown = b.ask(command(14, &[], "what"), said::ERROR);
    assert_eq!((&*unknown.id, unknown.event.number(1), unknown.event.text(3)), ("what", 400, ""));
    let sign_in = command(ask::AUTH, &[(2, bob.as_bytes()), (3, b"phone")], "hello");
    let welcome = b.ask(sign_in.clone(), said::AUTHENTICATED);
    assert_eq!((&*welcome.id, welcome.event.text(1)), ("hello", &*bob));
    assert!(welcome.event.number(3) > 0 && welcome.event.number(4) > 0 && welcome.event.has(5));
    // And after.
    assert_eq!(b.ask(command(ask::PING, &[], "late"), said::PONG).id, "late");
    assert_eq!(b.ask(sign_in.clone(), said::AUTHENTICATED).id, "hello");
    for (frame, code, named) in [
        (command(14, &[], "e"), 400, ""),
        (command(ask::MESSAGE, &[(5, b"to whom?")], "e"), 400, "message"),
        (say((1, "alice"), (4, b"{"), "e"), 400, "message"),
        (say((2, "nobody's"), (5, b"x"), "e"), 403, "message"),
        (say((1, "alice"), (6, &[0; 40_000]), "e"), 413, "message"),
        (command(ask::HISTORY, &[(1, b"u:x:y")], "e"), 403, "history"),
        (command(ask::AUTH, &[(2, b"mallory")], "e"), 403, "auth"),
    ] {
        let refused = b.ask(frame, said::ERROR);
        assert_eq!((&*refused.id, refused.event.number(1), refused.event.text(3)), ("e", code, named));
        assert!(!refused.event.text(2).is_empty());
    }
    // A close frame is the same in every encoding.
    let mut newer = Binary::connect(&server);
    newer.ask(sign_in, said::AUTHENTICATED);
    assert_eq!(b.expect_close(), 3503);
    server.control().drain(std::time::Duration::from_secs(1));
    assert_eq!(newer.expect_close(), 3000);
}

/// What reaches many, and some answers: the events of one round, by encoding.
fn encoded(server: &TestServer, a: &mut Client, b: &mut Client, name: &str, group: &str) -> [u64; 2] {
    let counts = || [Counter::EncodedJson, Counter::EncodedProto].map(|counter| server.count(counter));
    let before = counts();
    for (n, target) in [("to", name), ("group", group)].into_iter().enumerate() {
        let id = format!("{n} after {before:?}");
        a.ask(&json!({"type": "message", target.0: target.1, "message": 1, "id": id}), "ack");
        b.expect("message");
    }
    a.send(&json!({"type": "typing", "to": name}));
    b.expect("typing");
    let after = counts();
    [0, 1].map(|n| after[n] - before[n])
}

#[test]
fn what_nobody_speaks_is_never_written() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    let (alice, bob) = (server.user_on(0, 0), server.user_on(1, 0));
    let (mut a, mut b) = (server.sign_in(&alice), server.sign_in(&bob));
    let group = server.group_on(2, 0);
    for client in [&mut a, &mut b] {
        client.ask(&json!({"type": "joinGroup", "group": group}), "joined");
    }
    assert_eq!(encoded(&server, &mut a, &mut b, &bob, &group), [5, 0], "two messages, two acks and typing");
    assert_eq!(server.count(Counter::EncodedProto), 0);
    // With somebody somewhere who speaks it, what many may hear is written for it too; and no more once it is gone.
    let stranger = Binary::sign_in(&server, &server.user_on(3, 0));
    assert_eq!(server.count(Counter::EncodedProto), 1, "it is told that it is signed in");
    assert_eq!(encoded(&server, &mut a, &mut b, &bob, &group), [5, 3]);
    drop(stranger);
    server.wait_until("the stranger has left", |server| server.sessions() == 2);
    assert_eq!(encoded(&server, &mut a, &mut b, &bob, &group), [5, 0]);
}
