//! A store as each version of the format wrote it is served, and exported as it was exported then.
//!
//! `tests/fixtures/NAME.tar.gz` is a folder and `NAME.jsonl` its export by the Longwire that wrote it; `NAME.log.jsonl` has each record of its log, and
//! what `SEQS` reserves. `store-1` is of a server that knew neither trims nor `SEQS`. One more is made by this test:
//! `LONGWIRE_FIXTURE=NAME cargo test --test a_store_of_each_version_opens`.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use longwire::ids::PartitionId;
use longwire::log::disk::{StoreId, read};
use longwire::log::{MessageRecord, Position, Record};
use longwire::store::log_folder;
use process::{BINARY, Running, command, stored};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of each version, the one that this program writes last.
const FIXTURES: [&str; 2] = ["store-1", "store-1-kinds"];
/// As left by a server whose clock was ahead, so that no clock of today hides what is reserved.
const RESERVED: u64 = 8_500_000_000_000_000;

fn fixture(name: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join("tests/fixtures").join(name)
}

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream, user)
}

fn store(name: &str, folder: &Path, more: &[&str]) -> String {
    let mut command = command(BINARY);
    let output = command.args(["store", name, "--data-dir"]).arg(folder).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn export(folder: &Path) -> String {
    store("export", folder, &["-"])
}

fn tar(arguments: &[&str], folder: &Path) {
    let status = Command::new("tar").args(arguments).arg("-C").arg(folder).arg(".").status().unwrap();
    assert!(status.success());
}

fn unpacked(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tar(&["-xzf", fixture(&format!("{name}.tar.gz")).to_str().unwrap()], folder.path());
    folder
}

fn reserved(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("SEQS")).unwrap();
    text.strip_prefix("reserved = ").unwrap().trim_end().parse().unwrap()
}

/// A record, field by field.
fn line(Position(position): Position, partition: PartitionId, record: &Record) -> Value {
    let mut line = match record {
        Record::Message(message) => {
            let MessageRecord { conversation, seq, prev, time, from, target, id, kind, bytes } = &**message;
            json!({
                "kind": "message", "conversation": conversation.as_str(), "seq": seq.0, "prev": prev.0, "time": time.0,
                "from": from.as_str(), "target": format!("{target:?}"), "id": id.as_deref(),
                "content": format!("{kind:?}"), "bytes": String::from_utf8_lossy(bytes),
            })
        }
        Record::Member { group, user, joined, seq } => {
            json!({"kind": "member", "group": group.as_str(), "user": user.as_str(), "joined": joined, "seq": seq.0})
        }
        Record::Cursor { conversation, user, received, read } => json!({
            "kind": "cursor", "conversation": conversation.as_str(), "user": user.as_str(), "received": received.0, "read": read.0,
        }),
        Record::Trim { conversation, first } => {
            json!({"kind": "trim", "conversation": conversation.as_str(), "first": first.0})
        }
        Record::Delete { conversation, first } => {
            json!({"kind": "delete", "conversation": conversation.as_str(), "first": first.0})
        }
    };
    line["position"] = position.into();
    line["partition"] = partition.0.into();
    line
}

/// Everything in a folder's log, and what is reserved.
fn records(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("STORE")).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("id = \"")).unwrap().trim_end_matches('"');
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap().try_into().unwrap();
    let mut lines = String::new();
    let each = &mut |position, partition, record: Record| {
        lines += &format!("{}\n", line(position, partition, &record));
    };
    read(&log_folder(folder), StoreId(u128::from_le_bytes(id)), each).unwrap();
    lines + &format!("{}\n", json!({"reserved": reserved(folder)}))
}

fn say(client: &mut Client, (target, name): (&str, &str), content: &Value, id: usize) -> u64 {
    let message = json!({"type": "message", target: name, "message": content, "id": format!("id-{id}")});
    client.ask(&message, "ack")["seq"].as_u64().unwrap()
}

fn first(client: &mut Client, conversation: &str) -> u64 {
    let history = json!({"type": "history", "conversation": conversation, "limit": 1});
    client.ask(&history, "history")["first"].as_u64().unwrap()
}

