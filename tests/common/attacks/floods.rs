//! Attacks by too much of what is allowed, answered or not read. Knows commands.

use super::Does::{Acts, Floods};
use super::Meets::{Close, Error, Silence};
use super::Stage::{Binary, SignedIn, Upgraded};
use super::{Attack, Stage, attack, with_small_window};
use crate::common::proto::{self, ask};
use crate::common::raw::{BINARY, CONTINUE, PING, PONG, Raw, TEXT, frame, text};
use crate::common::tls::TlsServer;
use longwire::metrics::Counter::{
    ClosedTooMany, ClosedTooSlow, CommandHistory, LimitedBegun, LimitedConnection, LimitedUser,
};
use serde_json::{Value, json};

/// More than a connection may send at once, and the refused ones that are not heeded.
const MANY: usize = 2000;

pub(super) fn all() -> Vec<Attack> {
    let row = |name, stage, bytes, counts| attack(name, stage, Floods(bytes, MANY), Close(3013), counts);
    let json = |name, command: Value| row(name, SignedIn, text(&command), LimitedConnection);
    let noise = [frame(TEXT & !0x80, br#"{"type":"#), frame(CONTINUE, br#""ping"}"#)].concat();
    vec![
        row("a flood of pings", SignedIn, frame(PING, b"?"), LimitedConnection),
        row("a flood of pings before signing in", Upgraded, frame(PING, b"?"), LimitedConnection),
        row("a flood of pongs that nobody asked for", SignedIn, frame(PONG, b""), ClosedTooMany),
        row("a flood of messages in fragments", SignedIn, noise, LimitedConnection),
        json("a flood of commands", json!({"type": "ping", "id": "1"})),
        row(
            "a flood of binary commands",
            Binary,
            frame(BINARY, &proto::command(ask::PING, &[], "")),
            LimitedConnection,
        ),
        json("a flood of typing at someone", json!({"type": "typing", "to": "honest0"})),
        json(
            "a flood of messages at someone",
            json!({"type": "message", "to": "honest0", "message": "spam"}),
        ),
        json("a flood of messages at everyone", json!({"type": "message", "message": "spam"})),
        json(
            "a flood of refused messages",
            json!({"type": "message", "group": "secret", "message": 1, "id": "1"}),
        ),
        json(
            "a flood of refused messages without an id",
            json!({"type": "message", "group": "secret", "message": 1}),
        ),
        row(
            "a flood of commands before signing in",
            Upgraded,
            text(&json!({"type": "typing", "to": "honest0"})),
            LimitedConnection,
        ),
        row(
            "a flood of pages",
            SignedIn,
            text(&json!({"type": "history", "conversation": "g:g"})),
            LimitedUser,
        ),
        attack("invented users", SignedIn, Acts(invented_users), Error(429), LimitedBegun),
        attack("invented groups", SignedIn, Acts(invented_groups), Error(429), LimitedBegun),
        attack("pages that are not read", SignedIn, Acts(reads_no_pages), Silence, CommandHistory),
        attack("a member who does not read", SignedIn, Acts(reads_no_group), Close(3008), ClosedTooSlow),
    ]
}

/// Says many different things, and reads up to the first one that is refused. What was begun counts when it has been begun:
/// those that are said together are let through together.
fn until_refused(raw: &mut Raw, command: impl Fn(usize) -> Value) {
    for n in (0..MANY).step_by(50) {
        raw.write(&(n..n + 50).flat_map(|n| text(&command(n))).collect::<Vec<_>>());
        for _ in 0..50 {
            let event = raw.expect_event();
            if event["type"] == "error" {
                assert_eq!(event["code"], 429, "{event}");
                return;
            }
        }
    }
    panic!("nothing was refused");
}

fn invented_users(_: &TlsServer, user: &str, raw: &mut Raw) {
    until_refused(raw, |n| json!({"type": "message", "to": format!("{user}-{n}"), "message": n, "id": "1"}));
}

fn invented_groups(_: &TlsServer, user: &str, raw: &mut Raw) {
    until_refused(raw, |n| json!({"type": "joinGroup", "group": format!("{user}-{n}")}));
}

/// What a user of this test may read often enough: a conversation of large messages.
fn fill(raw: &mut Raw, user: &str) {
    let body = "x".repeat(7000);
    for n in 0..30 {
        raw.write(&text(&json!({"type": "message", "to": user, "message": body, "id": n.to_string()})));
        assert_eq!(raw.expect_event()["type"], "ack");
    }
}

fn reads_no_pages(wss: &TlsServer, user: &str, raw: &mut Raw) {
    fill(raw, user);
    with_small_window(raw);
    let page = json!({"type": "history", "conversation": format!("u:{user}:{user}"), "limit": 100});
    let before = wss.server.count(CommandHistory);
    raw.write(&text(&page).repeat(100));
    // Each is some 14 KiB: what the kernel and the queue hold is full before all are read.
    wss.server.wait_until("some are read", |server| server.count(CommandHistory) - before > 30);
}

fn reads_no_group(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let group = format!("of-{user}");
    let mut speaker = Stage::SignedIn.reach(wss, &format!("{user}-friend"));
    for member in [&mut *raw, &mut speaker] {
        member.write(&text(&json!({"type": "joinGroup", "group": group})));
        while member.expect_event()["type"] != "joined" {}
    }
    with_small_window(raw);
    let body = "x".repeat(7000);
    let before = wss.server.count(ClosedTooSlow);
    // To read up to the close frame would take long through so small a window: the counter tells.
    for n in (0..1190).take_while(|n| n % 20 > 0 || wss.server.count(ClosedTooSlow) == before) {
        speaker
            .write(&text(&json!({"type": "message", "group": group, "message": body, "id": n.to_string()})));
        while speaker.expect_event()["type"] != "ack" {}
    }
}
