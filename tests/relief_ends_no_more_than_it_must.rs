//! Where slow connections hold more together than they may, those who hold the most are closed, and no more of them than it
//! takes; what many of them share counts once.

mod common;

use common::desk::{Desk, config};
use longwire::frame::{Class, Frame};
use longwire::ids::ConnId;
use longwire::limits::RELIEF_PERCENT;
use longwire::metrics::{Counter, Gauge};
use longwire::net::plane::PlaneConfig;
use std::net::TcpStream;

/// What all may hold (bytes), and connections with one large frame each that hold nearly twice as much.
const BUDGET: usize = 1 << 20;
const SLOW: usize = 30;
const LARGE: usize = 60_000;
const SMALL: usize = 1000;
/// Sends that fill what the kernel buffers for a connection, whichever their size.
const MANY: usize = 100_000;

fn desk() -> Desk {
    Desk::new(PlaneConfig { outboxes_budget: BUDGET, ..config() }, 2 * SLOW, 16)
}

/// Clients that read nothing. They come before anything is sent, since it is looked at what is held while they come.
fn connect(desk: &mut Desk) -> Vec<(TcpStream, ConnId)> {
    (0..=SLOW).map(|_| desk.connect_slow()).collect()
}

/// Fills a connection until it takes nothing more, with one send of `frame` under way and nothing queued behind it.
fn block(desk: &mut Desk, conn: ConnId, frame: impl Fn() -> Frame) {
    let before = desk.level(Gauge::SendingBytes);
    for _ in 0..MANY {
        desk.plane.send(conn, &frame(), Class::Stored);
        // The first submits what was flushed, the second sees that it is done; what is not by then waits for the client.
        (0..3).for_each(|_| desk.work());
        if desk.level(Gauge::SendingBytes) > before {
            assert_eq!(desk.level(Gauge::OutboxBytes), 0);
            return;
        }
    }
    panic!("the kernel takes everything");
}

#[test]
fn who_holds_little_stays_and_so_do_those_who_need_not_go() {
    let mut desk = desk();
    let clients = connect(&mut desk);
    let who = clients[0].1;
    block(&mut desk, who, || Frame::new(&[0; SMALL]));
    for &(_, conn) in &clients[1..] {
        block(&mut desk, conn, || Frame::new(&[0; LARGE]));
    }
    assert!(desk.level(Gauge::SendingBytes) >= SLOW * LARGE);
    (0..3).for_each(|_| desk.turn());
    let closed = desk.plane.counters.get(Counter::ClosedTooSlow) as usize;
    let too_much = SMALL + SLOW * LARGE - BUDGET / 100 * RELIEF_PERCENT;
    assert!(desk.plane.is_talking(who), "it holds next to nothing");
    assert_eq!(closed, too_much.div_ceil(LARGE), "to bring it down to {RELIEF_PERCENT} %");
    assert_eq!(desk.plane.counters.get(Counter::Reliefs), 1);
}

#[test]
fn a_frame_that_many_wait_for_is_there_once() {
    let mut desk = desk();
    let frame = Frame::new(&[0; LARGE]);
    let slow = connect(&mut desk);
    slow.iter().for_each(|&(_, conn)| block(&mut desk, conn, || frame.clone()));
    slow.iter().for_each(|&(_, conn)| desk.plane.send(conn, &frame, Class::Stored));
    assert!(desk.level(Gauge::SendingBytes) + desk.level(Gauge::OutboxBytes) > 2 * BUDGET);
    (0..3).for_each(|_| desk.turn());
    assert!(slow.iter().all(|&(_, conn)| desk.plane.is_talking(conn)), "{LARGE} bytes are held");
    assert_eq!(desk.plane.counters.get(Counter::Reliefs), 0);
    assert!(desk.level(Gauge::OutboxBytes) >= SLOW * LARGE, "nothing was dropped");
}
