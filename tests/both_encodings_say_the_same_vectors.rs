//! The vectors of `proto/vectors` (its README says what they are): both encodings read the same command, and write the
//! same event, to the byte; what has to be tolerated, refused or malformed is. Other languages read the same files.

#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

use longwire::ids::{ConversationId, GroupName, Millis, Seq, SessionId, ShardId, UserName};
use longwire::wire::{
    Command, DecodeError, Durability, Encoding, ErrorCode, Event, Limits, Payload, PayloadKind, Request,
    StoredMessage, SyncedConversation, Target,
};
use serde_json::Value;
use std::path::Path;

/// Vectors of events that this version does not send.
const NOT_SENT_YET: [&str; 3] =
    ["an ack, durability os", "an ack, durability fsync", "an ack, durability replicated"];

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/vectors").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().unwrap()
}

fn hex(vector: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(vector["hex"].as_str().unwrap().as_bytes()).unwrap()
}

/// A field of Protobuf's JSON mapping, which leaves out what is empty or 0 and writes 64-bit numbers as strings.
fn text<'a>(said: &'a Value, field: &str) -> &'a str {
    said[field].as_str().unwrap_or_default()
}

fn number(said: &Value, field: &str) -> u64 {
    said[field].as_u64().unwrap_or_else(|| said[field].as_str().map_or(0, |digits| digits.parse().unwrap()))
}

fn number32(said: &Value, field: &str) -> u32 {
    number(said, field).try_into().unwrap()
}

fn flag(said: &Value, field: &str) -> bool {
    said[field].as_bool().unwrap_or_default()
}

fn user(said: &Value, field: &str) -> UserName {
    UserName::new(text(said, field)).unwrap()
}

fn target(said: &Value) -> Target {
    if said.get("to").is_some() {
        return Target::User(user(said, "to"));
    }
    said.get("group")
        .map_or(Target::Everyone, |_| Target::Group(GroupName::new(text(said, "group")).unwrap()))
}

fn content(said: &Value) -> (PayloadKind, Vec<u8>) {
    if said.get("bytes").is_some() {
        return (PayloadKind::Bytes, data_encoding::BASE64.decode(text(said, "bytes").as_bytes()).unwrap());
    }
    match said["text"].as_str() {
        Some(text) => (PayloadKind::Text, text.as_bytes().to_vec()),
        // White space around a value is not part of it.
        None => (PayloadKind::Json, said["json"].as_str().unwrap().trim().as_bytes().to_vec()),
    }
}

/// A `Message` of the schema, so that a `StoredMessage` can borrow from it.
struct Held {
    from: UserName,
    target: Target,
    content: (PayloadKind, Vec<u8>),
    conversation: Option<ConversationId>,
}

impl Held {
    fn new(said: &Value) -> Self {
        let conversation = ConversationId::parse(text(said, "conversation")).ok();
        Self { from: user(said, "sender"), target: target(said), content: content(said), conversation }
    }

    fn payload(&self) -> Payload<'_> {
        Payload { kind: self.content.0, bytes: &self.content.1 }
    }

    fn stored<'a>(&'a self, said: &'a Value) -> StoredMessage<'a> {
        StoredMessage {
            from: &self.from,
            target: &self.target,
            payload: self.payload(),
            id: said["id"].as_str(),
            conversation: self.conversation.as_ref().unwrap(),
            seq: Seq(number(said, "seq")),
            prev: Seq(number(said, "prev")),
            time: Millis(number(said, "time")),
        }
    }
}

/// Holds an event to its vector: to the letter in JSON, to the byte in binary.
fn check(vector: &Value, event: &Event<'_>) {
    let written = |encoding: Encoding| {
        let mut out = Vec::new();
        encoding.encode(event, &mut out);
        out
    };
    let json = String::from_utf8(written(Encoding::Json)).unwrap();
    assert_eq!(json, vector["json"].as_str().unwrap(), "{}", name(vector));
    let binary = data_encoding::HEXLOWER.encode(&written(Encoding::Proto));
    assert_eq!(binary, vector["hex"].as_str().unwrap(), "{}", name(vector));
}

fn check_message(vector: &Value, said: &Value) {
    let held = Held::new(said);
    let event = match held.conversation {
        Some(_) => Event::Message(held.stored(said)),
        None => {
            Event::Broadcast { from: &held.from, payload: held.payload(), time: Millis(number(said, "time")) }
        }
    };
    check(vector, &event);
}

