//! Every event, letter for letter.

use super::*;
use crate::ids::{ConversationId, GroupName, Millis, Seq, SessionId, ShardId, UserName};
use crate::wire::{Durability, ErrorCode};

fn written(event: &Event<'_>) -> String {
    let mut out = b"kept ".to_vec();
    encode(event, &mut out);
    String::from_utf8(out).unwrap().strip_prefix("kept ").unwrap().to_owned()
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn json(bytes: &str) -> Payload<'_> {
    Payload { kind: PayloadKind::Json, bytes: bytes.as_bytes() }
}

#[test]
fn authenticated() {
    let (alice, limits) = (user("alice"), Limits { message_size: 32768, websocket_message_size: 65536 });
    let session = SessionId { shard: ShardId(1), index: 0x2a, generation: 3 };
    let event = |id| Event::Authenticated {
        id,
        user: &alice,
        session,
        heartbeat: 25000,
        time: Millis(1_700_000_000_000),
        limits,
    };
    let rest = r#""user":"alice","session":"1-2a-3","heartbeat":25000,"time":1700000000000,"limits":{"messageSize":32768,"websocketMessageSize":65536}}"#;
    assert_eq!(written(&event(None)), format!(r#"{{"type":"authenticated",{rest}"#));
    assert_eq!(written(&event(Some("1"))), format!(r#"{{"type":"authenticated","id":"1",{rest}"#));
}

#[test]
fn messages_and_history() {
    let (alice, conversation) = (user("alice"), ConversationId::parse("u:alice:bob").unwrap());
    let (to, room) = (Target::User(user("bob")), Target::Group(group("room")));
    let in_room = ConversationId::group(&group("room"));
    let private = StoredMessage {
        from: &alice,
        target: &to,
        payload: json("null"),
        id: Some("a\n"),
        conversation: &conversation,
        seq: Seq(9),
        prev: Seq(0),
        time: Millis(5),
    };
    let shown = r#"{"type":"message","from":"alice","to":"bob","message":null,"id":"a\n","conversation":"u:alice:bob","seq":9,"prev":0,"time":5}"#;
    assert_eq!(written(&Event::Message(private)), shown);
    let shared = StoredMessage { target: &room, id: None, conversation: &in_room, ..private };
    let shared_shown = r#"{"type":"message","from":"alice","group":"room","message":null,"conversation":"g:room","seq":9,"prev":0,"time":5}"#;
    assert_eq!(written(&Event::Message(shared)), shared_shown);

    let page = |messages| Event::History {
        id: Some("h"),
        conversation: &conversation,
        messages,
        first: Seq(9),
        more: false,
    };
    let opening = r#"{"type":"history","id":"h","conversation":"u:alice:bob","messages":"#;
    assert_eq!(written(&page(&[])), format!(r#"{opening}[],"first":9,"more":false}}"#));
    assert_eq!(
        written(&page(&[private, shared])),
        format!(r#"{opening}[{shown},{shared_shown}],"first":9,"more":false}}"#)
    );
}

#[test]
fn sync() {
    let (alice, to) = (user("alice"), Target::User(user("bob")));
    let conversations = ["u:alice:bob", "g:room"].map(|name| ConversationId::parse(name).unwrap());
    let messages = [StoredMessage {
        from: &alice,
        target: &to,
        payload: json("1"),
        id: None,
        conversation: &conversations[0],
        seq: Seq(9),
        prev: Seq(8),
        time: Millis(5),
    }];
    let full = SyncedConversation {
        conversation: &conversations[0],
        head: Seq(9),
        first: Seq(3),
        read: Seq(7),
        unread: 2,
        messages: &messages,
        more: true,
    };
    let empty = SyncedConversation {
        conversation: &conversations[1],
        head: Seq(0),
        first: Seq(0),
        read: Seq(0),
        unread: 0,
        messages: &[],
        more: false,
    };
    let shown = r#"{"conversation":"u:alice:bob","head":9,"first":3,"read":7,"unread":2,"messages":[{"type":"message","from":"alice","to":"bob","message":1,"conversation":"u:alice:bob","seq":9,"prev":8,"time":5}],"more":true}"#;
    let nothing =
        r#"{"conversation":"g:room","head":0,"first":0,"read":0,"unread":0,"messages":[],"more":false}"#;
    assert_eq!(
        written(&Event::Sync { id: None, conversations: &[], next: None }),
        r#"{"type":"sync","conversations":[]}"#
    );
    assert_eq!(
        written(&Event::Sync { id: Some("s"), conversations: &[full, empty], next: Some("n-1") }),
        format!(r#"{{"type":"sync","id":"s","conversations":[{shown},{nothing}],"next":"n-1"}}"#)
    );
}

#[test]
fn receipts() {
    let (bob, conversation) = (user("bob"), ConversationId::parse("u:alice:bob").unwrap());
    let receipt =
        |received, read| written(&Event::Receipt { conversation: &conversation, from: &bob, received, read });
    let opening = r#"{"type":"receipt","conversation":"u:alice:bob","from":"bob""#;
    assert_eq!(receipt(Some(Seq(9)), Some(Seq(7))), format!(r#"{opening},"received":9,"read":7}}"#));
    assert_eq!(receipt(Some(Seq(9)), None), format!(r#"{opening},"received":9}}"#));
    assert_eq!(receipt(None, Some(Seq(7))), format!(r#"{opening},"read":7}}"#));
}

#[test]
fn payload_kinds() {
    let alice = user("alice");
    let of = |kind, bytes| {
        written(&Event::Broadcast { from: &alice, payload: Payload { kind, bytes }, time: Millis(5) })
    };
    let around = |middle: &str| format!(r#"{{"type":"message","from":"alice","message":{middle},"time":5}}"#);
    assert_eq!(of(PayloadKind::Json, b"{ \"a\" : 1.0 }"), around(r#"{ "a" : 1.0 }"#));
    assert_eq!(of(PayloadKind::Text, "say \"h\u{e9}\"\n".as_bytes()), around(r#""say \"hé\"\n""#));
    assert_eq!(of(PayloadKind::Text, b"plain"), around(r#""plain""#));
    assert_eq!(of(PayloadKind::Bytes, b"\x00\xff\x10\x80"), around(r#""AP8QgA==","kind":"bytes""#));
    assert_eq!(of(PayloadKind::Bytes, b""), around(r#""","kind":"bytes""#));
}

#[test]
fn acks() {
    let conversation = ConversationId::parse("g:room").unwrap();
    let ack = |duplicate| Event::Ack {
        id: "1",
        conversation: &conversation,
        seq: Seq(9_007_199_254_740_991),
        prev: Seq(3),
        time: Millis(5),
        durability: Durability::Memory,
        duplicate,
    };
    let shown = r#"{"type":"ack","id":"1","conversation":"g:room","seq":9007199254740991,"prev":3,"time":5,"durability":"memory""#;
    assert_eq!(written(&ack(false)), format!("{shown}}}"));
    assert_eq!(written(&ack(true)), format!(r#"{shown},"duplicate":true}}"#));
    assert_eq!(
        written(&Event::BroadcastAck { id: "1", time: Millis(5) }),
        r#"{"type":"ack","id":"1","time":5,"durability":"none"}"#
    );
}

#[test]
fn groups() {
    let (room, bob) = (group("room"), user("bob"));
    let users = [user("alice"), user("b\"o\\b")];
    assert_eq!(
        written(&Event::Joined { id: None, group: &room, members: 2, seq: Seq(7) }),
        r#"{"type":"joined","group":"room","members":2,"seq":7}"#
    );
    assert_eq!(
        written(&Event::Left { id: Some("1"), group: &room }),
        r#"{"type":"left","id":"1","group":"room"}"#
    );
    assert_eq!(
        written(&Event::GroupEvent { group: &room, joined: true, user: &bob, members: 2 }),
        r#"{"type":"groupEvent","group":"room","event":"joined","user":"bob","members":2}"#
    );
    assert_eq!(
        written(&Event::GroupEvent { group: &room, joined: false, user: &bob, members: 1 }),
        r#"{"type":"groupEvent","group":"room","event":"left","user":"bob","members":1}"#
    );
    assert_eq!(
        written(&Event::Members { id: None, group: &room, users: &users, more: true }),
        r#"{"type":"members","group":"room","users":["alice","b\"o\\b"],"more":true}"#
    );
    assert_eq!(
        written(&Event::Members { id: None, group: &room, users: &[], more: false }),
        r#"{"type":"members","group":"room","users":[],"more":false}"#
    );
}

#[test]
fn notices() {
    let (alice, bob, room) = (user("alice"), Target::User(user("bob")), Target::Group(group("room")));
    assert_eq!(
        written(&Event::Typing { from: &alice, target: &bob }),
        r#"{"type":"typing","from":"alice","to":"bob"}"#
    );
    assert_eq!(
        written(&Event::Typing { from: &alice, target: &room }),
        r#"{"type":"typing","from":"alice","group":"room"}"#
    );
    assert_eq!(written(&Event::Pong { id: None, time: Millis(5) }), r#"{"type":"pong","time":5}"#);
    assert_eq!(written(&Event::Resync), r#"{"type":"resync"}"#);
    assert_eq!(written(&Event::Expiring { left: 60000 }), r#"{"type":"expiring","in":60000}"#);
}

#[test]
fn errors() {
    let error = |command, id, retry_after| {
        written(&Event::Error {
            code: ErrorCode::TooMany,
            reason: "too fast: \"slow down\"",
            command,
            id,
            retry_after,
        })
    };
    let opening = r#"{"type":"error","code":429,"reason":"too fast: \"slow down\"""#;
    assert_eq!(error(None, None, None), format!("{opening}}}"));
    assert_eq!(
        error(Some("message"), Some("1"), Some(250)),
        format!(r#"{opening},"for":"message","id":"1","retryAfter":250}}"#)
    );
}
