//! The engine on epoll: edge-triggered, one `recv` and one `send` per message. Knows no workload.
use super::conn::{Conn, State};
use super::end::End;
use super::{ConnId, Driver, Next, Plan, upgrade};
use crate::control::{Control, Tallies, Tally};
use crate::limits::{BACKLOG_BYTES, EVENTS, NAP_NS, OPENING_MAX, READ_BYTES, SPIN_NS};
use crate::wire::frame;
use anyhow::Context;
use rustix::event::epoll as sys;
use rustix::event::epoll::{EventData, EventFlags};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;

/// Not a connection's number: the wake-up of another thread.
const WAKE: u64 = u64::MAX;

/// The sockets of one thread, as drivers see them.
pub(crate) struct Io<'a> {
    conns: Vec<Conn>,
    control: &'a Control,
    tallies: &'a Tallies,
    /// Connections upgraded so far.
    open: usize,
    /// Connections with queued bytes that were not offered to the socket yet.
    queued: Vec<ConnId>,
    scratch: Vec<u8>,
}

impl Io<'_> {
    /// Connections upgraded so far.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Sends a frame now; what the socket does not take follows as it can.
    pub(crate) fn send(&mut self, conn: ConnId, frame: &[u8]) {
        let sent = self.conns[conn].send(frame);
        self.settle(conn, sent);
    }

    /// Queues a frame, sent with the others of the same connection once the bytes at hand are handled.
    pub(crate) fn queue(&mut self, conn: ConnId, frame: &[u8]) {
        if self.conns[conn].backlog() == 0 {
            self.queued.push(conn);
        }
        self.conns[conn].queue(frame);
    }

    /// Sends a text message.
    pub(crate) fn text(&mut self, conn: ConnId, text: &str) {
        self.control_frame(conn, frame::TEXT, text.as_bytes());
    }

    fn control_frame(&mut self, conn: ConnId, op: u8, payload: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        frame::write(&mut scratch, op, payload);
        self.send(conn, &scratch);
        self.scratch = scratch;
    }

    /// Sends what was queued.
    pub(crate) fn flush(&mut self) {
        while let Some(conn) = self.queued.pop() {
            let sent = self.conns[conn].flush();
            self.settle(conn, sent);
        }
    }

    fn settle(&mut self, conn: ConnId, sent: std::io::Result<()>) {
        match sent {
            Err(error) => self.fail(conn, &of(&error)),
            Ok(()) if self.conns[conn].backlog() > BACKLOG_BYTES => {
                self.control
                    .call_off("the server is too far behind: megabytes wait unsent on one connection");
            }
            Ok(()) => {}
        }
    }

    fn fail(&mut self, conn: ConnId, why: &End) {
        if self.conns[conn].state != State::Closed && !self.control.over() {
            self.conns[conn].state = State::Closed;
            self.control.connection_failed(why);
        }
    }
}

