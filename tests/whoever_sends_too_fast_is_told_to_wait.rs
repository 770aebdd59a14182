//! Whoever sends faster than a limit allows gets error 429 with the time to wait, and is served again after it; who goes on
//! without waiting is closed with 3013. Nobody else notices.

mod common;

use common::proto::{self, Binary, ask, said};
use common::raw::{CLOSE, CONTINUE, DEFLATED, PING, PONG, Raw, TEXT, deflate, frame, text};
use common::{Client, TestServer};
use longwire::limits::IGNORED_MAX;
use longwire::metrics::Counter;
use serde_json::{Value, json};
use std::time::Duration;

/// Far more than it takes to be closed, so that a machine that stands still for a while changes nothing.
const FLOOD: usize = 2000;

/// What may be done at once at a rate of one a second is two: the `auth`, where it counts, and a ping.
const ONE_A_SECOND: &[(&str, &str)] = &[("rate.connection_messages", "1")];
const ONE_A_SECOND_OF_A_USER: &[(&str, &str)] = &[("rate.user_messages", "1")];

fn wait(retry_after: u64) {
    assert!((1..=2_000).contains(&retry_after), "{retry_after}");
    std::thread::sleep(Duration::from_millis(retry_after));
}

/// Pings until one is refused, with the id that it was sent with; how long to wait.
fn ping_until_refused(client: &mut Client) -> u64 {
    for n in 0.. {
        let id = n.to_string();
        client.send(&json!({"type": "ping", "id": id}));
        let answer = client.next();
        assert_eq!(answer["id"], id, "{answer}");
        if answer["type"] == "error" {
            assert_eq!((&answer["code"], &answer["for"]), (&json!(429), &json!("ping")), "{answer}");
            return answer["retryAfter"].as_u64().expect("a time to wait");
        }
        assert_eq!(answer["type"], "pong", "{answer}");
    }
    unreachable!("the limit is reached")
}

#[test]
fn a_connection_that_waits_as_it_is_told_goes_on() {
    for (limit, counter) in
        [(ONE_A_SECOND, Counter::LimitedConnection), (ONE_A_SECOND_OF_A_USER, Counter::LimitedUser)]
    {
        let server = TestServer::chat(2, limit);
        let mut alice = server.sign_in("alice");
        wait(ping_until_refused(&mut alice));
        alice.expect_nothing();
        assert_eq!((server.count(counter), server.count(Counter::CommandRefused)), (1, 1));
    }
}

#[test]
fn a_binary_client_is_told_the_same() {
    for limit in [ONE_A_SECOND, ONE_A_SECOND_OF_A_USER] {
        let server = TestServer::chat(1, limit);
        let mut alice = Binary::sign_in(&server, "alice");
        let refused = (0..10).find_map(|n| {
            alice.send(proto::command(ask::PING, &[], &n.to_string()));
            let answer = alice.next();
            assert_eq!(answer.id, n.to_string());
            (answer.what == said::ERROR).then_some(answer)
        });
        let error = refused.expect("the limit is reached").event;
        assert_eq!((error.number(1), error.text(3)), (429, "ping"));
        wait(error.number(4));
        alice.expect_nothing();
        for _ in 0..FLOOD {
            if alice.socket.send(tungstenite::Message::binary(proto::command(ask::PING, &[], ""))).is_err() {
                break;
            }
        }
        assert_eq!(alice.expect_close(), 3013);
    }
}

#[test]
fn a_compressed_message_counts_for_what_it_says() {
    let server = TestServer::chat(1, &[("rate.connection_bytes", "10KiB")]);
    let mut alice = Raw::sign_in_deflating(&server, "alice", "permessage-deflate");
    let mut ping = br#"{"type":"ping"}"#.to_vec();
    ping.resize(60_000, b' ');
    let compressed = frame(TEXT | DEFLATED, &deflate(&ping));
    let refused = (0..10).find(|_| {
        alice.write(&compressed);
        let answer = alice.expect_event();
        answer["type"] == "error" && answer["code"] == 429
    });
    assert!(compressed.len() < 200 && refused.is_some(), "{} bytes were counted", compressed.len());
}

/// Floods with a command until the close: how often it was refused for coming too fast.
fn flood(server: &TestServer, command: &Value) -> u32 {
    let mut raw = Raw::sign_in(server, "alice");
    raw.write(&text(command).repeat(FLOOD));
    let mut refused = 0;
    loop {
        match raw.next_frame() {
            Some((TEXT, payload)) => {
                let event: Value = serde_json::from_slice(&payload).expect("JSON");
                refused += u32::from(event["code"] == 429);
            }
            Some((CLOSE, payload)) => {
                assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), 3013);
                return refused;
            }
            Some((PING, _)) => {}
            other => panic!("expected an answer or a close frame, got {other:?}"),
        }
    }
}

#[test]
fn what_is_no_command_counts_for_its_user_too() {
    for command in [
        json!({"type": "dance"}),
        json!({"type": "message", "to": "no name", "message": 1}),
        json!({"type": "auth", "username": "alice"}),
    ] {
        let server = TestServer::chat(2, ONE_A_SECOND_OF_A_USER);
        assert!(flood(&server, &command) >= IGNORED_MAX, "{command}");
        assert_eq!(server.count(Counter::ClosedTooMany), 1);
    }
}

