//! What was half received is given back when its connection ends, however it ends: nobody can use up, by breaking off,
//! what all connections of a shard may have under way.

mod common;

use common::TestServer;
use common::raw::{CLOSE, CONTINUE, Raw, TEXT, UPGRADE, auth, frame};
use longwire::limits::EARLY_MESSAGE_MAX;
use longwire::metrics::Gauge;
use serde_json::json;

const SHARDS: u16 = 2;
/// A large part of a message, and the first byte of a frame that says so.
const PART: usize = 30_000;
const BEGIN: u8 = TEXT & 0x7f;

/// Half a message, in one whole frame and one that is not whole.
fn half() -> Vec<u8> {
    let mut bytes = frame(BEGIN, &[b' '; PART]);
    bytes.extend(&frame(CONTINUE, &[b' '; PART])[..PART / 2]);
    bytes
}

fn assembling(server: &TestServer, bytes: usize) {
    server.wait_until("half of it has arrived", |server| server.level(Gauge::AssemblyBytes) >= bytes as u64);
}

fn forgotten(server: &TestServer, how: &str) {
    let what = format!("nothing is kept: {how}");
    server.wait_until(&what, |server| server.level(Gauge::AssemblyBytes) == 0);
}

#[test]
fn half_messages_are_forgotten_with_their_connection() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    for n in 0..2 * SHARDS {
        let user = server.user_on(n % SHARDS, 0);
        for (how, end) in [
            ("bad UTF-8", frame(CONTINUE, &[0xff])),
            ("too long", frame(CONTINUE, &[b' '; 2 * PART])),
            ("a message within", frame(TEXT, b"{}")),
            ("a reserved opcode", frame(0x83, b"")),
            ("not JSON", frame(CONTINUE, b"?")),
            ("a polite close", frame(CLOSE, &1000u16.to_be_bytes())),
        ] {
            let mut raw = Raw::sign_in(&server, &user);
            raw.write(&frame(BEGIN, &[b' '; PART]));
            assembling(&server, PART);
            raw.write(&end);
            let (code, _) = raw.expect_close();
            raw.answer_close(code);
            forgotten(&server, how);
        }
        let mut raw = Raw::sign_in(&server, &user);
        raw.write(&half());
        assembling(&server, PART);
        drop(raw);
        forgotten(&server, "the peer vanished");
    }
}

#[test]
fn a_session_that_is_replaced_in_the_middle_of_a_message_leaves_none_of_it() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    for shard in 0..SHARDS {
        let auth = json!({"type": "auth", "username": server.user_on(shard, 0), "device": "phone"});
        let mut raw = Raw::upgraded(&server);
        raw.write(&common::raw::text(&auth));
        assert_eq!(raw.expect_event()["type"], "authenticated");
        raw.write(&half());
        assembling(&server, PART);
        let mut newer = server.sign_in_with(&auth);
        forgotten(&server, "replaced");
        assert_eq!(raw.expect_close().0, 3503);
        newer.expect_nothing();
    }
}

#[test]
fn what_came_before_the_sign_in_is_forgotten_too() {
    let settings = [("client.auth_timeout", "200ms"), ("client.user_connection_limit", "1")];
    let server = TestServer::chat(usize::from(SHARDS), &settings);
    for shard in 0..SHARDS {
        let user = server.user_on(shard, 0);
        let mut first = Raw::sign_in(&server, &user);
        for n in 0..4 * SHARDS {
            let mut refused = Raw::over(server.tcp());
            // Some of it arrives with the sign-in that moves, and some of it after.
            let all = [UPGRADE.as_bytes(), &auth(&user), &half()].concat();
            refused.write(&all[..all.len() - 10_000 * usize::from(n % 4)]);
            refused.expect_upgrade();
            let (code, _) = refused.expect_close();
            assert_eq!(code, 3504);
            refused.answer_close(code);
        }
        forgotten(&server, "refused");
        let mut never = Raw::upgraded(&server);
        let early = frame(BEGIN, &[b' '; EARLY_MESSAGE_MAX]);
        never.write(&early[..early.len() - 1]);
        let mut head = Raw::over(server.tcp());
        head.write(&UPGRADE.as_bytes()[..100]);
        assembling(&server, EARLY_MESSAGE_MAX);
        assert_eq!(never.expect_close().0, 3502);
        head.expect_end();
        forgotten(&server, "never signed in");
        first.write(&frame(CLOSE, b""));
        assert!(first.next_frame().is_some());
    }
}
