//! A plane that the test's own thread turns, with a time of the test's own: what is to be there before it looks is there,
//! and hours pass in no time. Knows no chat.

use super::PATIENCE;
use super::raw::UPGRADE;
use longwire::ids::ConnId;
use longwire::meter::Rate;
use longwire::metrics::{Gauge, Gauges};
use longwire::net::deflate::Config;
use longwire::net::http::{HttpRules, UpgradeRequest};
use longwire::net::inbound::Limits;
use longwire::net::listen::Listener;
use longwire::net::plane::{Handler, Plane, PlaneConfig};
use longwire::net::ring::{Completion, Ring};
use rustix::event::{EventfdFlags, eventfd};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// A client's receive buffer (bytes): little is under way in the kernel.
const WINDOW: usize = 4096;

/// The message that asks for a page; no other is owed an answer.
pub const PAGE: &[u8] = b"page";

/// Takes everybody in, and counts what it is told.
pub struct Tally {
    rules: HttpRules,
    /// Who came.
    pub upgraded: Vec<ConnId>,
    /// How many messages came.
    pub messages: usize,
    /// The last of them.
    pub last: Vec<u8>,
}

impl Handler for Tally {
    fn http_rules(&self) -> &HttpRules {
        &self.rules
    }

    fn upgraded(&mut self, net: &mut Plane, conn: ConnId, _: &UpgradeRequest) {
        self.upgraded.push(conn);
        net.go_live(conn, 0);
    }

    fn message(&mut self, net: &mut Plane, conn: ConnId, _: bool, payload: &[u8]) {
        if payload == PAGE {
            net.owes(conn, true);
        }
        self.messages += 1;
        self.last = payload.to_vec();
    }
}

/// The plane and its clock.
pub struct Desk {
    pub plane: Plane,
    pub tally: Tally,
    /// What time the plane is told (ms).
    pub uptime: u64,
    /// Where it listens.
    pub address: SocketAddr,
    completions: Vec<(u8, Completion)>,
    scratch: Vec<Completion>,
    _bell: OwnedFd,
}

/// A plane without heartbeats and rates.
pub fn config() -> PlaneConfig {
    PlaneConfig {
        limits: Limits { message_max: 1024, fragments_max: 0, deflate: false },
        deflate: Config { level: 1, min_size: 0 },
        ping_interval: 0,
        sign_in_timeout: 60_000,
        outbox_budget: 1 << 20,
        outboxes_budget: 1 << 30,
        sign_in: false,
        rate: Rate::NONE,
        handshakes: 0,
        tls_handshakes: 0,
        head_timeout: 60_000,
        crowd: None,
        trusted: Vec::new(),
    }
}

impl Desk {
    /// With room for so many connections, and so many receive buffers.
    pub fn new(config: PlaneConfig, connections: usize, buffers: u16) -> Self {
        let bell = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let ring = Ring::new(2 * connections as u32, buffers, bell.as_raw_fd()).expect("a ring");
        Self::over(config, ring, bell)
    }

    /// One with a ring of the test's own, which was built on this thread.
    pub fn over(config: PlaneConfig, ring: Ring, bell: OwnedFd) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        Self::on(listener, config, ring, bell)
    }

    /// The same on a listener of the test's own.
    pub fn on(listener: Listener, config: PlaneConfig, ring: Ring, bell: OwnedFd) -> Self {
        let mut plane = Plane::new(config, vec![ring]);
        let address = listener.endpoint().address().expect("of TCP");
        plane.listen([listener]);
        let rules = HttpRules::default();
        let tally = Tally { rules, upgraded: Vec::new(), messages: 0, last: Vec::new() };
        let (completions, scratch) = (Vec::new(), Vec::new());
        Self { plane, tally, uptime: 1, address, completions, scratch, _bell: bell }
    }

    /// A turn of the plane without a look at what is due.
    pub fn work(&mut self) {
        self.work_with(|_| {});
    }

    /// The same, with completions as the test would have them.
    fn work_with(&mut self, change: impl FnMut(&mut Completion)) {
        self.plane.begin(self.uptime);
        self.plane.reap(&mut self.completions, &mut self.scratch).expect("the ring turns");
        self.completions.iter_mut().map(|(_, completion)| completion).for_each(change);
        self.plane.dispatch(&mut self.tally, &mut self.completions);
        self.plane.flush();
    }

    /// A turn of the plane.
    pub fn turn(&mut self) {
        self.turn_with(|_| {});
    }

    /// A turn of the plane with completions as the test would have them.
    pub fn turn_with(&mut self, change: impl FnMut(&mut Completion)) {
        self.work_with(change);
        self.plane.tick();
        self.plane.flush();
    }

    /// A level of the plane's.
    pub fn level(&self, gauge: Gauge) -> usize {
        let mut gauges = Gauges::default();
        self.plane.gauges(&mut gauges);
        gauges.get(gauge) as usize
    }

    /// Turns until something holds.
    pub fn turn_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let came = self.tally.messages;
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}: {came} messages came");
            self.turn();
        }
    }

    /// A client that is upgraded.
    pub fn connect(&mut self) -> (TcpStream, ConnId) {
        self.upgrade(TcpStream::connect(self.address).expect("the listener takes it"))
    }

    /// The same with a small receive buffer.
    pub fn connect_slow(&mut self) -> (TcpStream, ConnId) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(WINDOW).expect("a small buffer");
        socket.connect(&self.address.into()).expect("the listener takes it");
        self.upgrade(socket.into())
    }

    fn upgrade(&mut self, mut client: TcpStream) -> (TcpStream, ConnId) {
        let before = self.tally.upgraded.len();
        client.write_all(UPGRADE.as_bytes()).expect("it takes bytes");
        self.turn_until("it is upgraded", |desk| desk.tally.upgraded.len() > before);
        client.set_nonblocking(true).expect("reads that do not wait");
        let mut head = Vec::new();
        let start = Instant::now();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(start.elapsed() < PATIENCE, "no answer came");
            self.work();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|length| length == 1) {
                head.push(byte[0]);
            }
        }
        client.set_nonblocking(false).expect("writes that wait");
        (client, self.tally.upgraded[before])
    }
}
