//! Every command and every event says the same in JSON as in binary, whatever it is made of.
//!
//! Binary is written and read with prost here, another Protobuf than the server's. Where the two differ, on purpose:
//! 1. Names (`from` is `sender`, `in` is `left`, `for` is `command`), and an `id` that stands beside the event.
//! 2. Content that is text or bytes, which JSON clients cannot send. They receive text as a string, bytes in base64 with a `kind`.
//! 3. What is empty or 0 in binary was not given, and is absent in JSON.
//!
//! `LONGWIRE_SEED=7` repeats a run, `LONGWIRE_LONG=1` tries many more.

mod examples;

use examples::Parts;
use longwire::ids::{Millis, UserName};
use longwire::wire::{Command, Encoding, Event, Payload, PayloadKind, Request};
use longwire_fuzz::schema::{ServerFrame, message::Content, server_frame::Event as Said};
use longwire_fuzz::{events, frames};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use prost::Message;
use serde_json::Value;

fn commands_agree(request: &Request<'_>) {
    let frame = frames::frame(request);
    let binary = frame.encode_to_vec();
    assert_eq!(Encoding::Proto.decode(&binary).as_ref(), Ok(request));
    let only_binary = matches!(
        request.command,
        Command::Message { payload: Payload { kind: PayloadKind::Text | PayloadKind::Bytes, .. }, .. }
    );
    let json = frames::json(&frame);
    assert_eq!(json.is_none(), only_binary, "{json:?}");
    if let Some(json) = json {
        assert_eq!(Encoding::Json.decode(json.as_bytes()).as_ref(), Ok(request), "{json}");
    }
}

/// What `event` is in `encoding`, which adds to what is there already.
fn encoded(encoding: Encoding, event: &Event<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encoding.encode(event, &mut out);
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

fn events_agree(event: &Event<'_>) {
    let json: Value = serde_json::from_slice(&encoded(Encoding::Json, event)).expect("JSON");
    let binary = encoded(Encoding::Proto, event);
    let frame = ServerFrame::decode(&*binary).expect("Protobuf");
    assert_eq!(events::json(&frame), json, "{event:?}");
    // Tools tell the event by its first byte; and nothing is written that need not be.
    let theirs = frame.encode_to_vec();
    assert_eq!((binary.first(), binary.len()), (theirs.first(), theirs.len()), "{event:?}");
}

/// Runs `test` on random parts, and prints the seed.
fn check(test: impl Fn(&Parts)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let long = number("LONGWIRE_LONG").is_some_and(|long| long > 0);
    let config = ProptestConfig {
        cases: if long { 50_000 } else { 500 },
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    };
    let run = TestRunner::new(config).run(&examples::parts(), |parts| {
        test(&parts);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_command_is_read_alike() {
    Parts::plain().commands().iter().for_each(commands_agree);
}

#[test]
fn every_event_is_written_alike() {
    Parts::plain().with_events(events_agree);
}

#[test]
fn any_command_is_read_alike() {
    check(|parts| parts.commands().iter().for_each(commands_agree));
}

#[test]
fn any_event_is_written_alike() {
    check(|parts| parts.with_events(events_agree));
}

/// Content arrives in binary as the kind and the bytes that it was, whatever JSON makes of it, also when it is empty.
#[test]
fn content_is_kept_to_the_byte() {
    check(|parts| {
        for payload in parts.payloads() {
            let from = UserName::new("alice").expect("a name");
            let event = Event::Broadcast { from: &from, payload, time: Millis(7) };
            let frame = ServerFrame::decode(&*encoded(Encoding::Proto, &event)).expect("Protobuf");
            let Some(Said::Message(message)) = frame.event else { panic!("no message: {frame:?}") };
            let (kind, bytes) = match message.content.expect("content") {
                Content::Json(text) => (PayloadKind::Json, text.into_bytes()),
                Content::Text(text) => (PayloadKind::Text, text.into_bytes()),
                Content::Bytes(bytes) => (PayloadKind::Bytes, bytes),
            };
            assert_eq!((kind, &*bytes), (payload.kind, payload.bytes));
        }
    });
}
