//! While one sync is under way the next commit gathers: what is sent ahead costs few syncs, and a lone message one.

mod common;
#[path = "common/process.rs"]
mod process;

use common::{Client, PATIENCE};
use process::{Running, stored};
use serde_json::json;
use std::net::TcpStream;

const MESSAGES: u32 = 1000;

#[test]
fn messages_in_flight_share_a_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::spawn(stored(folder.path(), &[]), &["try"]);
    let stream = TcpStream::connect(server.address("ws://")).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut alice = Client::over(stream, "alice");
    let say = |n: u32| json!({"type": "message", "to": "bob", "message": n, "id": n.to_string()});
    for n in 0..10 {
        alice.ask(&say(n), "ack");
    }
    let lone = server.metric("longwire_store_syncs_total");
    assert!((10.0..=11.0).contains(&lone), "{lone} syncs for 10 messages");
    for n in 0..MESSAGES {
        alice.send(&say(10 + n));
    }
    for _ in 0..MESSAGES {
        assert_eq!(alice.expect("ack")["durability"], "fsync");
    }
    let shared = server.metric("longwire_store_syncs_total") - lone;
    println!("{shared} syncs for {MESSAGES} messages");
    assert!(shared <= f64::from(MESSAGES / 4), "{shared} syncs for {MESSAGES} messages");
    let records = server.metric("longwire_store_records_total");
    assert!(records >= f64::from(MESSAGES + 10), "{records}");
    drop(alice);
    server.stop();
}