/// A store with every kind of record, killed so that its log ends without an end.
fn make(folder: &Path) {
    let start = |settings: &[&str]| Running::spawn(stored(folder, settings), &["try"]);
    let talk = |server: &Running, from: usize| {
        let (mut alice, mut bob) = (client(server, "alice"), client(server, "bob"));
        for user in [&mut alice, &mut bob] {
            user.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
        }
        alice.expect("groupEvent");
        let contents = [json!({"a": [1, null, "é"]}), json!("text"), json!(1.5)];
        let targets = [("to", "bob"), ("group", "garden"), ("to", "alice"), ("to", "carol")];
        let mut said = Vec::new();
        for (n, content) in contents.iter().cycle().enumerate().skip(from).take(20) {
            said.push(say(&mut alice, targets[n % 4], content, n));
        }
        // The last and the first to bob.
        for (command, seq) in [("received", said[16]), ("read", said[0])] {
            bob.send(&json!({"type": command, "conversation": "u:alice:bob", "seq": seq}));
            while alice.expect("receipt")[command] != seq {}
        }
        bob.send(&json!({"type": "leaveGroup", "group": "garden"}));
        while bob.next()["type"] != "left" {}
    };
    let server = start(&[]);
    talk(&server, 0);
    server.stop();
    store("delete", folder, &["u:alice:carol"]);
    fs::write(folder.join("SEQS"), format!("reserved = {RESERVED}\n")).unwrap();
    let unlimited = ["--rate-connection-messages", "0", "--rate-user-messages", "0"];
    let mut server = start(&[&["--retention-max-bytes", "200B"][..], &unlimited].concat());
    talk(&server, 20);
    let mut alice = client(&server, "alice");
    while first(&mut alice, "u:alice:bob") < RESERVED {}
    drop(alice);
    server.signal("KILL");
    server.exit_code(PATIENCE);
    // Made anew whenever it is missing.
    for spare in ["log/spare.tmp", "log/spare.part"] {
        let _ = fs::remove_file(folder.join(spare));
    }
}

#[test]
fn a_store_of_each_version_opens() {
    if let Some(name) = std::env::var_os("LONGWIRE_FIXTURE") {
        let (folder, name) = (tempfile::tempdir().unwrap(), name.to_str().unwrap());
        make(folder.path());
        tar(&["-czf", fixture(&format!("{name}.tar.gz")).to_str().unwrap()], folder.path());
        fs::write(fixture(&format!("{name}.jsonl")), export(folder.path())).unwrap();
        fs::write(fixture(&format!("{name}.log.jsonl")), records(folder.path())).unwrap();
    }
    for name in FIXTURES {
        let folder = unpacked(name);
        let then = fs::read_to_string(fixture(&format!("{name}.jsonl"))).unwrap();
        let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
        let mut alice = client(&server, "alice");
        let page =
            alice.ask(&json!({"type": "history", "conversation": "g:garden", "limit": 100}), "history");
        let of_garden =
            then.lines().filter(|line| line.contains(r#"{"type":"message","conversation":"g:garden""#));
        assert_eq!(page["messages"].as_array().map(Vec::len), Some(of_garden.count()), "{page}");
        drop(alice);
        server.stop();
        assert_eq!(export(folder.path()), then, "{name}");
    }
}

#[test]
fn each_kind_of_record_is_read_as_it_was_written() {
    let name = FIXTURES[FIXTURES.len() - 1];
    let folder = unpacked(name);
    let then = fs::read_to_string(fixture(&format!("{name}.log.jsonl"))).unwrap();
    assert_eq!(records(folder.path()), then);
    for kind in ["message", "member", "cursor", "trim", "delete"] {
        assert!(then.contains(&format!(r#""kind":"{kind}""#)), "{name} has no {kind}");
    }
    // And means what it meant: the view is made of the log alone.
    fs::remove_dir_all(folder.path().join("view")).unwrap();
    assert_eq!(export(folder.path()), fs::read_to_string(fixture(&format!("{name}.jsonl"))).unwrap());

    let before = reserved(folder.path());
    assert!(before > RESERVED);
    let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
    let mut alice = client(&server, "alice");
    assert!(first(&mut alice, "u:alice:bob") > RESERVED, "what was trimmed stays so");
    // Nothing tells of its numbers any more but what is reserved.
    let seq = say(&mut alice, ("to", "erin"), &json!("hello"), 0);
    assert_eq!(seq, before + 1);
    assert!(reserved(folder.path()) > before);
    drop(alice);
    server.stop();
    store("check", folder.path(), &[]);
}
