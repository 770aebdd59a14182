//! A burst over many more connections than a ring has buffers fails each connection's receive once at most: those that
//! found no buffer wait for one, and are not armed again and again.

use longwire::ids::ConnId;
use longwire::meter::Rate;
use longwire::metrics::Counter;
use longwire::net::deflate::Config;
use longwire::net::http::{HttpRules, UpgradeRequest};
use longwire::net::inbound::Limits;
use longwire::net::listen::Listener;
use longwire::net::plane::{Handler, Plane, PlaneConfig};
use longwire::net::ring::Ring;
use rustix::event::{EventfdFlags, eventfd};
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 400;
const BUFFERS: u16 = 16;
/// Ten times what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// A masked text frame of two bytes, its mask zero.
const FRAME: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

/// Counts what it is told.
struct Tally {
    rules: HttpRules,
    upgraded: usize,
    messages: usize,
}

impl Handler for Tally {
    fn http_rules(&self) -> &HttpRules {
        &self.rules
    }

    fn upgraded(&mut self, net: &mut Plane, conn: ConnId, _: &UpgradeRequest) {
        self.upgraded += 1;
        net.go_live(conn, 0);
    }

    fn message(&mut self, _: &mut Plane, _: ConnId, _: bool, payload: &[u8]) {
        assert_eq!(payload, b"hi");
        self.messages += 1;
    }
}

/// A plane that this thread turns, so that a burst can be there before it looks.
struct Desk {
    plane: Plane,
    tally: Tally,
    clients: Vec<TcpStream>,
    _bell: OwnedFd,
}

impl Desk {
    fn new() -> Self {
        let bell = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let ring = Ring::new(2 * CONNECTIONS as u32, BUFFERS, bell.as_raw_fd()).expect("a ring");
        let config = PlaneConfig {
            limits: Limits { message_max: 1024, deflate: false },
            deflate: Config { level: 1, min_size: 0 },
            ping_interval: 0,
            sign_in_timeout: 60_000,
            outbox_budget: 1 << 20,
            outboxes_budget: 1 << 30,
            sign_in: false,
            rate: Rate::NONE,
            handshakes: 0,
            head_timeout: 60_000,
            crowd: None,
        };
        let mut plane = Plane::new(config, vec![ring]);
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let address = listener.endpoint().address().expect("of TCP");
        plane.listen(listener);
        let rules = HttpRules { allowed_origins: Vec::new(), dev: false, supported: &[], deflate: false };
        let tally = Tally { rules, upgraded: 0, messages: 0 };
        let mut desk = Self { plane, tally, clients: Vec::new(), _bell: bell };
        for n in 1..=CONNECTIONS {
            let mut client = TcpStream::connect(address).expect("the listener takes it");
            client.write_all(UPGRADE).expect("it takes bytes");
            desk.clients.push(client);
            desk.turn_until("it is upgraded", |tally| tally.upgraded == n);
        }
        desk
    }

    fn turn_until(&mut self, what: &str, holds: impl Fn(&Tally) -> bool) {
        let (start, mut completions, mut scratch) = (Instant::now(), Vec::new(), Vec::new());
        while !holds(&self.tally) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}: {} came", self.tally.messages);
            self.plane.begin(start.elapsed().as_millis() as u64);
            self.plane.reap(&mut completions, &mut scratch).expect("the ring turns");
            self.plane.dispatch(&mut self.tally, &mut completions);
            self.plane.tick();
            self.plane.flush();
        }
    }

    fn write_all(&mut self, bytes: &[u8]) {
        for client in &mut self.clients {
            client.write_all(bytes).expect("it takes bytes");
        }
    }
}

#[test]
fn a_receive_that_found_no_buffer_waits_for_one() {
    let mut desk = Desk::new();
    assert_eq!(desk.plane.counters.get(Counter::BuffersDry), 0);
    // All are armed, and all have something when the plane looks.
    desk.write_all(FRAME);
    desk.turn_until("all have said something", |tally| tally.messages == CONNECTIONS);
    let dry = desk.plane.counters.get(Counter::BuffersDry);
    assert!(dry > 0, "there was no shortage");
    assert!(dry <= CONNECTIONS as u64, "{dry} receives of {CONNECTIONS} connections found no buffer");
    // They all receive by themselves as before.
    let burst: Vec<u8> = FRAME.repeat(1000);
    desk.write_all(&burst);
    desk.turn_until("all have said much", |tally| tally.messages == CONNECTIONS * 1001);
    // Each buffer that is filled lets one more receive try: failures grow with the bytes, not with the connections' square.
    let filled = desk.plane.counters.get(Counter::BytesReceived) / 2048 + 3 * CONNECTIONS as u64;
    let dry = desk.plane.counters.get(Counter::BuffersDry);
    assert!(dry <= filled + CONNECTIONS as u64, "{dry} failed for some {filled} buffers");
    // Whoever goes while it waits leaves nothing.
    desk.write_all(FRAME);
    desk.clients.clear();
    let (start, mut completions, mut scratch) = (Instant::now(), Vec::new(), Vec::new());
    while !desk.plane.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} connections are left", desk.plane.len());
        desk.plane.reap(&mut completions, &mut scratch).expect("the ring turns");
        desk.plane.dispatch(&mut desk.tally, &mut completions);
    }
}
