//! When a ring is full the next one accepts, and nobody who connects meanwhile waits for the connection after theirs.

mod common;
#[path = "common/process.rs"]
mod process;

use common::raw::UPGRADE;
use process::{BINARY, Running, command};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Connections that arrive together, and nobody after them until all were answered.
const BURST: usize = 40;
const BURSTS: usize = 18;
/// Open files that leave a ring 63 places: the accept moves on a dozen times.
const FILES: usize = 80;

fn answered(stream: &mut TcpStream) -> bool {
    let mut head = [0; 12];
    stream.read_exact(&mut head).is_ok() && &head == b"HTTP/1.1 101"
}

#[test]
fn a_full_ring_hands_the_accept_on() {
    let wanted = BURST * BURSTS;
    let serve = format!(
        "ulimit -n {FILES}; exec {BINARY} serve --dev --cores 0 --connections {wanted} \
         --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"
    );
    let mut shell = command("sh");
    shell.args(["-c", &serve]);
    let server = Running::spawn(shell, &["try"]);
    assert!(!server.banner.contains(" 1 rings"), "one ring only: {}", server.banner);
    let mut all = Vec::new();
    for burst in 0..BURSTS {
        let mut streams: Vec<TcpStream> = (0..BURST)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address("ws://")).expect("the server listens");
                stream.set_read_timeout(Some(common::PATIENCE)).expect("a time-out");
                stream.write_all(UPGRADE.as_bytes()).expect("the socket takes a request");
                stream
            })
            .collect();
        for (at, stream) in streams.iter_mut().enumerate() {
            let number = burst * BURST + at;
            assert!(
                answered(stream),
                "connection {number} waits for the next one to arrive\n{}",
                server.banner
            );
        }
        all.append(&mut streams);
    }
}
