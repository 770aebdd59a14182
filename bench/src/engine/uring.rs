//! One thread's loop: opens connections, turns what is received into messages, sleeps. Knows no workload.
use super::conn::{Armed, Conn, State, TICK_BITS};
use super::deflate::Packer;
use super::io::{Io, bump, number};
use super::lane::Lane;
use super::pool::NONE;
use super::tls::{Read, Tls};
use super::upgrade::Wish;
use super::waits::Waits;
use super::{After, Driver, End, Next, Plan, dial, upgrade};
use crate::control::{Control, Tallies};
use crate::limits::{
    BATCH, DEMOTE_MAX, NAP_NS, OPENING_MAX, READ_BYTES, RECV_BUFFERS, RECV_BUFFERS_MAX, RECV_BUFFERS_MIN,
    SLOTS_SPARE, SPIN_NS,
};
use crate::wire::frame;
use anyhow::Context;
use longwire::net::deflate::Inflater;
use longwire::net::ring::{Completion, Op};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::HandshakeKind;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};

/// One thread's connections and its loop.
pub(crate) struct Engine<'a> {
    io: Io<'a>,
    plan: &'a Plan,
    /// The request, where all connections have the same path.
    request: Vec<u8>,
    completions: Vec<Completion>,
    /// Completions that wait for their turn, with their lanes.
    pending: VecDeque<(u16, Completion)>,
    /// Connections never opened so far begin here.
    fresh: usize,
    /// When the next one may be opened, in nanoseconds.
    open_at: f64,
    /// Connections whose receive goes on by itself.
    streams: VecDeque<u32>,
    demoted: u32,
    waits: Waits,
    inflater: Inflater,
    slots: u32,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(plan: &'a Plan, control: &'a Control, tallies: &'a Tallies) -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        // A table is as long as the file limit at most, however few files are open beside it.
        let slots = files.saturating_sub(SLOTS_SPARE).min(plan.count as u64).clamp(1, 1 << 20);
        let mut io = Io::new(plan.count, control, tallies);
        io.packer = plan.compress.map(Packer::new);
        io.tls = plan.tls.clone().map(|terms| Box::new(Tls::new(terms, plan.count)));
        Self {
            io,
            inflater: Inflater::default(),
            plan,
            request: wish(plan, &plan.path, None).request(),
            completions: Vec::new(),
            pending: VecDeque::new(),
            fresh: 0,
            open_at: 0.0,
            streams: VecDeque::new(),
            demoted: 0,
            waits: Waits::default(),
            slots: u32::try_from(slots).unwrap_or(1 << 20),
        }
    }

    pub(crate) fn run(&mut self, driver: &mut impl Driver) -> anyhow::Result<()> {
        loop {
            let now = self.io.control.now();
            self.open_more(driver, now)?;
            let next = driver.turn(&mut self.io, now);
            if next == Next::Done || self.io.control.over() {
                return Ok(());
            }
            self.io.start_sends();
            let busy = self.reap(driver)?;
            self.io.start_receives();
            self.tell_ends(driver);
            self.io.start_sends();
            if next == Next::Spin {
                bump(&self.io.tallies.spun, 1);
            }
            if !busy {
                self.demote();
                self.sleep(next)?;
            }
        }
    }

    /// Submits what is queued and handles some of what is complete: not all, since the driver has its schedule.
    fn reap(&mut self, driver: &mut impl Driver) -> anyhow::Result<bool> {
        if self.pending.is_empty() {
            for (at, lane) in self.io.lanes.iter_mut().enumerate() {
                if lane.ring.is_ready() {
                    lane.ring.turn(&mut self.completions).context("io_uring_enter")?;
                    lane.submitted();
                    let lane = u16::try_from(at).unwrap_or(u16::MAX);
                    self.pending.extend(self.completions.drain(..).map(|completion| (lane, completion)));
                }
            }
        }
        let count = self.pending.len().min(BATCH);
        for _ in 0..count {
            if let Some((lane, completion)) = self.pending.pop_front() {
                self.complete(driver, lane, &completion);
            }
        }
        Ok(count > 0)
    }

    fn complete(&mut self, driver: &mut impl Driver, lane: u16, completion: &Completion) {
        let at = completion.token.conn().index as usize;
        let result = usize::try_from(completion.result).map_err(|_| -completion.result);
        match completion.token.op() {
            Some(Op::Send) => self.io.sent(at, result),
            Some(Op::Poll) => {
                self.io.conns[at].armed = Armed::Nothing;
                // Errors and ends are the receive's to tell.
                self.io.has_bytes(at);
                self.io.settle(at);
            }
            Some(Op::Recv) => {
                if !completion.more {
                    let before = std::mem::replace(&mut self.io.conns[at].armed, Armed::Nothing);
                    if before == Armed::Taking {
                        self.io.lanes[usize::from(lane)].receives(false);
                    }
                }
                self.received(driver, lane, at, completion, result);
                self.rearm(at);
                self.io.settle(at);
            }
            // A cancel of something that had just completed.
            _ => {}
        }
    }

    fn received(
        &mut self,
        driver: &mut impl Driver,
        lane: u16,
        at: usize,
        completion: &Completion,
        result: Result<usize, i32>,
    ) {
        const AGAIN: [i32; 2] =
            [rustix::io::Errno::CANCELED.raw_os_error(), rustix::io::Errno::INTR.raw_os_error()];
        match result {
            Ok(0) => self.io.end(at, End::Eof),
            Err(errno) if errno == rustix::io::Errno::NOBUFS.raw_os_error() => self.io.has_bytes(at),
            Err(errno) if AGAIN.contains(&errno) => {}
            Err(errno) => self.io.end(at, End::of_errno(errno)),
            Ok(_) => {}
        }
        let Some(mut buffer) = self.io.lanes[usize::from(lane)].ring.received(completion) else { return };
        if self.io.conns[at].lives() && !buffer.is_empty() {
            let now = self.io.control.now();
            self.io.conns[at].heard(tick(now));
            if self.io.tls.is_some() {
                self.records(driver, at, &mut buffer, now);
            } else {
                self.bytes(driver, at, &buffer, now);
            }
        }
        self.io.lanes[usize::from(lane)].ring.give_back(buffer);
    }

    /// Takes what came of TLS: its own answers leave, what was in it is read.
    fn records(&mut self, driver: &mut impl Driver, at: usize, received: &mut [u8], now: u64) {
        let Some(mut tls) = self.io.tls.take() else { return };
        let mut plain = tls.lend();
        let read = tls.read(at, received, &mut plain).map(|(read, answer)| {
            self.io.queue(at, answer);
            read
        });
        self.io.give_back(at, tls);
        if let Ok(Read { handshake: Some(how), .. }) = read {
            bump(&self.io.tallies.handshakes, 1);
            bump(&self.io.tallies.resumed, u64::from(how == HandshakeKind::Resumed));
        }
        if read.is_ok() && self.io.conns[at].lives() && !plain.is_empty() {
            self.bytes(driver, at, &plain, now);
        }
        if let Some(tls) = &mut self.io.tls {
            tls.put_back(plain);
        }
        match read {
            Ok(Read { closed: false, .. }) => {}
            Ok(_) => self.io.end(at, End::Eof),
            Err(end) => self.io.end(at, end),
        }
    }

    fn rearm(&mut self, at: usize) {
        self.io.arm(at);
        let conn = &mut self.io.conns[at];
        if conn.armed == Armed::Stream && !std::mem::replace(&mut conn.listed, true) {
            self.streams.push_back(number(at));
        }
    }

    /// Handles received bytes, behind those that were kept of the frame before.
    fn bytes(&mut self, driver: &mut impl Driver, at: usize, bytes: &[u8], now: u64) {
        let carry = self.io.conns[at].carry;
        let used = if carry == NONE {
            self.take(driver, at, bytes, now)
        } else {
            let mut kept = self.io.carries.lend(carry);
            kept.extend_from_slice(bytes);
            let used = self.take(driver, at, &kept, now);
            if let Ok(used) = used {
                kept.drain(..used);
            }
            // The connection may have ended meanwhile, and given its place for kept bytes back.
            if self.io.conns[at].carry == carry {
                let whole = kept.is_empty();
                self.io.carries.put_back(carry, kept);
                if whole {
                    self.io.carries.forget(carry);
                    self.io.conns[at].carry = NONE;
                }
            }
            used.map(|_| bytes.len())
        };
        match used {
            Err(end) => self.io.end(at, end),
            Ok(used) if used < bytes.len() && self.io.conns[at].lives() => {
                let carry = self.io.carries.begin(&bytes[used..]);
                self.io.conns[at].carry = carry;
            }
            Ok(_) => {}
        }
        if self.io.carries.too_many() && self.io.conns[at].carry != NONE {
            self.io.end(at, End::Protocol("too much in half frames".into()));
        }
    }

    /// Handles the whole frames among `bytes` and says how many bytes they took.
    fn take(&mut self, driver: &mut impl Driver, at: usize, bytes: &[u8], now: u64) -> Result<usize, End> {
        let mut used = 0;
        if let Some(size) = self.plan.tcp {
            let whole = bytes.chunks_exact(size);
            used = bytes.len() - whole.remainder().len();
            bump(&self.io.tallies.bytes_received, used as u64);
            whole.for_each(|chunk| driver.message(&mut self.io, at, chunk, now));
            return Ok(used);
        }
        if self.io.conns[at].state == State::Upgrading {
            let answer = upgrade::answered(bytes, self.plan.subprotocol, self.plan.compress.is_some())?;
            let Some(length) = answer else { return Ok(0) };
            used = length;
            self.opened(driver, at);
        }
        while matches!(self.io.conns[at].state, State::Open | State::Closing) {
            let header = frame::parse(&bytes[used..], self.plan.compress.is_some())
                .map_err(|bad| End::Protocol(bad.to_string()))?;
            let Some(header) = header else { break };
            if header.total() > READ_BYTES {
                return Err(End::Protocol(format!("a frame of {} bytes", header.payload)));
            }
            let (payload, end) = (used + header.header, used + header.total());
            if end > bytes.len() {
                break;
            }
            let payload = &bytes[payload..end];
            match header.op {
                frame::CLOSE if self.io.conns[at].state == State::Closing => return Err(End::Asked),
                frame::CLOSE => return Err(closed(payload)),
                frame::PING => {
                    bump(&self.io.tallies.pings, 1);
                    self.io.whole_frame(at, frame::PONG, payload);
                }
                frame::PONG => {}
                frame::TEXT if self.plan.subprotocol.is_some() => {
                    return Err(End::Protocol("a text frame on a binary connection".into()));
                }
                _ if self.io.pieces.whole(at, header) => {
                    self.message(driver, at, header.compressed, payload, now)?;
                }
                _ => {
                    if let Some(message) = self.io.pieces.add(at, header, payload)? {
                        self.message(driver, at, message.compressed, &message.bytes, now)?;
                    }
                }
            }
            used = end;
            bump(&self.io.tallies.bytes_received, header.total() as u64);
        }
        Ok(used)
    }

    /// Hands a whole message on, inflated if it was compressed.
    fn message(
        &mut self,
        driver: &mut impl Driver,
        at: usize,
        compressed: bool,
        payload: &[u8],
        now: u64,
    ) -> Result<(), End> {
        if !compressed {
            driver.message(&mut self.io, at, payload, now);
            return Ok(());
        }
        bump(&self.io.tallies.unpacked, 1);
        // What is in it is looked at by the ledger: that a text is one is not looked at here either where it comes as it is.
        let message = self.inflater.inflate(payload, false, READ_BYTES);
        let message =
            message.map_err(|bad| End::Protocol(format!("a compressed message: {}", bad.reason)))?;
        driver.message(&mut self.io, at, message, now);
        Ok(())
    }

    fn opened(&mut self, driver: &mut impl Driver, at: usize) {
        self.io.conns[at].state = State::Open;
        self.io.upgrading -= 1;
        bump(&self.io.tallies.opened, 1);
        self.waits.forget(number(at));
        driver.opened(&mut self.io, at);
    }

    /// Tells the driver of connections that ended; it may end or open others.
    fn tell_ends(&mut self, driver: &mut impl Driver) {
        while let Some((at, end)) = self.io.ended.pop() {
            if let End::Later(seconds) = end
                && self.waits.tell(at, seconds, self.io.control.now())
            {
                bump(&self.io.tallies.told_to_wait, 1);
                continue;
            }
            match driver.closed(&mut self.io, at as usize, &end) {
                After::Leave => {}
                After::Reopen => self.io.open_again(at as usize),
                After::Fail if end == End::Asked || self.io.control.over() => {}
                After::Fail => self.io.control.connection_failed(&end),
            }
        }
    }

    /// Opens connections while few are on their way and the pace allows it.
    fn open_more(&mut self, driver: &mut impl Driver, now: u64) -> anyhow::Result<()> {
        while let Some(at) = self.waits.next(now) {
            self.io.open_again(at as usize);
        }
        while self.io.upgrading < OPENING_MAX && !self.io.control.over() {
            if self.plan.pace.is_some() && self.open_at > now as f64 {
                break;
            }
            let Some(at) = self.next_to_open() else { break };
            // What was missed while nothing could be opened is not made up for: a pace is a bound.
            let gap = self.plan.pace.map_or(0.0, |pace| 1e9 / pace);
            self.open_at = self.open_at.max(now as f64 - OPENING_MAX as f64 * gap) + gap;
            self.open(driver, at)?;
        }
        Ok(())
    }

    /// The next connection to open: new ones first, then those that return.
    fn next_to_open(&mut self) -> Option<usize> {
        if self.fresh < self.plan.count {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        let at = self.io.again.pop_front()? as usize;
        if self.io.conns[at].state == State::Away {
            return Some(at);
        }
        // Something of its former life is still under way: it comes with the next completions.
        self.io.again.push_back(number(at));
        None
    }

    fn open(&mut self, driver: &mut impl Driver, at: usize) -> anyhow::Result<()> {
        let sources = &self.plan.sources;
        let source = (!sources.is_empty()).then(|| sources[(self.plan.first + at) % sources.len()]);
        let socket = match dial::dial(self.plan.server, source)? {
            Ok(socket) => socket,
            Err(end) => {
                self.io.ended.push((number(at), end));
                return Ok(());
            }
        };
        let lane = self.lane().context("another io_uring for more connections")?;
        let slot = self.io.lanes[lane].install(socket.as_fd()).context("a direct descriptor")?;
        let slot = slot.context("a lane with room has a slot")?;
        let lane = u16::try_from(lane).context("too many rings in one thread")?;
        let listed = self.io.conns[at].listed;
        self.io.conns[at] = Conn { state: State::Upgrading, lane, slot, listed, ..Conn::away() };
        self.io.upgrading += 1;
        if let Some(mut tls) = self.io.tls.take() {
            match tls.open(at) {
                Ok(hello) => self.io.queue(at, hello),
                Err(end) => self.io.end(at, end),
            }
            self.io.give_back(at, tls);
        }
        if self.plan.tcp.is_some() {
            self.opened(driver, at);
        } else {
            let (path, bearer) = (driver.path(at), self.io.control.bearer(|| driver.user(at)));
            if path.is_none() && bearer.is_none() {
                self.io.push(at, &self.request);
            } else {
                let path = path.as_deref().unwrap_or(&self.plan.path);
                self.io.push(at, &wish(self.plan, path, bearer.as_deref()).request());
            }
        }
        self.io.arm(at);
        Ok(())
    }

    /// A lane with room, a new one where all are full.
    fn lane(&mut self) -> anyhow::Result<usize> {
        // The last one first: in a run that only opens, the others are full.
        if let Some(at) = self.io.lanes.iter().rposition(Lane::has_room) {
            return Ok(at);
        }
        let lanes = self.plan.count.div_ceil(self.slots as usize).max(1);
        let buffers = (RECV_BUFFERS / lanes).next_power_of_two().clamp(RECV_BUFFERS_MIN, RECV_BUFFERS_MAX);
        let buffers = u16::try_from(buffers).unwrap_or(u16::MAX / 2 + 1);
        let lane = Lane::new(self.slots, buffers, self.io.control.bell(self.plan.thread).as_raw_fd())?;
        self.io.lanes.push(lane);
        Ok(self.io.lanes.len() - 1)
    }

    /// Connections that have fallen silent wait by a poll again.
    fn demote(&mut self) {
        let tick = tick(self.io.control.now());
        if tick == self.demoted {
            return;
        }
        self.demoted = tick;
        for _ in 0..self.streams.len().min(DEMOTE_MAX) {
            let Some(at) = self.streams.pop_front() else { break };
            let conn = &mut self.io.conns[at as usize];
            conn.listed = conn.armed == Armed::Stream && !conn.silent(tick);
            if conn.armed != Armed::Stream {
                continue;
            }
            if conn.silent(tick) {
                conn.streak = 0;
                self.io.disarm(at as usize);
            } else {
                self.streams.push_back(at);
            }
        }
    }

    /// Sleeps until something is complete, another thread rings, or the time has come. The last stretch before a
    /// message is due is spun away: a timer wakes a sleeping core tens of microseconds late, and that would be
    /// measured as the server's latency.
    fn sleep(&mut self, next: Next) -> anyhow::Result<()> {
        let ns = match next {
            Next::At(time) => time.saturating_sub(self.io.control.now() + SPIN_NS).min(NAP_NS),
            Next::Spin => 0,
            Next::Event | Next::Done => NAP_NS,
        };
        if ns == 0 {
            return Ok(());
        }
        self.io.lanes.iter_mut().for_each(|lane| lane.ring.listen(true));
        if !self.io.lanes.iter_mut().any(|lane| lane.ring.is_ready()) {
            let bell = self.io.control.bell(self.plan.thread);
            #[allow(clippy::cast_possible_wrap)] // a nap is milliseconds
            let timeout = Timespec { tv_sec: 0, tv_nsec: ns as i64 };
            match poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // Emptied, or each later nap would end at once.
                Ok(_) => drop(rustix::io::read(bell, &mut [0; 8])),
                Err(error) => return Err(error).context("poll"),
            }
        }
        self.io.lanes.iter_mut().for_each(|lane| lane.ring.listen(false));
        Ok(())
    }
}

fn wish<'p>(plan: &'p Plan, path: &'p str, bearer: Option<&'p str>) -> Wish<'p> {
    Wish {
        server: plan.server,
        path,
        subprotocol: plan.subprotocol,
        bearer,
        compress: plan.compress.is_some(),
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

#[allow(clippy::cast_possible_truncation)] // differences of ticks count, and those are short
fn tick(now: u64) -> u32 {
    (now >> TICK_BITS) as u32
}