/// One thread's connections and its loop.
pub(crate) struct Engine<'a> {
    io: Io<'a>,
    epoll: OwnedFd,
    plan: &'a Plan,
    request: Vec<u8>,
    buffer: Box<[u8]>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(plan: &'a Plan, control: &'a Control, tallies: &'a Tallies) -> anyhow::Result<Self> {
        let epoll = sys::create(sys::CreateFlags::CLOEXEC)?;
        sys::add(&epoll, control.wake(), EventData::new_u64(WAKE), EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            io: Io {
                conns: Vec::with_capacity(plan.count),
                control,
                tallies,
                open: 0,
                queued: Vec::new(),
                scratch: Vec::new(),
            },
            epoll,
            plan,
            request: upgrade::request(plan.server, &plan.path),
            buffer: vec![0; READ_BYTES].into(),
        })
    }

    pub(crate) fn run(&mut self, driver: &mut impl Driver) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.open_more()?;
            let now = self.io.control.now();
            let next = driver.turn(&mut self.io, now);
            self.io.flush();
            if next == Next::Done || self.io.control.over() {
                return Ok(());
            }
            events.clear();
            let timeout = self.timeout(next);
            match sys::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll_wait"),
            }
            for event in &events {
                let (flags, data) = (event.flags, event.data.u64());
                if data != WAKE {
                    self.ready(driver, usize::try_from(data)?, flags);
                }
            }
        }
    }

    /// How long to sleep. The last stretch before a message is due is spun away: a timer wakes a sleeping core tens
    /// of microseconds late, and that would be measured as the server's latency.
    fn timeout(&self, next: Next) -> rustix::event::Timespec {
        let ns = match next {
            Next::At(time) => time.saturating_sub(self.io.control.now() + SPIN_NS).min(NAP_NS),
            Next::Spin => 0,
            Next::Event | Next::Done => NAP_NS,
        };
        #[allow(clippy::cast_possible_wrap)] // a nap is milliseconds
        rustix::event::Timespec { tv_sec: 0, tv_nsec: ns as i64 }
    }

    /// Opens connections while few are on their way.
    fn open_more(&mut self) -> anyhow::Result<()> {
        while self.io.conns.len() < self.plan.count {
            let under_way = self.io.conns.len() - self.io.open;
            if under_way >= OPENING_MAX || self.io.control.over() || !self.in_time() {
                break;
            }
            let id = self.io.conns.len();
            let stream = connect(self.plan, self.plan.first + id).context("opening a connection")?;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            self.io.conns.push(Conn::new(stream, &self.request));
            sys::add(&self.epoll, &self.io.conns[id].stream, EventData::new_u64(id as u64), flags)?;
        }
        Ok(())
    }

    /// Whether the plan's pace allows one more connection.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // connections of one thread
    fn in_time(&self) -> bool {
        let allowed = |pace: f64| (self.io.control.now() as f64 / 1e9 * pace) as usize;
        self.plan.pace.is_none_or(|pace| self.io.conns.len() <= allowed(pace))
    }

    fn ready(&mut self, driver: &mut impl Driver, conn: ConnId, flags: EventFlags) {
        if self.io.conns[conn].state == State::Closed {
            return;
        }
        if flags.contains(EventFlags::OUT) && self.io.conns[conn].backlog() > 0 {
            let sent = self.io.conns[conn].flush();
            self.io.settle(conn, sent);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.readable(driver, conn);
            self.io.flush();
        }
    }

    /// Reads until the socket is empty: a short read says so without another call.
    fn readable(&mut self, driver: &mut impl Driver, conn: ConnId) {
        while self.io.conns[conn].state != State::Closed {
            let Conn { stream, carry, .. } = &mut self.io.conns[conn];
            let kept = carry.len();
            self.buffer[..kept].copy_from_slice(carry);
            carry.clear();
            let read = match stream.read(&mut self.buffer[kept..]) {
                Ok(0) => return self.io.fail(conn, &End::Eof),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.io.conns[conn].carry.extend_from_slice(&self.buffer[..kept]);
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) => return self.io.fail(conn, &of(&error)),
            };
            let have = kept + read;
            match self.take(driver, conn, have) {
                Ok(used) => self.io.conns[conn].carry.extend_from_slice(&self.buffer[used..have]),
                Err(why) => return self.io.fail(conn, &why),
            }
            if read > 0 && have < self.buffer.len() {
                return;
            }
        }
    }

    /// Handles the whole frames among the first `have` bytes of the buffer and says how many bytes they took.
    fn take(&mut self, driver: &mut impl Driver, conn: ConnId, have: usize) -> Result<usize, End> {
        let mut used = 0;
        if self.io.conns[conn].state == State::Upgrading {
            let Some(length) = upgrade::answered(&self.buffer[..have]).map_err(End::NoUpgrade)? else {
                return Ok(0);
            };
            used = length;
            self.io.conns[conn].state = State::Open;
            self.io.open += 1;
            bump(&self.io.tallies.opened, 1);
            driver.opened(&mut self.io, conn);
        }
        let now = self.io.control.now();
        while let Some(header) =
            frame::parse(&self.buffer[used..have]).map_err(|bad| End::Protocol(bad.to_string()))?
        {
            if header.total() > self.buffer.len() {
                return Err(End::Protocol(format!("a frame of {} bytes", header.payload)));
            }
            let payload = used + header.header;
            let end = used + header.total();
            if end > have {
                break;
            }
            let payload = &self.buffer[payload..end];
            match header.op {
                frame::CLOSE => return Err(closed(payload)),
                frame::PING => self.io.control_frame(conn, frame::PONG, payload),
                frame::PONG => {}
                _ => driver.message(&mut self.io, conn, payload, now),
            }
            used = end;
        }
        Ok(used)
    }
}

fn closed(payload: &[u8]) -> End {
    match payload {
        [a, b, reason @ ..] => {
            End::Closed(u16::from_be_bytes([*a, *b]), String::from_utf8_lossy(reason).into_owned())
        }
        _ => End::Closed(1005, String::new()),
    }
}

fn of(error: &std::io::Error) -> End {
    End::of_errno(error.raw_os_error().unwrap_or(0))
}

/// Starts one connect; the plan's source addresses take turns.
fn connect(plan: &Plan, number: usize) -> anyhow::Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::for_address(plan.server), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if !plan.sources.is_empty() {
        let address = SocketAddr::new(plan.sources[number % plan.sources.len()], 0);
        socket.bind(&address.into()).with_context(|| format!("binding to {address}"))?;
    }
    match socket.connect(&plan.server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(socket.into())
}

/// Adds to a counter that only this thread writes; the main thread reads it.
pub(crate) fn bump(counter: &Tally, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}