fn check_ack(vector: &Value, said: &Value, id: &str) {
    let time = Millis(number(said, "time"));
    let Ok(conversation) = ConversationId::parse(text(said, "conversation")) else {
        return check(vector, &Event::BroadcastAck { id, time });
    };
    assert_eq!(said["durability"], "DURABILITY_MEMORY", "{}", name(vector));
    let ack = Event::Ack {
        id,
        conversation: &conversation,
        seq: Seq(number(said, "seq")),
        prev: Seq(number(said, "prev")),
        time,
        durability: Durability::Memory,
        duplicate: flag(said, "duplicate"),
    };
    check(vector, &ack);
}

fn check_authenticated(vector: &Value, said: &Value, id: Option<&str>) {
    let session: Vec<u32> =
        text(said, "session").split('-').map(|part| u32::from_str_radix(part, 16).unwrap()).collect();
    let event = Event::Authenticated {
        id,
        user: &user(said, "user"),
        session: SessionId {
            shard: ShardId(session[0].try_into().unwrap()),
            index: session[1],
            generation: session[2],
        },
        heartbeat: number(said, "heartbeat"),
        time: Millis(number(said, "time")),
        limits: Limits {
            message_size: number32(&said["limits"], "messageSize"),
            websocket_message_size: number32(&said["limits"], "websocketMessageSize"),
        },
    };
    check(vector, &event);
}

fn check_history(vector: &Value, said: &Value, id: Option<&str>) {
    let none = Vec::new();
    let messages = said["messages"].as_array().unwrap_or(&none);
    let held: Vec<_> = messages.iter().map(Held::new).collect();
    let stored: Vec<_> = held.iter().zip(messages).map(|(held, said)| held.stored(said)).collect();
    let event = Event::History {
        id,
        conversation: &ConversationId::parse(text(said, "conversation")).unwrap(),
        messages: &stored,
        first: Seq(number(said, "first")),
        more: flag(said, "more"),
    };
    check(vector, &event);
}

fn check_sync(vector: &Value, said: &Value, id: Option<&str>) {
    let list = |said: &Value, field: &str| said[field].as_array().cloned().unwrap_or_default();
    let conversations = list(said, "conversations");
    let names: Vec<_> =
        conversations.iter().map(|one| ConversationId::parse(text(one, "conversation")).unwrap()).collect();
    let pages: Vec<_> = conversations.iter().map(|one| list(one, "messages")).collect();
    let held: Vec<Vec<_>> = pages.iter().map(|page| page.iter().map(Held::new).collect()).collect();
    let stored: Vec<Vec<_>> = held
        .iter()
        .zip(&pages)
        .map(|(held, page)| held.iter().zip(page).map(|(held, said)| held.stored(said)).collect())
        .collect();
    let synced = |(n, one): (usize, &Value)| SyncedConversation {
        conversation: &names[n],
        head: Seq(number(one, "head")),
        first: Seq(number(one, "first")),
        read: Seq(number(one, "read")),
        unread: number32(one, "unread"),
        messages: &stored[n],
        more: flag(one, "more"),
    };
    let synced: Vec<_> = conversations.iter().enumerate().map(synced).collect();
    check(vector, &Event::Sync { id, conversations: &synced, next: said["next"].as_str() });
}

fn check_receipt(vector: &Value, said: &Value) {
    let seq = |field| said.get(field).map(|_| Seq(number(said, field)));
    let receipt = Event::Receipt {
        conversation: &ConversationId::parse(text(said, "conversation")).unwrap(),
        from: &user(said, "sender"),
        received: seq("received"),
        read: seq("read"),
    };
    check(vector, &receipt);
}

fn check_group(vector: &Value, kind: &str, said: &Value, id: Option<&str>) {
    let (group, members) = (&GroupName::new(text(said, "group")).unwrap(), number32(said, "members"));
    match kind {
        "joined" => check(vector, &Event::Joined { id, group, members, seq: Seq(number(said, "seq")) }),
        "left" => check(vector, &Event::Left { id, group }),
        "groupEvent" => {
            let joined = text(said, "event") == "KIND_JOINED";
            check(vector, &Event::GroupEvent { group, joined, user: &user(said, "user"), members });
        }
        "members" => {
            let names = said["users"].as_array().into_iter().flatten();
            let users: Vec<_> = names.map(|name| UserName::new(name.as_str().unwrap()).unwrap()).collect();
            check(vector, &Event::Members { id, group, users: &users, more: flag(said, "more") });
        }
        _ => panic!("no event: {kind}"),
    }
}

