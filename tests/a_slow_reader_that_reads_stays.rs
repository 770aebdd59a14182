//! A client that reads so slowly that its queue never empties is not taken for dead: what it takes is a sign of life, and the
//! ping that waits for it keeps its place.

mod common;

use common::PATIENCE;
use common::desk::{Desk, config};
use longwire::frame::{Class, Frame};
use longwire::metrics::{Counter, Gauge};
use longwire::net::plane::PlaneConfig;
use std::io::Read;
use std::time::Instant;

const PING_INTERVAL: u64 = 1000;
/// Between two frames that it takes (ms).
const STEP: u64 = 300;
const STEPS: usize = 60;
const FRAME: usize = 60_000;
/// The first byte of a ping; of what else is sent all bytes are zero.
const PING: u8 = 0x89;

#[test]
fn a_slow_reader_that_reads_stays() {
    let mut desk = Desk::new(PlaneConfig { ping_interval: PING_INTERVAL, ..config() }, 4, 16);
    let (mut client, conn) = desk.connect_slow();
    client.set_nonblocking(true).expect("reads that do not wait");
    let (mut buffer, mut pings) = ([0; 4096], 0);
    for _ in 0..STEPS {
        while desk.level(Gauge::OutboxBytes) < 4 * FRAME {
            desk.plane.send(conn, &Frame::new(&[0; FRAME]), Class::Stored);
            desk.turn();
        }
        desk.uptime += STEP;
        let (start, sent) = (Instant::now(), desk.plane.counters.get(Counter::FramesSent));
        while desk.plane.counters.get(Counter::FramesSent) == sent {
            assert!(start.elapsed() < PATIENCE, "nothing is sent any more");
            if let Ok(length) = client.read(&mut buffer) {
                pings += buffer[..length].iter().filter(|&&byte| byte == PING).count();
            }
            desk.turn();
        }
        assert!(desk.plane.is_talking(conn), "it was taken for dead");
        assert!(desk.level(Gauge::OutboxBytes) > 0, "it is slow");
    }
    let sent = desk.plane.counters.get(Counter::PingsSent);
    assert!(pings > 0 && pings <= sent as usize, "{pings} pings of {sent} reached it");
}
