//! What was acknowledged is there after a restart, as it was sent, whether the server stopped in good order or was killed.

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{Running, stored};
use serde_json::{Value, json};
use std::net::TcpStream;

const MESSAGES: usize = 50;

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    Client::over(stream, user)
}

/// Sends ahead of the acks, and returns what history is to say from then on.
fn send(alice: &mut Client, target: (&str, &str), durability: &str) -> Vec<Value> {
    let content = |n: usize| json!({"n": n, "text": "ünïcode".repeat(n)});
    for n in 0..MESSAGES {
        alice.send(&json!({"type": "message", target.0: target.1, "message": content(n), "id": format!("{}{n}", target.1)}));
    }
    let mut sent = Vec::new();
    for n in 0..MESSAGES {
        let ack = alice.expect("ack");
        assert_eq!(ack["durability"], durability, "{ack}");
        sent.push(json!([ack["seq"], ack["prev"], ack["time"], content(n)]));
    }
    sent
}

fn history(bob: &mut Client, conversation: &str) -> Vec<Value> {
    let page = bob.ask(&json!({"type": "history", "conversation": conversation, "limit": 100}), "history");
    let messages = page["messages"].as_array().expect("a page").iter();
    messages.map(|m| json!([m["seq"], m["prev"], m["time"], m["message"]])).collect()
}

#[test]
fn an_acked_message_survives_a_restart() {
    for (durability, signal) in [("fsync", "TERM"), ("fsync", "KILL"), ("os", "TERM"), ("os", "KILL")] {
        let folder = tempfile::tempdir().expect("a folder");
        let start = || Running::spawn(stored(folder.path(), &["--durability", durability]), &["try"]);
        let mut server = start();
        assert!(server.banner.contains(durability), "{}", server.banner);
        let (mut alice, mut bob) = (client(&server, "alice"), client(&server, "bob"));
        for client in [&mut alice, &mut bob] {
            client.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
        }
        alice.expect("groupEvent");
        drop(bob);
        let private = send(&mut alice, ("to", "bob"), durability);
        let group = send(&mut alice, ("group", "garden"), durability);
        drop(alice);
        server.signal(signal);
        let code = server.exit_code(PATIENCE);
        assert_eq!(code, (signal == "TERM").then_some(0), "{signal}");

        let server = start();
        assert!(server.banner.contains("(102 records)"), "{}", server.banner);
        let mut bob = client(&server, "bob");
        assert_eq!(history(&mut bob, "u:alice:bob"), private, "{durability} {signal}");
        assert_eq!(history(&mut bob, "g:garden"), group, "{durability} {signal}");
        drop(bob);
        server.stop();
    }
}
