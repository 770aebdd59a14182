//! However many clients say their TLS hello at once, a turn of a core does no more than a few of the handshakes. The others are done in
//! the turns that follow, in their order, and nobody is forgotten.

mod common;

use common::desk::{Desk, config};
use common::tls::{Made, Secure, TLS13, secure, tcp};
use longwire::limits::TLS_STEPS_PER_TURN;
use longwire::metrics::{Counter, Gauge};
use longwire::net::listen::bind_locked;
use longwire::net::ring::Ring;
use rustix::event::{EventfdFlags, eventfd};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::sync::Arc;

const CLIENTS: usize = 100;

/// Lets a client say and read what it can.
fn go_on(client: &mut Secure) {
    while client.conn.wants_write() {
        client.conn.write_tls(&mut client.sock).expect("the socket takes a handshake");
    }
    match client.conn.read_tls(&mut client.sock) {
        Ok(_) => drop(client.conn.process_new_packets().expect("the server speaks TLS")),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

#[test]
fn handshakes_leave_each_turn_to_others() {
    let made = Made::new();
    let (_, acceptor) = made.certificates().load().expect("a good certificate");
    let (listener, _lock) = bind_locked(&"wss://127.0.0.1:0".parse().expect("a place"), 0).expect("a port");
    let bell = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let ring = Ring::new(4 * CLIENTS as u32, 256, bell.as_raw_fd()).expect("a ring");
    let mut desk = Desk::on(listener, config(), ring, bell);
    desk.plane.speak_tls(acceptor);
    let terms = Arc::new(made.client(&TLS13));
    let mut clients: Vec<Secure> = (0..CLIENTS).map(|_| secure(&terms, tcp(desk.address))).collect();
    for client in &mut clients {
        client.sock.set_nonblocking(true).expect("reads that do not wait");
        go_on(client);
    }
    let sends = |desk: &Desk| desk.plane.counters.get(Counter::Sends);
    let mut turns = 0;
    while sends(&desk) < CLIENTS as u64 {
        let before = sends(&desk);
        desk.turn();
        let done = sends(&desk) - before;
        assert!(done <= u64::from(TLS_STEPS_PER_TURN), "{done} hellos were answered in one turn");
        turns += u32::from(done > 0);
        let waiting = desk.level(Gauge::AssemblyBytes) > 0;
        assert!(!waiting || desk.plane.is_ready(), "a turn follows while somebody waits");
        assert!(turns <= CLIENTS as u32);
    }
    assert!(turns >= CLIENTS as u32 / TLS_STEPS_PER_TURN, "{turns}");
    let full = |desk: &Desk| desk.plane.counters.get(Counter::TlsFull);
    while full(&desk) < CLIENTS as u64 {
        clients.iter_mut().for_each(go_on);
        desk.turn();
    }
    assert_eq!((desk.level(Gauge::AssemblyBytes), desk.level(Gauge::TlsConnections)), (0, CLIENTS));
}
