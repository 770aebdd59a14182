//! A store as each version of the format wrote it is served, and exported as it was exported then.
//!
//! `tests/fixtures/store-N.tar.gz` is a folder with version N of the format and `store-N.jsonl` its export by the Longwire that wrote it. They
//! are made, for a new version, by this test: `LONGWIRE_FIXTURE=1 cargo test --test a_store_of_each_version_opens`.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{BINARY, Running, command, stored};
use serde_json::json;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that this program writes.
const VERSION: u32 = 1;

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

fn export(folder: &Path) -> String {
    let mut export = command(BINARY);
    let output = export.args(["store", "export", "--data-dir"]).arg(folder).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn tar(arguments: &[&str], folder: &Path) {
    let status = Command::new("tar").args(arguments).arg("-C").arg(folder).arg(".").status().unwrap();
    assert!(status.success());
}

/// A store with a little of everything, killed so that its log ends without an end.
fn make(folder: &Path) {
    let start = || Running::spawn(stored(folder, &[]), &["try"]);
    let talk = |server: &Running, from: usize| {
        let (mut alice, mut bob) = (client(server, "alice"), client(server, "bob"));
        for user in [&mut alice, &mut bob] {
            user.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
        }
        alice.expect("groupEvent");
        let contents = [json!({"a": [1, null, "é"]}), json!("text"), json!(1.5)];
        for (n, content) in contents.iter().cycle().enumerate().skip(from).take(20) {
            let (target, name) = [("to", "bob"), ("group", "garden"), ("to", "alice")][n % 3];
            let id = format!("id-{n}");
            alice.ask(&json!({"type": "message", target: name, "message": content, "id": id}), "ack");
        }
        bob.send(&json!({"type": "leaveGroup", "group": "garden"}));
        while bob.next()["type"] != "left" {}
    };
    let server = start();
    talk(&server, 0);
    server.stop();
    let mut server = start();
    talk(&server, 20);
    server.signal("KILL");
    server.exit_code(PATIENCE);
    // Made anew whenever it is missing.
    for spare in ["log/spare.tmp", "log/spare.part"] {
        let _ = fs::remove_file(folder.join(spare));
    }
}

#[test]
fn a_store_of_each_version_opens() {
    if std::env::var_os("LONGWIRE_FIXTURE").is_some() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        fs::create_dir_all(fixture("")).unwrap();
        tar(&["-czf", fixture(&format!("store-{VERSION}.tar.gz")).to_str().unwrap()], folder.path());
        fs::write(fixture(&format!("store-{VERSION}.jsonl")), export(folder.path())).unwrap();
    }
    for version in 1..=VERSION {
        let folder = tempfile::tempdir().unwrap();
        tar(&["-xzf", fixture(&format!("store-{version}.tar.gz")).to_str().unwrap()], folder.path());
        let then = fs::read_to_string(fixture(&format!("store-{version}.jsonl"))).unwrap();
        let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
        let mut alice = client(&server, "alice");
        let page =
            alice.ask(&json!({"type": "history", "conversation": "g:garden", "limit": 100}), "history");
        let of_garden =
            then.lines().filter(|line| line.contains(r#"{"type":"message","conversation":"g:garden""#));
        assert_eq!(page["messages"].as_array().map(Vec::len), Some(of_garden.count()), "{page}");
        drop(alice);
        server.stop();
        assert_eq!(export(folder.path()), then, "version {version}");
    }
}
