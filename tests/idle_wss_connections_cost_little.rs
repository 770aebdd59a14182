//! A signed-in connection over TLS that says nothing costs the server a few kilobytes of its own memory: rustls's keys, no buffer.

mod common;
#[path = "common/process.rs"]
mod process;

use common::raw::{PING, PONG, Raw, frame};
use common::tls::{Made, Secure, TLS12, TLS13, secure, tcp};
use longwire::limits::RECV_BUFFERS_MAX;
use longwire::net::capacity::raise_file_limit;
use process::Running;
use rustls::{ClientConfig, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;

/// Enough to see a few bytes of each among the pages.
const CONNECTIONS: usize = 800;
/// The budget (bytes).
const EACH: usize = 6 * 1024;

fn memory(running: &Running) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

fn sign_in(address: SocketAddr, config: &Arc<ClientConfig>, user: usize) -> Raw<Secure> {
    Raw::sign_in_over(secure(config, tcp(address)), &format!("user{user}"))
}

fn each(version: &'static SupportedProtocolVersion) -> usize {
    let made = Made::new();
    let (certificate, key) = (made.certificate(), made.key());
    let core = affinity::get_thread_affinity().expect("the cores of this process")[0].to_string();
    let mut arguments = vec!["serve", "--dev", "--listen", "wss://127.0.0.1:0", "--admin-listen", "off"];
    arguments.extend(["--heartbeat", "1h", "--cores", &core]);
    arguments.extend(["--tls-certificate", certificate.to_str().expect("a path")]);
    arguments.extend(["--tls-key", key.to_str().expect("a path")]);
    let running = Running::start(&arguments, "mode");
    let address = running.address("wss://").parse().expect("an address");
    let config = Arc::new(made.client(version));
    // Each receive buffer is touched once: they are there whoever connects.
    let mut first = sign_in(address, &config, CONNECTIONS);
    for _ in 0..RECV_BUFFERS_MAX {
        first.write(&frame(PING, b""));
        assert_eq!(first.next_frame(), Some((PONG, Vec::new())));
    }
    let before = memory(&running);
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|user| sign_in(address, &config, user)).collect();
    let each = memory(&running).saturating_sub(before) / CONNECTIONS;
    for client in &mut clients {
        client.write(&frame(PING, b"?"));
        // Its heartbeat may come first.
        let next = std::iter::from_fn(|| client.next_frame()).find(|(first, _)| *first != PING);
        assert_eq!(next, Some((PONG, b"?".to_vec())));
    }
    each
}

#[test]
fn idle_wss_connections_cost_little() {
    assert!(raise_file_limit() > CONNECTIONS as u64 + 100, "this test needs more open files: ulimit -Hn");
    for version in [&TLS13, &TLS12] {
        let each = each(version);
        println!("{each} bytes for each of {CONNECTIONS} idle connections, {:?}", version.version);
        assert!(each <= EACH, "{each} bytes for each connection");
    }
}
