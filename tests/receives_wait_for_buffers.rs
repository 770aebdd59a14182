//! A burst over many more connections than a ring has buffers fails each connection's receive once at most: those that
//! found no buffer wait for one, and are not armed again and again.

mod common;

use common::PATIENCE;
use common::desk::{Desk, config};
use longwire::metrics::Counter;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

const CONNECTIONS: usize = 400;
const BUFFERS: u16 = 16;

/// A masked text frame of two bytes, its mask zero.
const FRAME: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

fn write_all(clients: &mut [TcpStream], bytes: &[u8]) {
    for client in clients {
        client.write_all(bytes).expect("it takes bytes");
    }
}

#[test]
fn a_receive_that_found_no_buffer_waits_for_one() {
    let mut desk = Desk::new(config(), CONNECTIONS, BUFFERS);
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| desk.connect().0).collect();
    assert_eq!(desk.plane.counters.get(Counter::BuffersDry), 0);
    // All are armed, and all have something when the plane looks.
    write_all(&mut clients, FRAME);
    desk.turn_until("all have said something", |desk| desk.tally.messages == CONNECTIONS);
    let dry = desk.plane.counters.get(Counter::BuffersDry);
    assert!(dry > 0, "there was no shortage");
    assert!(dry <= CONNECTIONS as u64, "{dry} receives of {CONNECTIONS} connections found no buffer");
    // They all receive by themselves as before.
    let burst: Vec<u8> = FRAME.repeat(1000);
    write_all(&mut clients, &burst);
    desk.turn_until("all have said much", |desk| desk.tally.messages == CONNECTIONS * 1001);
    // Each buffer that is filled lets one more receive try: failures grow with the bytes, not with the connections' square.
    let filled = desk.plane.counters.get(Counter::BytesReceived) / 2048 + 3 * CONNECTIONS as u64;
    let dry = desk.plane.counters.get(Counter::BuffersDry);
    assert!(dry <= filled + CONNECTIONS as u64, "{dry} failed for some {filled} buffers");
    // Whoever goes while it waits leaves nothing.
    write_all(&mut clients, FRAME);
    clients.clear();
    let start = Instant::now();
    while !desk.plane.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} connections are left", desk.plane.len());
        desk.turn();
    }
    assert_eq!(desk.tally.last, b"hi");
}
