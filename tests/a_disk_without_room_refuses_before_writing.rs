//! Where the disk has less room than is to be left, what would be stored gets 503 and nothing is written; everything else goes on.

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{Running, get, stored};
use serde_json::json;
use std::net::TcpStream;

#[test]
fn a_disk_without_room_refuses_before_writing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::spawn(stored(folder.path(), &["--store-min-free", "1024GiB"]), &["try"]);
    let ready = get(&server.address("http://"), "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("make room"), "before anyone asks: {ready}");
    assert!(server.metric("longwire_store_free_bytes") > 0.0);
    let stream = TcpStream::connect(server.address("ws://")).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut alice = Client::over(stream, "alice");
    for n in 0..3 {
        let error = alice.ask(&json!({"type": "message", "to": "bob", "message": n, "id": "1"}), "error");
        assert_eq!(error["code"], 503, "{error}");
    }
    assert_eq!(alice.ask(&json!({"type": "joinGroup", "group": "garden"}), "error")["code"], 503);
    alice.expect_nothing();
    let page = alice.ask(&json!({"type": "history", "conversation": "u:alice:bob"}), "history");
    assert_eq!(page["messages"], json!([]));
    let ready = get(&server.address("http://"), "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("store.min_free"), "{ready}");
    assert!(get(&server.address("http://"), "/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.metric("longwire_store_refusing") > 0.0);
    assert!(server.metric("longwire_store_records_total") < 1.0);
    drop(alice);
    server.stop();
}