#[test]
fn who_was_not_told_is_not_closed_for_what_another_connection_ignored() {
    let server = TestServer::chat(2, &[("rate.user_messages", "1")]);
    let (mut flood, mut other) = (Raw::sign_in(&server, "alice"), server.sign_in("alice"));
    let ping = text(&json!({"type": "ping"}));
    // A page counts for ten seconds: none of it is paid off meanwhile that would matter.
    flood.write(&text(&json!({"type": "history", "conversation": "u:alice:bob"})));
    assert_eq!(flood.expect_event()["type"], "history");
    for _ in 0..IGNORED_MAX {
        flood.write(&ping);
        assert_eq!(flood.expect_event()["code"], 429);
    }
    assert_eq!(other.ask(&json!({"type": "ping"}), "error")["code"], 429, "it is told");
    for _ in 0..IGNORED_MAX {
        flood.write(&ping);
        if flood.next_frame().is_none_or(|(first, _)| first == CLOSE) {
            break;
        }
    }
    assert_eq!(server.count(Counter::ClosedTooMany), 1);
    assert_eq!(other.ask(&json!({"type": "ping"}), "error")["code"], 429, "it stays");
}

#[test]
fn a_message_in_pieces_counts_for_all_that_came() {
    let server =
        TestServer::chat(1, &[("rate.connection_bytes", "64KiB"), ("rate.connection_messages", "0")]);
    let mut alice = Raw::sign_in(&server, "alice");
    let pieces = frame(CONTINUE & 0x7f, b"").repeat(4000);
    let ping = [frame(TEXT & 0x7f, br#"{"type":"ping"}"#), pieces, frame(CONTINUE, b"")].concat();
    // Two seconds' worth may come at once; what is sent meanwhile is paid off meanwhile.
    let refused = (0..100).find(|_| {
        alice.write(&ping);
        let answer = alice.expect_event();
        answer["type"] == "error" && answer["code"] == 429
    });
    assert!(refused.is_some(), "messages of {} bytes are nothing", ping.len());
}

#[test]
fn a_connection_that_does_not_wait_is_closed() {
    for (limit, counter) in
        [(ONE_A_SECOND, Counter::LimitedConnection), (ONE_A_SECOND_OF_A_USER, Counter::LimitedUser)]
    {
        let server = TestServer::chat(2, limit);
        let mut honest = server.sign_in("honest");
        let mut raw = Raw::sign_in(&server, "alice");
        raw.write(&text(&json!({"type": "ping"})).repeat(FLOOD));
        let mut refused = 0;
        let code = loop {
            match raw.next_frame() {
                Some((common::raw::TEXT, payload)) => {
                    let event: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
                    refused = if event["code"] == 429 { refused + 1 } else { 0 };
                }
                Some((common::raw::CLOSE, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
                Some((PING, _)) => {}
                other => panic!("expected an answer or a close frame, got {other:?}"),
            }
        };
        assert_eq!((code, refused), (3013, IGNORED_MAX), "the last ones in a row");
        assert!(server.count(counter) > u64::from(IGNORED_MAX));
        assert_eq!(server.count(Counter::ClosedTooMany), 1);
        honest.expect_nothing();
    }
}

#[test]
fn control_frames_count_before_and_after_sign_in() {
    let server = TestServer::chat(1, ONE_A_SECOND);
    for first in [PING, PONG] {
        for mut raw in [Raw::upgraded(&server), Raw::sign_in(&server, "alice")] {
            raw.write(&frame(first, b"?").repeat(FLOOD));
            assert_eq!(raw.expect_close().0, 3013);
        }
    }
    assert_eq!(server.count(Counter::ClosedTooMany), 4);
}

#[test]
fn a_limit_in_bytes_lets_small_messages_through() {
    let server =
        TestServer::chat(1, &[("rate.connection_bytes", "64KiB"), ("rate.connection_messages", "0")]);
    let mut alice = server.sign_in("alice");
    for _ in 0..100 {
        alice.expect_nothing();
    }
    let large = json!({"type": "message", "to": "bob", "message": "x".repeat(30_000), "id": "1"});
    let refused = (0..20).find_map(|_| {
        alice.send(&large);
        Some(alice.next()).filter(|answer| answer["type"] == "error")
    });
    assert_eq!(refused.expect("the limit is reached")["code"], 429);
}

#[test]
fn all_connections_of_a_user_share_the_users_rate_and_reading_pages_costs_more() {
    let server = TestServer::chat(2, ONE_A_SECOND_OF_A_USER);
    let (mut one, mut two) = (server.sign_in("alice"), server.sign_in("alice"));
    let mut bob = server.sign_in("bob");
    // A page is as much as ten messages: after the first one there is a wait of nine seconds.
    let history = json!({"type": "history", "conversation": "u:alice:bob"});
    one.ask(&history, "history");
    assert_eq!(one.ask(&history, "error")["code"], 429);
    let answer = two.ask(&json!({"type": "typing", "to": "bob", "id": "t"}), "error");
    assert_eq!(
        (&answer["code"], &answer["for"], &answer["id"]),
        (&json!(429), &json!("typing"), &json!("t"))
    );
    // Who comes back owes the same.
    let mut three = server.sign_in("alice");
    assert_eq!(three.ask(&json!({"type": "ping"}), "error")["code"], 429);
    bob.expect_nothing();
}
