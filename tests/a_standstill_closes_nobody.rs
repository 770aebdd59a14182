//! A server that stood still, because its process or its machine was stopped, does not take its quiet clients for dead: it
//! pings them first. Who is silent after that is closed as ever.

mod common;

use common::desk::{Desk, config};
use longwire::metrics::Counter;
use longwire::net::plane::PlaneConfig;

const INTERVAL: u64 = 1000;

#[test]
fn a_standstill_closes_nobody() {
    let mut desk = Desk::new(PlaneConfig { ping_interval: INTERVAL, ..config() }, 4, 16);
    let (_client, conn) = desk.connect();
    for stop in [0, 3 * INTERVAL, 1_000_000 * INTERVAL] {
        desk.uptime += stop;
        let pings = desk.plane.counters.get(Counter::PingsSent);
        desk.turn();
        assert!(desk.plane.is_talking(conn), "it could not be heard for {stop} ms");
        if stop > 0 {
            assert_eq!(desk.plane.counters.get(Counter::PingsSent), pings + 1);
        }
    }
    let goes_on = desk.uptime;
    while desk.plane.is_talking(conn) {
        desk.uptime += INTERVAL / 10;
        desk.turn();
    }
    let silent = desk.uptime - goes_on;
    assert!((2 * INTERVAL..=3 * INTERVAL + INTERVAL / 5).contains(&silent), "after {silent} ms");
    assert_eq!(desk.plane.counters.get(Counter::ClosedNoPong), 1);
}

#[test]
fn a_server_that_only_slept_until_the_next_ping_did_not_stand_still() {
    let mut desk = Desk::new(PlaneConfig { ping_interval: INTERVAL, ..config() }, 4, 16);
    let (_client, conn) = desk.connect();
    for _ in 0..4 {
        let due = desk.plane.next_deadline().expect("a ping is due");
        desk.uptime = due.max(desk.uptime + 1);
        desk.turn();
    }
    while desk.plane.is_talking(conn) && desk.uptime < 10 * INTERVAL {
        desk.uptime = desk.plane.next_deadline().expect("a ping is due").max(desk.uptime + 1);
        desk.turn();
    }
    assert_eq!(desk.plane.counters.get(Counter::ClosedNoPong), 1, "it is silent");
}
