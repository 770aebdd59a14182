//! Events as a client reads them in binary, put into the words of JSON: what docs/protocol.md says the two have in common.

use crate::schema::{
    Ack, Authenticated, Durability, Error, Expiring, GroupEvent, History, Joined, Left, Members, Message,
    Pong, Receipt, Resync, ServerFrame, Sync, SyncedConversation, Typing, group_event::Kind, message,
    server_frame::Event, typing,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// What `frame` is in JSON. What is empty or 0 there because it was not given is left out here.
///
/// # Panics
/// When the frame is none that the server may send.
pub fn json(frame: &ServerFrame) -> Value {
    let mut value = match frame.event.as_ref().expect("an event") {
        Event::Message(message) => stored(message),
        Event::Ack(ack) => acked(ack),
        Event::Error(Error { code, reason, command, retry_after }) => {
            let mut value = json!({"type": "error", "code": code, "reason": reason});
            given(&mut value, "for", command);
            if *retry_after > 0 {
                value["retryAfter"] = json!(retry_after);
            }
            value
        }
        Event::Authenticated(Authenticated { user, session, heartbeat, time, limits }) => {
            let limits = limits.expect("limits");
            let limits = json!({
                "messageSize": limits.message_size, "websocketMessageSize": limits.websocket_message_size,
            });
            json!({
                "type": "authenticated", "user": user, "session": session, "heartbeat": heartbeat, "time": time,
                "limits": limits,
            })
        }
        Event::Joined(Joined { group, members, seq }) => {
            json!({"type": "joined", "group": group, "members": members, "seq": seq})
        }
        Event::Left(Left { group }) => json!({"type": "left", "group": group}),
        Event::GroupEvent(event) => happened(event),
        Event::Members(Members { group, users, more }) => {
            json!({"type": "members", "group": group, "users": users, "more": more})
        }
        Event::History(History { conversation, messages, first, more }) => {
            let messages: Vec<Value> = messages.iter().map(stored).collect();
            json!({
                "type": "history", "conversation": conversation, "messages": messages, "first": first, "more": more,
            })
        }
        Event::Sync(Sync { conversations, next }) => {
            let conversations: Vec<Value> = conversations.iter().map(synced).collect();
            let mut value = json!({"type": "sync", "conversations": conversations});
            given(&mut value, "next", next);
            value
        }
        Event::Receipt(Receipt { conversation, sender, received, read }) => {
            let mut value = json!({"type": "receipt", "conversation": conversation, "from": sender});
            for (key, seq) in [("received", *received), ("read", *read)] {
                if seq > 0 {
                    value[key] = json!(seq);
                }
            }
            value
        }
        Event::Typing(Typing { sender, target }) => {
            let mut value = json!({"type": "typing", "from": sender});
            match target.as_ref().expect("a target") {
                typing::Target::To(user) => value["to"] = json!(user),
                typing::Target::Group(group) => value["group"] = json!(group),
            }
            value
        }
        Event::Pong(Pong { time }) => json!({"type": "pong", "time": time}),
        Event::Resync(Resync {}) => json!({"type": "resync"}),
        Event::Expiring(Expiring { left }) => json!({"type": "expiring", "in": left}),
    };
    given(&mut value, "id", &frame.id);
    value
}

fn given(value: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        value[key] = json!(text);
    }
}

fn stored(message: &Message) -> Value {
    let Message { sender, target, content, id, conversation, seq, prev, time } = message;
    let mut value = json!({"type": "message", "from": sender, "time": time});
    let mut kept = true;
    match target.as_ref().expect("a target") {
        message::Target::To(user) => value["to"] = json!(user),
        message::Target::Group(group) => value["group"] = json!(group),
        message::Target::Everyone(_) => kept = false,
    }
    match content.as_ref().expect("content") {
        message::Content::Json(text) => value["message"] = serde_json::from_str(text).expect("JSON"),
        message::Content::Text(text) => value["message"] = json!(text),
        message::Content::Bytes(bytes) => {
            value["message"] = json!(BASE64.encode(bytes));
            value["kind"] = json!("bytes");
        }
    }
    given(&mut value, "id", id);
    place(&mut value, kept, (conversation, *seq, *prev));
    value
}

fn synced(one: &SyncedConversation) -> Value {
    let SyncedConversation { conversation, head, first, read, unread, messages, more } = one;
    let messages: Vec<Value> = messages.iter().map(stored).collect();
    json!({
        "conversation": conversation, "head": head, "first": first, "read": read, "unread": unread,
        "messages": messages, "more": more,
    })
}

/// Where a message is. One to everyone is nowhere.
fn place(value: &mut Value, kept: bool, place: (&str, u64, u64)) {
    if kept {
        (value["conversation"], value["seq"], value["prev"]) =
            (json!(place.0), json!(place.1), json!(place.2));
    } else {
        assert_eq!(place, ("", 0, 0), "it is not kept");
    }
}

fn acked(ack: &Ack) -> Value {
    let Ack { conversation, seq, prev, time, durability, duplicate } = ack;
    let durability = Durability::try_from(*durability).expect("a durability of this schema");
    let name = match durability {
        Durability::Unspecified => panic!("an ack proves something"),
        Durability::None => "none",
        Durability::Memory => "memory",
        Durability::Os => "os",
        Durability::Fsync => "fsync",
        Durability::Replicated => "replicated",
    };
    let mut value = json!({"type": "ack", "time": time, "durability": name});
    place(&mut value, durability != Durability::None, (conversation, *seq, *prev));
    if *duplicate {
        value["duplicate"] = json!(true);
    }
    value
}

fn happened(event: &GroupEvent) -> Value {
    let GroupEvent { group, event, user, members } = event;
    let event = match Kind::try_from(*event).expect("a kind of this schema") {
        Kind::Unspecified => panic!("something happened"),
        Kind::Joined => "joined",
        Kind::Left => "left",
    };
    json!({"type": "groupEvent", "group": group, "event": event, "user": user, "members": members})
}
