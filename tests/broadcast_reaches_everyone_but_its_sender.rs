//! A message to everyone reaches every session of every shard but the one that sent it, and needs the right.

mod common;

use common::{Client, TestServer};
use longwire::auth::{Grant, Key, Verifier, issue};
use longwire::clock::Clock;
use longwire::ids::UserName;
use serde_json::json;
use std::time::{Duration, Instant};

const SHARDS: u16 = 4;

#[test]
fn broadcast_reaches_everyone_but_its_sender() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let mut clients: Vec<_> =
        (0..5 * SHARDS).map(|n| server.sign_in(&server.user_on(n % SHARDS, usize::from(n / 8)))).collect();
    for sender in 0..clients.len() {
        let ack = clients[sender].ask(&json!({"type": "message", "message": [sender], "id": "x"}), "ack");
        assert_eq!((&ack["id"], &ack["durability"]), (&json!("x"), &json!("none")));
        assert!(ack.get("seq").is_none() && ack["time"].is_u64(), "{ack}");
        for (_, client) in clients.iter_mut().enumerate().filter(|(n, _)| *n != sender) {
            let message = client.expect("message");
            assert_eq!(message["message"], json!([sender]));
            assert_eq!(message["from"], server.user_on(sender as u16 % SHARDS, sender / 8));
            assert!(message.get("to").is_none() && message.get("group").is_none(), "{message}");
        }
    }
    clients.iter_mut().for_each(Client::expect_nothing);
}

#[test]
fn a_message_to_everyone_needs_the_right() {
    let file = format!("{}/broadcast-{}.key", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&file, [7; 32]).expect("a key file");
    let key = Key::from_file(file.as_ref()).expect("a key");
    std::fs::remove_file(&file).expect("a key file");
    let server = TestServer::with_tokens(usize::from(SHARDS), Verifier::new(&key, None, None));
    let token = |user: &str, broadcast: bool| {
        let user = UserName::new(user).expect("a name");
        let ttl = Duration::from_secs(600);
        let grant = Grant { user, ttl, groups: Vec::new(), broadcast, audience: None, issuer: None };
        issue(&key, &grant, Clock::new(Instant::now()).now().wall).expect("a token")
    };
    let sign_in = |user: &str, broadcast| {
        server.sign_in_with(&json!({"type": "auth", "token": token(user, broadcast)}))
    };
    let (mut speaker, mut listener) = (sign_in("speaker", true), sign_in("listener", false));
    let hello = json!({"type": "message", "message": "hello", "id": "x"});
    assert_eq!(listener.ask(&hello, "error")["code"], 403);
    speaker.ask(&hello, "ack");
    assert_eq!(listener.expect("message")["message"], "hello");
    // A newer token gives the right, another one takes it.
    for (right, answer) in [(true, "ack"), (false, "error")] {
        listener.ask(&json!({"type": "auth", "token": token("listener", right)}), "authenticated");
        listener.ask(&hello, answer);
    }
    speaker.expect("message");
    [&mut speaker, &mut listener].into_iter().for_each(Client::expect_nothing);
}
