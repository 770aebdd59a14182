//! `longwire store` checks, counts, saves and restores what a stopped server has stored, and leaves a running one alone.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{BINARY, Running, command, stored};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream, user)
}

/// Exit code, output and what was said of a command on a folder.
fn store(name: &str, folder: &Path, more: &[&str], input: &str) -> (i32, String, String) {
    let mut command = command(BINARY);
    command.args(["store", name, "--data-dir"]).arg(folder).args(more);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads nothing closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn history(server: &Running, conversation: &str) -> Value {
    let mut bob = client(server, "bob");
    bob.ask(&json!({"type": "history", "conversation": conversation, "limit": 100}), "history")["messages"]
        .take()
}

#[test]
fn a_stopped_store_is_looked_after() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
    let mut alice = client(&server, "alice");
    alice.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
    for (n, target) in ["to", "group"].into_iter().cycle().take(20).enumerate() {
        let name = if target == "to" { "bob" } else { "garden" };
        alice.ask(&json!({"type": "message", target: name, "message": {"n": n}, "id": n.to_string()}), "ack");
    }
    let said = history(&server, "u:alice:bob");
    assert_eq!(said.as_array().map(Vec::len), Some(10));
    for name in ["check", "stats"] {
        let (code, _, error) = store(name, folder.path(), &[], "");
        assert!(code == 1 && error.contains(&format!("pid {}", server.child.id())), "{code} {error}");
    }
    drop(alice);
    server.stop();

    let (code, page, error) = store("check", folder.path(), &[], "");
    assert!(code == 0 && page.contains("2 conversations, 20 messages, 1 memberships"), "{page}{error}");
    let (code, page, error) = store("stats", folder.path(), &[], "");
    assert!(
        code == 0 && page.contains("1 private, 1 of groups") && page.contains("g:garden with 10"),
        "{page}{error}"
    );

    // To a file and to another store, and from there to standard output.
    let file = folder.path().join("backup.jsonl");
    let (code, _, error) = store("export", folder.path(), &[file.to_str().unwrap()], "");
    assert!(code == 0 && error.contains("20 messages"), "{error}");
    let lines = fs::read_to_string(&file).unwrap();
    let restored = tempfile::tempdir().unwrap();
    let (code, _, error) = store("import", restored.path(), &["-"], &lines);
    assert!(code == 0 && error.contains("20 messages"), "{error}");
    let (code, again, error) = store("export", restored.path(), &["-"], "");
    assert_eq!((code, &again), (0, &lines), "{error}");
    let server = Running::spawn(stored(restored.path(), &[]), &["try"]);
    assert_eq!(history(&server, "u:alice:bob"), said);
    server.stop();
    let (code, _, error) = store("import", restored.path(), &["-"], &lines);
    assert!(code == 1 && error.contains("an empty one"), "{error}");
    let (code, _, error) =
        store("import", &restored.path().join("new"), &["-"], &lines.replace("alice", "al:ice"));
    assert!(code == 1 && error.contains("line 3 of the export"), "{error}");

    // Its view is lost.
    fs::remove_dir_all(folder.path().join("view")).unwrap();
    fs::create_dir(folder.path().join("view")).unwrap();
    fs::write(folder.path().join("view/version"), "none").unwrap();
    let (code, page, _) = store("check", folder.path(), &[], "");
    assert!(code == 1 && page.contains("FAULT") && page.contains("store rebuild"), "{page}");
    let (code, _, error) = store("rebuild", folder.path(), &[file.to_str().unwrap()], "");
    assert!(code == 0, "{error}");
    let (code, page, _) = store("check", folder.path(), &[], "");
    assert!(code == 0, "{page}");
    let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
    assert_eq!(history(&server, "u:alice:bob"), said);
    server.stop();

    let (code, _, error) = store("check", &folder.path().join("nothing"), &[], "");
    assert!(code == 1 && error.contains("there is no store"), "{error}");

    // Root may look everywhere; without that right it is like anybody.
    let drops = "-dac_override,-dac_read_search";
    let check = format!(
        "[ $(id -u) = 0 ] && WRAP=\"setpriv --bounding-set {drops} --inh-caps {drops}\"; exec $WRAP {BINARY} store check --data-dir $0"
    );
    let may = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    may(0);
    let output = command("bash").args(["-c", &check]).arg(folder.path()).output().unwrap();
    may(0o700);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("Permission denied"), "{error}");
    assert!(
        error.contains("as the user that the folder belongs to") && !error.contains("no store"),
        "{error}"
    );
}
