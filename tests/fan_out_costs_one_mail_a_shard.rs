//! A group message costs one mail for each other shard with members online, however many they are; and what is queued
//! for a connection in one turn leaves in one send.

mod common;

use common::raw::{Raw, text};
use common::{Client, TestServer};
use longwire::metrics::Counter;
use serde_json::json;

const SHARDS: u16 = 4;
const MEMBERS: u16 = 200;
/// No frames but those counted.
const QUIET: [(&str, &str); 2] = [("group.event_max_members", "0"), ("client.ping_interval", "1h")];
/// Messages in one write.
const BURST: usize = 40;

fn group(server: &TestServer, members: u16, shards: u16) -> (String, Vec<Client>) {
    let name = server.group_on(0, 0);
    let mut clients: Vec<_> =
        (0..members).map(|n| server.sign_in(&server.user_on(n % shards, usize::from(n / shards)))).collect();
    for client in &mut clients {
        client.ask(&json!({"type": "joinGroup", "group": name}), "joined");
    }
    (name, clients)
}

#[test]
fn fan_out_costs_one_mail_a_shard() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    // Members on `shards` of the shards; the first, at home with the group, sends.
    for shards in 1..=SHARDS {
        let (group, mut clients) = group(&server, MEMBERS / SHARDS * shards, shards);
        let before = [Counter::MailSent, Counter::Delivered, Counter::Sends, Counter::FanOuts]
            .map(|c| server.count(c));
        clients[0].ask(
            &json!({"type": "message", "group": group, "message": "hello", "id": shards.to_string()}),
            "ack",
        );
        for client in &mut clients[1..] {
            client.expect("message");
        }
        let after = [Counter::MailSent, Counter::Delivered, Counter::Sends, Counter::FanOuts]
            .map(|c| server.count(c));
        let [mails, delivered, sends, fanouts] = [0, 1, 2, 3].map(|n| after[n] - before[n]);
        assert_eq!(mails, u64::from(shards) - 1);
        assert_eq!(fanouts, u64::from(shards));
        assert_eq!(delivered, clients.len() as u64 - 1);
        assert_eq!(sends, clients.len() as u64, "one for each member, and the ack");
        for mut client in clients {
            client.ask(&json!({"type": "leaveGroup", "group": group}), "left");
        }
    }
}

#[test]
fn what_is_queued_in_one_turn_leaves_in_fewer_sends() {
    let server = TestServer::chat(usize::from(SHARDS), &QUIET);
    let (group, mut clients) = group(&server, 20, SHARDS);
    let mut sender = Raw::sign_in(&server, &server.user_on(0, 99));
    sender.write(&text(&json!({"type": "joinGroup", "group": group})));
    assert_eq!(sender.expect_event()["type"], "joined");
    let before = [Counter::Sends, Counter::FramesSent].map(|c| server.count(c));
    let burst: Vec<u8> =
        (0..BURST).flat_map(|n| text(&json!({"type": "message", "group": group, "message": n}))).collect();
    sender.write(&burst);
    for client in &mut clients {
        for n in 0..BURST {
            assert_eq!(client.expect("message")["message"], n);
        }
    }
    let frames = (BURST * clients.len()) as u64;
    server.wait_until("all sends are accounted for", |server| {
        server.count(Counter::FramesSent) >= before[1] + frames
    });
    let sends = server.count(Counter::Sends) - before[0];
    assert!(sends * 2 <= frames, "{sends} sends for {frames} frames");
}
