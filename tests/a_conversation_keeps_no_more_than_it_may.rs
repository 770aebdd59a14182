//! What a conversation has beyond `retention.max_bytes` goes, the oldest first, while readers page through it: each sees every message from
//! `first` on, in order. So it stays after a kill, and the store is whole.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{BINARY, Running, command, stored};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const KEPT: usize = 64 << 10;
const CONTENT: usize = 4000;
const MESSAGES: usize = 300;

fn client(server: &Running, user: &str) -> Client {
    let stream = TcpStream::connect(server.address("ws://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream, user)
}

/// Pages forward through everything; the numbers that were seen. A page goes on where the one before it ended, or where the
/// conversation begins by then.
fn read_all(bob: &mut Client) -> Vec<u64> {
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let ask = json!({"type": "history", "conversation": "u:alice:bob", "after": after, "limit": 7});
        bob.send(&ask);
        // Live messages come in between.
        let page = std::iter::repeat_with(|| bob.next()).find(|event| event["type"] != "message").unwrap();
        assert_eq!(page["type"], "history", "{page}");
        let number = |value: &Value| value.as_u64().unwrap();
        for (n, message) in page["messages"].as_array().unwrap().iter().enumerate() {
            let (seq, prev) = (number(&message["seq"]), number(&message["prev"]));
            let goes_on = prev == after || (n == 0 && seq == number(&page["first"]));
            assert!(goes_on, "{seq} follows {prev}, not {after}; first {}", page["first"]);
            if prev != after {
                // What was read before has gone since.
                seen.clear();
            }
            seen.push(seq);
            after = seq;
        }
        if page["more"] == false {
            return seen;
        }
    }
}

#[test]
fn a_conversation_keeps_no_more_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = vec!["--retention-max-bytes", "64KiB"];
    settings.extend(["--rate-connection-messages", "0", "--rate-user-messages", "0"]);
    let start = || Running::spawn(stored(folder.path(), &settings), &["try"]);
    let mut server = start();
    let (mut alice, mut bob) = (client(&server, "alice"), client(&server, "bob"));
    let last = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let content = "x".repeat(CONTENT);
            for n in 0..MESSAGES {
                let message =
                    json!({"type": "message", "to": "bob", "message": content, "id": n.to_string()});
                let ack = alice.ask(&message, "ack");
                last.store(ack["seq"].as_u64().unwrap(), Ordering::Release);
            }
            last.fetch_or(1 << 63, Ordering::Release);
        });
        let begun = Instant::now();
        loop {
            let done = last.load(Ordering::Acquire) >> 63 == 1;
            let seen = read_all(&mut bob);
            let is_bounded = seen.len() * CONTENT <= KEPT;
            if done && is_bounded {
                assert!(seen.len() > KEPT / CONTENT / 2, "no more went than had to: {}", seen.len());
                break;
            }
            assert!(begun.elapsed() < PATIENCE * 3, "{} messages are kept", seen.len());
        }
    });
    let last = last.into_inner() & (u64::MAX >> 1);
    let kept = read_all(&mut bob);
    assert_eq!(kept.last(), Some(&last));
    drop((alice, bob));
    server.signal("KILL");
    server.exit_code(PATIENCE);

    let server = start();
    let mut bob = client(&server, "bob");
    assert_eq!(read_all(&mut bob), kept);
    let unread = bob.ask(&json!({"type": "sync"}), "sync")["conversations"][0]["unread"].take();
    assert_eq!(unread, kept.len(), "what went is not unread");
    drop(bob);
    server.stop();
    let mut check = command(BINARY);
    let output = check.args(["store", "check", "--data-dir"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
