//! Attacks by what messages say, in JSON and in Protobuf. Knows no frame but how to make one.

use super::Meets::{Close, Error};
use super::Stage::{Binary, SignedIn};
use super::{Attack, says};
use crate::common::proto::{self, ask, field};
use crate::common::raw::{BINARY, TEXT, frame, text};
use longwire::metrics::Counter::{ClosedInvalid, ClosedUnsupported, CommandRefused};
use serde_json::json;

fn json_rows() -> Vec<Attack> {
    let closed =
        |name, json: &str| says(name, SignedIn, frame(TEXT, json.as_bytes()), Close(1007), ClosedInvalid);
    let refused = |name, json: &str, code| {
        says(name, SignedIn, frame(TEXT, json.as_bytes()), Error(code), CommandRefused)
    };
    let message =
        |content: &str| format!(r#"{{"type":"message","to":"honest","message":{content},"id":"1"}}"#);
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    vec![
        closed("what is not JSON", "hello"),
        closed("JSON that does not end", r#"{"type":"message","to":"honest","message":["#),
        closed("nesting that does not end", &"[".repeat(15_000)),
        refused("content nested 3,000 deep", &message(&deep(3000)), 400),
        refused("a number beyond all bounds", &message("1e999999999"), 400),
        refused("half of a surrogate pair", &message(r#""\ud800""#), 400),
        refused("an id of 8,000 bytes", &format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(8000)), 400),
        refused(
            "a number of 8,000 digits",
            &format!(r#"{{"type":"history","conversation":"g:g","limit":{}}}"#, "9".repeat(8000)),
            400,
        ),
        refused("a field given twice", r#"{"type":"ping","type":"auth"}"#, 400),
        refused("a command that there is not", r#"{"type":"__proto__"}"#, 400),
        refused("a list in place of a command", r#"["ping"]"#, 400),
        refused("content over its limit", &message(&format!("\"{}\"", "x".repeat(9000))), 413),
        refused("other people's conversations", r#"{"type":"history","conversation":"u:a:b"}"#, 403),
        refused("a group that one is not in", r#"{"type":"message","group":"secret","message":1}"#, 403),
    ]
}

fn binary_rows() -> Vec<Attack> {
    let row = |name, payload: &[u8]| says(name, Binary, frame(BINARY, payload), Close(1007), ClosedInvalid);
    let not_text = [proto::command(ask::PING, &[], ""), field(15, [0xff])].concat();
    vec![
        row("a Protobuf message that is cut off", &[0x42, 5, 1]),
        row("a Protobuf number that does not end", &[0x80; 11]),
        row("a Protobuf length of two gibibytes", &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]),
        row("Protobuf groups 5,000 deep", &[0x4b; 5000]),
        row("a Protobuf string that is not UTF-8", &not_text),
        row("noise as Protobuf", &[0xff; 1000]),
        says("a Protobuf frame without a command", Binary, frame(BINARY, b""), Error(400), CommandRefused),
        says(
            "a text message where Protobuf is spoken",
            Binary,
            text(&json!({"type": "ping"})),
            Close(1003),
            ClosedUnsupported,
        ),
    ]
}

pub(super) fn all() -> Vec<Attack> {
    [json_rows(), binary_rows()].into_iter().flatten().collect()
}
