//! `longwire store delete` takes a conversation with everything of it; its numbers go on, everything else stays.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{BINARY, Running, command, stored};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream, user)
}

fn store(name: &str, folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = command(BINARY);
    let output = command.args(["store", name, "--data-dir"]).arg(folder).args(more).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

fn say(client: &mut Client, target: &str, name: &str, n: u64) -> Value {
    client.ask(&json!({"type": "message", target: name, "message": n, "id": n.to_string()}), "ack")
}

#[test]
fn a_deleted_conversation_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Running::spawn(stored(folder.path(), &[]), &["try"]);
    let server = start();
    let mut alice = client(&server, "alice");
    alice.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
    let mut last = 0;
    for n in 0..10 {
        last = say(&mut alice, "to", "bob", n)["seq"].as_u64().unwrap();
        say(&mut alice, "group", "garden", n);
        say(&mut alice, "to", "carol", n);
    }
    let (code, told) = store("delete", folder.path(), &["u:alice:bob"]);
    assert!(code == Some(1) && told.contains("pid"), "a running server keeps its store: {told}");
    drop(alice);
    server.stop();

    let (code, told) = store("delete", folder.path(), &["u:alice:nobody"]);
    assert!(code == Some(1) && told.contains("no such conversation"), "{told}");
    for conversation in ["u:alice:bob", "g:garden"] {
        let (code, told) = store("delete", folder.path(), &[conversation]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains(conversation), "{told}");
        let (code, told) = store("check", folder.path(), &[]);
        assert_eq!(code, Some(0), "{told}");
    }
    let (_, export) = store("export", folder.path(), &["-"]);
    assert!(!export.contains("garden") && !export.contains("bob"), "{export}");

    let mut server = start();
    let mut alice = client(&server, "alice");
    let synced = alice.ask(&json!({"type": "sync"}), "sync");
    let left = synced["conversations"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{synced}");
    assert_eq!(left[0]["conversation"], "u:alice:carol");
    let history = json!({"type": "history", "conversation": "u:alice:bob"});
    assert_eq!(alice.ask(&history, "history")["messages"], json!([]));
    let refused = alice.ask(&json!({"type": "history", "conversation": "g:garden"}), "error");
    assert_eq!(refused["code"], 403, "{refused}");
    // It can begin anew.
    let ack = say(&mut alice, "to", "bob", 3);
    assert!(ack["prev"] == 0 && ack["seq"].as_u64().unwrap() > last, "{ack}");
    drop(alice);
    server.signal("KILL");
    server.exit_code(PATIENCE);
    let server = start();
    let mut bob = client(&server, "bob");
    let synced = bob.ask(&json!({"type": "sync"}), "sync");
    assert_eq!(synced["conversations"][0]["messages"][0]["seq"], ack["seq"], "{synced}");
    assert_eq!(synced["conversations"][0]["first"], ack["seq"], "{synced}");
    drop(bob);
    server.stop();
}