fn check_error(vector: &Value, said: &Value, id: Option<&str>) {
    const CODES: [ErrorCode; 9] = [
        ErrorCode::BadRequest,
        ErrorCode::Unauthorized,
        ErrorCode::Forbidden,
        ErrorCode::NotFound,
        ErrorCode::Conflict,
        ErrorCode::TooLarge,
        ErrorCode::TooMany,
        ErrorCode::Internal,
        ErrorCode::Unavailable,
    ];
    let code = number(said, "code");
    let event = Event::Error {
        code: *CODES.iter().find(|known| u64::from(known.number()) == code).unwrap(),
        reason: text(said, "reason"),
        command: said["command"].as_str(),
        id,
        retry_after: said.get("retryAfter").map(|_| number(said, "retryAfter")),
    };
    check(vector, &event);
}

#[test]
fn an_event_is_written_as_it_stands_there() {
    for vector in vectors("events.json") {
        let frame = vector["proto"].as_object().unwrap();
        let (kind, said) = frame.iter().find(|(key, _)| *key != "id").unwrap();
        let id = frame.get("id").map(|id| id.as_str().unwrap());
        match kind.as_str() {
            _ if NOT_SENT_YET.contains(&name(&vector)) => {}
            "message" => check_message(&vector, said),
            "ack" => check_ack(&vector, said, id.unwrap()),
            "authenticated" => check_authenticated(&vector, said, id),
            "history" => check_history(&vector, said, id),
            "sync" => check_sync(&vector, said, id),
            "receipt" => check_receipt(&vector, said),
            "typing" => {
                check(&vector, &Event::Typing { from: &user(said, "sender"), target: &target(said) });
            }
            "pong" => check(&vector, &Event::Pong { id, time: Millis(number(said, "time")) }),
            "resync" => check(&vector, &Event::Resync),
            "expiring" => check(&vector, &Event::Expiring { left: number(said, "left") }),
            "error" => check_error(&vector, said, id),
            kind => check_group(&vector, kind, said, id),
        }
    }
}

fn decoded<'a>(vector: &Value, encoding: Encoding, message: &'a [u8]) -> Request<'a> {
    encoding.decode(message).unwrap_or_else(|refused| panic!("{}: {refused:?}", name(vector)))
}

/// Reads a vector in binary, and holds it to what the same says in JSON. Content that JSON cannot say is held to `proto`.
fn check_command(vector: &Value) {
    let frame = hex(vector);
    let request = decoded(vector, Encoding::Proto, &frame);
    assert_eq!(request.id.as_deref(), vector["proto"]["id"].as_str(), "{}", name(vector));
    if let Some(json) = vector["json"].as_str() {
        assert_eq!(request, decoded(vector, Encoding::Json, json.as_bytes()), "{}", name(vector));
    }
    if let Command::Message { target: to, payload } = request.command {
        let (said, found) = (&vector["proto"]["message"], (payload.kind, payload.bytes.to_vec()));
        assert_eq!((to, found), (target(said), content(said)), "{}", name(vector));
    } else {
        assert!(vector.get("json").is_some(), "{}: JSON can say it", name(vector));
    }
}

#[test]
fn a_command_is_the_same_in_both() {
    vectors("commands.json").iter().for_each(check_command);
}

#[test]
fn what_is_unusual_is_read_all_the_same() {
    let tolerated = vectors("tolerated.json");
    tolerated.iter().filter(|vector| vector["from"] == "client").for_each(check_command);
}

#[test]
fn what_is_wrong_is_refused_in_both() {
    for vector in vectors("refused.json") {
        let refused = |encoding: Encoding, message: &[u8]| match encoding.decode(message) {
            Err(DecodeError::Refused { code, reason, command, id }) => {
                assert!(!reason.is_empty());
                assert_eq!(u64::from(code.number()), number(&vector, "code"), "{}", name(&vector));
                assert_eq!(command.as_deref(), vector["command"].as_str(), "{}", name(&vector));
                assert_eq!(id.as_deref(), vector["id"].as_str(), "{}", name(&vector));
            }
            other => panic!("{}: {other:?}", name(&vector)),
        };
        refused(Encoding::Proto, &hex(&vector));
        if let Some(json) = vector["json"].as_str() {
            refused(Encoding::Json, json.as_bytes());
        }
    }
}

#[test]
fn what_is_no_frame_is_malformed() {
    for vector in vectors("malformed.json") {
        assert_eq!(Encoding::Proto.decode(&hex(&vector)), Err(DecodeError::Malformed), "{}", name(&vector));
    }
}
