//! More completions at once than a ring's queue has room for wait in the kernel and are counted; no message, connection,
//! descriptor or receive buffer is lost by it.

mod common;

use common::desk::{Desk, config};
use longwire::metrics::{Counter, Gauge};
use longwire::net::ring::Ring;
use rustix::event::{EventfdFlags, eventfd};
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

const CONNECTIONS: usize = 200;
/// Buffers for all of them, so that it is the queue which is short.
const BUFFERS: u16 = 256;
/// Entries of both queues: far fewer than there are connections.
const SUBMISSIONS: u32 = 8;
const COMPLETIONS: u32 = 16;
const ROUNDS: usize = 20;

/// A masked text frame of two bytes, its mask zero.
const FRAME: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

fn overflows(desk: &Desk) -> u64 {
    desk.plane.counters.get(Counter::RingOverflow)
}

#[test]
fn a_full_completion_queue_loses_nothing() {
    let bell = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let slots = 2 * CONNECTIONS as u32;
    let ring = Ring::with_queues(slots, BUFFERS, bell.as_raw_fd(), SUBMISSIONS, COMPLETIONS).expect("a ring");
    let mut desk = Desk::over(config(), ring, bell);
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| desk.connect().0).collect();
    for round in 1..=ROUNDS {
        // All of them have something when the plane looks.
        for client in &mut clients {
            client.write_all(FRAME).expect("it takes bytes");
        }
        desk.turn_until("all have said something", |desk| desk.tally.messages == round * CONNECTIONS);
    }
    let counted = overflows(&desk);
    assert!(counted > 0, "there was room for all completions");
    // All go at once, half of them with something unread.
    for client in clients.iter_mut().step_by(2) {
        client.write_all(FRAME).expect("it takes bytes");
    }
    clients.clear();
    desk.turn_until("all have gone", |desk| desk.plane.is_empty());
    assert!(overflows(&desk) > counted, "there was room for all ends");
    for gauge in [Gauge::RingSlots, Gauge::RecvBuffers, Gauge::Outboxes] {
        assert_eq!(desk.level(gauge), 0, "{gauge:?}");
    }
    // Each buffer is where the kernel finds it: as many as there are can be filled at once.
    let dry = desk.plane.counters.get(Counter::BuffersDry);
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| desk.connect().0).collect();
    let before = desk.tally.messages;
    for client in &mut clients {
        client.write_all(FRAME).expect("it takes bytes");
    }
    desk.turn_until("all are heard", |desk| desk.tally.messages == before + CONNECTIONS);
    assert_eq!(desk.plane.counters.get(Counter::BuffersDry), dry, "a buffer was lost");
}
