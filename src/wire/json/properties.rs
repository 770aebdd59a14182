//! What holds for any message: decoding never panics, loses nothing, and what is encoded is JSON.

use super::{decode, encode};
use crate::ids::{ConversationId, GroupName, Millis, Seq, UserName};
use crate::wire::{Command, DecodeError, Event, Payload, PayloadKind, StoredMessage, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

fn name() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é/-]{1,16}"
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Halves: whatever else serde_json rounds when it reads is not what is tested here.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Bytes that look like a command more often than chance would have it.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\u",
        "d800",
        "\"type\"",
        "\"message\"",
        "\"ping\"",
        "\"id\"",
        "1e999",
        "null",
        " ",
        "\"to\":\"a\"",
        "\u{e9}",
        "-0",
        "{\"type\":\"message\",\"message\":",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|p| p.concat().into_bytes())
}

fn encoded(event: &Event<'_>) -> String {
    let mut out = Vec::new();
    encode(event, &mut out);
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        let _ = decode(&bytes);
    }

    #[test]
    fn scraps_are_malformed_exactly_when_they_are_not_json(bytes in scrap()) {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        let malformed = decode(&bytes) == Err(DecodeError::Malformed);
        prop_assert_eq!(is_json, !malformed, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_message_is_read_as_it_was_written(
        to in name(), id in prop::option::of(".{1,16}"), content in value(), pretty in any::<bool>(), extra in value(),
    ) {
        let mut command = json!({"extra": extra, "type": "message", "to": to, "message": content});
        if let Some(id) = &id {
            command["id"] = json!(id);
        }
        let text = if pretty { serde_json::to_string_pretty(&command) } else { serde_json::to_string(&command) };
        let text = text.unwrap();
        let request = decode(text.as_bytes()).unwrap();
        prop_assert_eq!(request.id.as_deref(), id.as_deref());
        let Command::Message { target, payload } = request.command else { panic!("not a message") };
        prop_assert_eq!(target, Target::User(UserName::new(&to).unwrap()));
        if !pretty {
            prop_assert_eq!(std::str::from_utf8(payload.bytes).unwrap(), content.to_string());
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(payload.bytes).unwrap(), content);
    }

    #[test]
    fn a_message_is_written_as_it_was_read(
        from in name(), group in name(), id in prop::option::of(any::<String>()), content in value(), seq in 1..1u64 << 53,
    ) {
        let (from, group) = (UserName::new(&from).unwrap(), GroupName::new(&group).unwrap());
        let (conversation, target) = (ConversationId::group(&group), Target::Group(group.clone()));
        let bytes = serde_json::to_string_pretty(&content).unwrap();
        let payload = Payload { kind: PayloadKind::Json, bytes: bytes.as_bytes() };
        let message = StoredMessage {
            from: &from, target: &target, payload, id: id.as_deref(), conversation: &conversation,
            seq: Seq(seq), prev: Seq(seq - 1), time: Millis(7),
        };
        let live = encoded(&Event::Message(message));
        prop_assert!(live.contains(&bytes), "the payload's bytes are kept");
        let mut expected = json!({
            "type": "message", "from": from.as_str(), "group": group.as_str(), "message": content,
            "conversation": conversation.as_str(), "seq": seq, "prev": seq - 1, "time": 7,
        });
        if let Some(id) = &id {
            expected["id"] = json!(id);
        }
        prop_assert_eq!(&serde_json::from_str::<Value>(&live).unwrap(), &expected);
        let stored = encoded(&Event::History {
            id: None, conversation: &conversation, messages: &[message, message], first: Seq(1), more: true,
        });
        let stored = serde_json::from_str::<Value>(&stored).unwrap();
        prop_assert_eq!(&stored["messages"], &json!([expected, expected]));
    }

    #[test]
    fn text_and_bytes_survive(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let from = UserName::new("alice").unwrap();
        let of = |kind, bytes| {
            let event = Event::Broadcast { from: &from, payload: Payload { kind, bytes }, time: Millis(7) };
            serde_json::from_str::<Value>(&encoded(&event)).unwrap()
        };
        prop_assert_eq!(&of(PayloadKind::Text, text.as_bytes())["message"], &json!(text));
        let shown = of(PayloadKind::Bytes, &bytes);
        prop_assert_eq!(&shown["kind"], "bytes");
        let back = data_encoding::BASE64.decode(shown["message"].as_str().unwrap().as_bytes());
        prop_assert_eq!(back.unwrap(), bytes);
    }
}
