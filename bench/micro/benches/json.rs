//! What one message costs in JSON: decoding the command, encoding the event its receivers get and the sender's ack.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longwire::ids::{ConversationId, Millis, Seq, UserName};
use longwire::wire::{Durability, Encoding, Event, Payload, PayloadKind, StoredMessage, Target};
use std::hint::black_box;

/// The tutorial's message, one with an id (100 bytes), and ones with more inside.
fn commands() -> [(&'static str, String); 5] {
    let text = "x".repeat(4000);
    [
        ("tutorial", r#"{"type":"message","to":"bob","message":"hello"}"#.to_owned()),
        (
            "with_id",
            r#"{"type":"message","to":"bob","message":"See you at the station at 10.","id":"b3f0c2de-7a61-4c1f"}"#
                .to_owned(),
        ),
        (
            "object",
            r#"{"type":"message","group":"room","message":{"text":"hi","n":[1,2.5,-3e4],"ok":true,"x":null}}"#
                .to_owned(),
        ),
        (
            "escapes",
            r#"{"type":"message","to":"bob","message":"\u00e9\ud83d\ude00 \"quoted\"\nline","id":"a\/b"}"#.to_owned(),
        ),
        ("4k", format!(r#"{{"type":"message","to":"bob","message":"{text}","id":"1"}}"#)),
    ]
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, text) in commands() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| Encoding::Json.decode(black_box(text.as_bytes())).is_ok());
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let from = UserName::new("alice").expect("a name");
    let to = UserName::new("bob").expect("a name");
    let conversation = ConversationId::private(&from, &to);
    let target = Target::User(to);
    let bytes = br#""See you at the station at 10.""#;
    let (seq, prev, time) = (Seq(739_281_400_000_001), Seq(739_281_400_000_000), Millis(1_795_432_000_000));
    let message = Event::Message(StoredMessage {
        from: &from,
        target: &target,
        payload: Payload { kind: PayloadKind::Json, bytes },
        id: Some("b3f0c2de-7a61-4c1f"),
        conversation: &conversation,
        seq,
        prev,
        time,
    });
    let ack = Event::Ack {
        id: "b3f0c2de-7a61-4c1f",
        conversation: &conversation,
        seq,
        prev,
        time,
        durability: Durability::Memory,
        duplicate: false,
    };
    let mut group = c.benchmark_group("encode");
    for (name, event) in [("message", message), ("ack", ack)] {
        let mut out = Vec::with_capacity(1024);
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                Encoding::Json.encode(black_box(&event), &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
