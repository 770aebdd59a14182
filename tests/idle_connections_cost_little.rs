//! A signed-in connection that says nothing costs the server a few hundred bytes of its own memory.

mod common;

use common::raw::{PING, PONG, Raw, frame};
use longwire::limits::RECV_BUFFERS_MAX;
use longwire::net::capacity::raise_file_limit;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

/// Enough to see a few bytes of each among the pages.
const CONNECTIONS: usize = 2000;
/// More than is aimed at with many more connections, since memory comes in pages and chunks (bytes).
const EACH: usize = 400;

/// The server as its users start it, killed when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start() -> Self {
        let core = affinity::get_thread_affinity().expect("the cores of this process")[0].to_string();
        let mut arguments = vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "off"];
        arguments.extend(["--heartbeat", "1h", "--cores", &core]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_longwire"))
            .args(arguments)
            .args(["--durability", "memory"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let banner = BufReader::new(child.stdout.take().expect("its output"));
        let address = banner.lines().map_while(Result::ok).find_map(|line| {
            let address = line.split_once("ws://")?.1.split(['/', ' ']).next()?;
            address.parse().ok()
        });
        Self { child, address: address.expect("a banner with an address") }
    }

    fn sign_in(&self, user: usize) -> Raw {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a time-out");
        Raw::sign_in_over(stream, &format!("user{user}"))
    }

    /// Its own memory (bytes): not what it shares with its file.
    fn memory(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
        let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn idle_connections_cost_little() {
    assert!(raise_file_limit() > CONNECTIONS as u64 + 100, "this test needs more open files: ulimit -Hn");
    let server = Running::start();
    // Each receive buffer is touched once: they are there whoever connects.
    let mut first = server.sign_in(CONNECTIONS);
    for _ in 0..RECV_BUFFERS_MAX {
        first.write(&frame(PING, b""));
        assert_eq!(first.next_frame(), Some((PONG, Vec::new())));
    }
    let before = server.memory();
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|user| server.sign_in(user)).collect();
    let each = server.memory().saturating_sub(before) / CONNECTIONS;
    assert!(each <= EACH, "{each} bytes for each connection");
    clients.push(first);
    for client in &mut clients {
        client.write(&frame(PING, b"?"));
        // Its heartbeat may come first.
        let next = std::iter::from_fn(|| client.next_frame()).find(|(first, _)| *first != PING);
        assert_eq!(next, Some((PONG, b"?".to_vec())));
    }
    println!("{each} bytes for each of {CONNECTIONS} idle connections");
}
