//! However many receive a message, a core compresses it once for each window they agreed on.

mod common;

use common::TestServer;
use common::raw::{DEFLATED, PING, Raw, TEXT, inflate, text};
use longwire::metrics::Counter;
use serde_json::{Value, json};

const SHARDS: u16 = 2;
/// On each shard and in each window, and as many without compression: a fan-out takes several turns.
const MEMBERS: usize = 30;
const WINDOWS: [u8; 2] = [15, 10];

/// The next message as it came, and what it says.
fn next_message(member: &mut Raw, window: u8) -> (u8, Value) {
    loop {
        let (first, payload) = member.next_frame().expect("the connection lives");
        if first == PING {
            continue;
        }
        let payload = if first & DEFLATED == 0 { payload } else { inflate(&payload, window) };
        let event: Value = serde_json::from_slice(&payload).expect("events are JSON");
        if event["type"] == "message" {
            return (first, event);
        }
    }
}

#[test]
fn a_message_to_many_is_deflated_once_a_core() {
    let server = TestServer::chat(
        SHARDS.into(),
        &[
            ("chat.fanout_slice", "16"),
            ("group.event_max_members", "0"),
            ("websocket.compression_min_size", "300B"),
        ],
    );
    let group = server.group_on(0, 0);
    let join = text(&json!({"type": "joinGroup", "group": group}));
    let mut members = Vec::new();
    for shard in 0..SHARDS {
        for n in 0..3 * MEMBERS {
            let user = server.user_on(shard, n);
            let window = WINDOWS.get(n % 3).copied();
            let mut raw = match window {
                Some(15) => Raw::sign_in_deflating(&server, &user, "permessage-deflate"),
                Some(bits) => {
                    let offer = format!("permessage-deflate; server_max_window_bits={bits}");
                    Raw::sign_in_deflating(&server, &user, &offer)
                }
                None => Raw::sign_in(&server, &user),
            };
            raw.write(&join);
            assert_eq!(raw.expect_event()["type"], "joined");
            members.push((raw, window));
        }
    }
    let mut sender = server.sign_in(&server.user_on(1, 3 * MEMBERS));
    sender.ask(&json!({"type": "joinGroup", "group": group}), "joined");
    let content = "say it again, ".repeat(200);
    for (message, compressed) in [
        (json!({"type": "message", "group": group, "message": content}), 1),
        (json!({"type": "message", "message": content}), 1),
        (json!({"type": "message", "group": group, "message": "a short one"}), 0),
    ] {
        let before = server.count(Counter::FramesDeflated);
        sender.send(&message);
        for (member, window) in &mut members {
            let (first, event) = next_message(member, window.unwrap_or(15));
            assert_eq!(event["message"], message["message"]);
            let expected = window.is_some() && compressed == 1;
            assert_eq!(first, if expected { TEXT | DEFLATED } else { TEXT });
        }
        let after = server.count(Counter::FramesDeflated);
        assert_eq!(after - before, compressed * u64::from(SHARDS) * WINDOWS.len() as u64);
    }
}
