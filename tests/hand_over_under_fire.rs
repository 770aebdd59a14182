//! A client that says all at once, upgrade, sign-in, join and messages in one write, is answered in order, whichever
//! shard accepted it and whichever is its user's home.

mod common;

use common::TestServer;
use common::proto::{self, ask, said};
use common::raw::{BINARY, Raw, UPGRADE, auth, frame, text, upgrade_offering};
use longwire::metrics::Counter;
use serde_json::json;
use std::io::Write;

const SHARDS: u16 = 4;
/// By then every shard has accepted for every other one, unless the kernel spreads connections badly.
const TRIES: usize = 2000;

fn accepted(server: &TestServer) -> Vec<u64> {
    server.snapshots().iter().map(|snapshot| snapshot.counters.get(Counter::Accepted)).collect()
}

/// Says everything at once, and reads the answers.
fn all_at_once(server: &TestServer, user: &str, group: &str, n: usize) -> Raw {
    let mut bytes = UPGRADE.as_bytes().to_vec();
    bytes.extend(text(&json!({"type": "ping", "id": "early"})));
    bytes.extend(auth(user));
    bytes.extend(text(&json!({"type": "joinGroup", "group": group, "id": "join"})));
    for message in ["one", "two"] {
        let id = format!("{n}{message}");
        bytes.extend(text(&json!({"type": "message", "group": group, "message": message, "id": id})));
    }
    let mut raw = Raw::over(server.tcp());
    raw.write(&bytes);
    raw.expect_upgrade();
    assert_eq!(raw.expect_event()["id"], "early");
    assert_eq!(raw.expect_event()["type"], "authenticated");
    assert_eq!(raw.expect_event()["id"], "join");
    let acks = [raw.expect_event(), raw.expect_event()];
    assert_eq!(acks[0]["id"], format!("{n}one"));
    assert_eq!(acks[1]["id"], format!("{n}two"));
    assert_eq!(acks[1]["prev"], acks[0]["seq"]);
    raw
}

#[test]
fn hand_over_under_fire() {
    let server = TestServer::chat(usize::from(SHARDS), &[("group.event_max_members", "0")]);
    let mut seen = [[false; SHARDS as usize]; SHARDS as usize];
    let mut n = 0;
    while seen.iter().flatten().any(|seen| !seen) {
        assert!(n < TRIES, "not every shard has accepted for every other one: {seen:?}");
        let home = n as u16 % SHARDS;
        let before = accepted(&server);
        let (user, group) = (server.user_on(home, 0), server.group_on((n / 7) as u16 % SHARDS, n % 3));
        all_at_once(&server, &user, &group, n);
        let after = accepted(&server);
        let by = before.iter().zip(&after).position(|(before, after)| before != after);
        seen[by.expect("some shard accepted it")][usize::from(home)] = true;
        n += 1;
    }
    assert!(server.count(Counter::HandedOver) > 0);
}

#[test]
fn a_large_message_on_the_heels_of_the_sign_in_moves_along() {
    let server = TestServer::chat(
        usize::from(SHARDS),
        &[("message.size_limit", "63KiB"), ("group.event_max_members", "0")],
    );
    let body = "x".repeat(60_000);
    for n in 0..16 {
        let user = server.user_on(n % SHARDS, 0);
        let to = server.user_on((n + 1) % SHARDS, 1);
        let mut bytes = [UPGRADE.as_bytes(), &auth(&user)].concat();
        bytes.extend(text(&json!({"type": "message", "to": to, "message": body, "id": format!("{n}")})));
        let mut raw = Raw::over(server.tcp());
        // Cut anywhere: what is half there when the connection moves must find its other half.
        for piece in bytes.chunks(7 + 997 * usize::from(n)) {
            raw.stream.write_all(piece).expect("the connection takes bytes");
        }
        raw.expect_upgrade();
        assert_eq!(raw.expect_event()["type"], "authenticated");
        assert_eq!(raw.expect_event()["type"], "ack");
    }
}

#[test]
fn a_binary_connection_is_one_where_it_moves_to() {
    let server = TestServer::chat(usize::from(SHARDS), &[("group.event_max_members", "0")]);
    let mut moved = 0;
    for n in 0..64 {
        let user = server.user_on(n % SHARDS, 0);
        let group = server.group_on(n / SHARDS % SHARDS, 0);
        let ask = [
            proto::command(ask::PING, &[], "early"),
            proto::auth(&user),
            proto::command(ask::JOIN_GROUP, &[(1, group.as_bytes())], "join"),
            proto::command(ask::MESSAGE, &[(2, group.as_bytes()), (5, b"hello")], &format!("{n}")),
        ];
        let mut bytes = upgrade_offering(&[proto::SUBPROTOCOL]).into_bytes();
        bytes.extend(ask.iter().flat_map(|command| frame(BINARY, command)));
        let mut raw = Raw::over(server.tcp());
        raw.write(&bytes);
        raw.expect_upgrade();
        for what in [said::PONG, said::AUTHENTICATED, said::JOINED, said::ACK] {
            let Some((BINARY, event)) = raw.next_frame() else { panic!("an event in binary") };
            assert_eq!(proto::read(&event).what, what);
        }
        moved = server.count(Counter::HandedOver);
    }
    assert!(moved > 0, "some of them were accepted by another shard");
}
