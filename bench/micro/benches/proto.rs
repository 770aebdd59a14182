//! What one message costs in Protobuf: decoding the command, encoding the event its receivers get and the sender's ack.

use buffa::Message;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longwire::ids::{ConversationId, Millis, Seq, UserName};
use longwire::wire::proto::schema::{ClientFrame, SendMessage, client_frame::Command, send_message};
use longwire::wire::{Durability, Encoding, Event, Payload, PayloadKind, StoredMessage, Target};
use std::hint::black_box;

const SIZES: [usize; 3] = [64, 512, 4096];

/// A payload of each kind.
fn payloads(size: usize) -> [(PayloadKind, String); 3] {
    let text = "x".repeat(size);
    let json = format!("\"{}\"", "x".repeat(size - 2));
    [(PayloadKind::Json, json), (PayloadKind::Text, text.clone()), (PayloadKind::Bytes, text)]
}

fn command(kind: PayloadKind, payload: &str) -> Vec<u8> {
    let content = match kind {
        PayloadKind::Json => send_message::Content::Json(payload.to_owned()),
        PayloadKind::Text => send_message::Content::Text(payload.to_owned()),
        PayloadKind::Bytes => send_message::Content::Bytes(payload.as_bytes().to_vec()),
    };
    let target = Some(send_message::Target::To("bob".to_owned()));
    let message = SendMessage { target, content: Some(content) };
    ClientFrame { id: "0123456789abcdef".to_owned(), command: Some(Command::Message(message)) }
        .encode_to_vec()
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode a Protobuf command");
    for size in SIZES {
        for (kind, payload) in payloads(size) {
            let frame = command(kind, &payload);
            group.throughput(Throughput::Bytes(frame.len() as u64));
            group.bench_function(format!("{size} B {kind:?}"), |b| {
                b.iter(|| Encoding::Proto.decode(black_box(&frame)).is_ok());
            });
        }
    }
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let (alice, bob) = (UserName::new("alice").expect("valid"), UserName::new("bob").expect("valid"));
    let conversation = ConversationId::private(&alice, &bob);
    let target = Target::User(bob);
    let mut out = Vec::with_capacity(8192);
    let mut group = c.benchmark_group("encode a Protobuf event");
    for size in SIZES {
        for (kind, payload) in payloads(size) {
            let event = Event::Message(StoredMessage {
                from: &alice,
                target: &target,
                payload: Payload { kind, bytes: payload.as_bytes() },
                id: Some("0123456789abcdef"),
                conversation: &conversation,
                seq: Seq(827_361_234_567),
                prev: Seq(827_361_234_566),
                time: Millis(1_780_000_000_000),
            });
            group.bench_function(format!("message of {size} B {kind:?}"), |b| {
                b.iter(|| {
                    out.clear();
                    Encoding::Proto.encode(black_box(&event), &mut out);
                });
            });
        }
    }
    let ack = Event::Ack {
        id: "0123456789abcdef",
        conversation: &conversation,
        seq: Seq(827_361_234_567),
        prev: Seq(827_361_234_566),
        time: Millis(1_780_000_000_000),
        durability: Durability::Memory,
        duplicate: false,
    };
    group.bench_function("ack", |b| {
        b.iter(|| {
            out.clear();
            Encoding::Proto.encode(black_box(&ack), &mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, decoding, encoding);
criterion_main!(benches);
