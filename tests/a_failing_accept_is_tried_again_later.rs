//! Where the machine has no more files or memory to accept with, a core tries again now and then: it does not spin meanwhile, and
//! nobody has to leave before it listens again.

mod common;

use common::desk::{Desk, config};
use longwire::limits::{ACCEPT_RETRY_MS, ACCEPTS_AT_ONCE};
use longwire::metrics::{Counter, Gauge};
use longwire::net::ring::Op;
use socket2::{Domain, Socket, Type};
use std::net::TcpStream;

/// Who connects while no accept succeeds.
const CLIENTS: usize = 2 * ACCEPTS_AT_ONCE as usize;

fn failed(desk: &Desk) -> usize {
    desk.plane.counters.get(Counter::AcceptFailed) as usize
}

#[test]
fn a_failing_accept_is_tried_again_later() {
    for error in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        let mut desk = Desk::new(config(), CLIENTS, 16);
        let fails = |desk: &mut Desk| {
            for _ in 0..2 * CLIENTS {
                desk.turn_with(|completion| {
                    if completion.token.op() == Some(Op::Accept) {
                        completion.result = -error;
                    }
                });
            }
        };
        let clients: Vec<TcpStream> =
            (0..CLIENTS).map(|_| TcpStream::connect(desk.address).expect("it listens")).collect();
        fails(&mut desk);
        assert_eq!(failed(&desk), ACCEPTS_AT_ONCE as usize, "those under way fail, and no more are begun");
        desk.uptime += ACCEPT_RETRY_MS - 1;
        fails(&mut desk);
        assert_eq!(desk.plane.next_deadline(), Some(desk.uptime + 1), "a shard that sleeps wakes for that");
        assert_eq!(failed(&desk), ACCEPTS_AT_ONCE as usize);
        drop(clients);
        desk.uptime += 1;
        desk.turn();
        let (_client, id) = desk.connect();
        assert!(desk.plane.is_talking(id));
    }
}

#[test]
fn a_listener_that_could_not_be_opened_again_is_tried_again() {
    let mut desk = Desk::new(config(), 4, 16);
    let mut clients: Vec<_> = (0..desk.plane.capacity()).map(|_| desk.connect()).collect();
    assert!(TcpStream::connect(desk.address).is_err(), "a full core listens no more");
    // Somebody else takes the port meanwhile.
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    other.set_reuse_address(true).expect("an option");
    other.bind(&desk.address.into()).expect("the port is free");
    other.listen(1).expect("it listens");
    let full = desk.level(Gauge::Connections);
    for left in 1..=2 {
        clients.pop();
        desk.turn_until("one has gone", |desk| desk.level(Gauge::Connections) == full - left);
        assert_eq!(failed(&desk), 1, "it was tried when the first had gone");
    }
    desk.uptime += ACCEPT_RETRY_MS;
    desk.turn();
    assert_eq!(failed(&desk), 2);
    drop(other);
    desk.uptime += ACCEPT_RETRY_MS;
    desk.turn();
    desk.connect();
    assert_eq!(failed(&desk), 2);
}
