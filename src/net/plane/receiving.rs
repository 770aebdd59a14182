//! Receiving: from a filled buffer to requests and messages for the handler.

use super::{Conn, Flags, Handler, Plane, State};
use crate::ids::ConnId;
use crate::limits::EARLY_MESSAGE_MAX;
use crate::meter::TICK_MS;
use crate::metrics::Counter;
use crate::net::frame;
use crate::net::http::{self, Head};
use crate::net::inbound::{Limits, ProtocolError, Received};
use crate::net::ring::{Completion, Op, Token};
use std::collections::VecDeque;

/// Connections whose receive found no buffer, by ring, in their order. To arm all of them at once would fail for nearly
/// all of them again, and in a burst over many more connections than buffers cost more than everything else.
#[derive(Debug)]
pub(super) struct Dry {
    waiting: Vec<VecDeque<ConnId>>,
    total: usize,
}

impl Dry {
    pub(super) fn new(rings: usize) -> Self {
        Self { waiting: vec![VecDeque::new(); rings], total: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn push(&mut self, ring: usize, id: ConnId) {
        self.waiting[ring].push_back(id);
        self.total += 1;
    }

    fn pop(&mut self, ring: usize) -> Option<ConnId> {
        let waiting = &mut self.waiting[ring];
        let id = waiting.pop_front();
        self.total -= usize::from(id.is_some());
        // A burst's queue does not keep its memory for ever.
        if waiting.is_empty() && waiting.capacity() > 4096 {
            waiting.shrink_to_fit();
        }
        id
    }
}

/// What one look at a connection's bytes found.
enum Found {
    /// All bytes are used up, or the connection reads no more.
    Nothing,
    Pong,
    Ping(usize),
    Closed(Option<u16>),
    Message,
}

/// A control frame's payload at most (RFC 6455 section 5.5).
const CONTROL_MAX: usize = 125;

impl Plane {
    /// Arms the next receive, as the connection's state wants it. The caller has set [`Flags::RECV`].
    pub(super) fn arm_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        let (slot, live) = (conn.slot, conn.state == State::Live);
        let (ring, token) = (&mut self.rings[usize::from(conn.ring)], Token::new(Op::Recv, id));
        if live && conn.flags.has(Flags::QUIET) {
            conn.flags.set(Flags::POLL);
            ring.poll(slot, token);
        } else {
            ring.recv(slot, live, token);
        }
    }

    /// Receives once from a quiet connection, whose poll says that something has come: most of them only answer a ping, and
    /// are waited for by a poll again.
    fn receive_once(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.wants_receive() {
            conn.flags.set(Flags::RECV);
            self.rings[usize::from(conn.ring)].recv(conn.slot, false, Token::new(Op::Recv, id));
        }
    }

    /// The heartbeat's visit to a connection that is read: one that said nothing but pongs since the last visit is quiet from
    /// now on, until it says something.
    pub(super) fn grow_quiet(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.flags.has(Flags::TALKED) {
            return conn.flags.clear(Flags::TALKED);
        }
        if conn.state != State::Live || conn.flags.has(Flags::QUIET) {
            return;
        }
        conn.flags.set(Flags::QUIET);
        self.counters.count(Counter::GrewQuiet);
        if conn.flags.has(Flags::RECV) {
            // Its completion arms the poll.
            self.rings[usize::from(conn.ring)].cancel(Token::new(Op::Recv, id));
        }
    }

    /// Receives again if the connection wants to and is not doing so.
    pub(super) fn want_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.wants_receive() {
            conn.flags.set(Flags::RECV);
            self.arm_receive(id);
        }
    }

    /// A receive found no buffer: it is armed again in its turn.
    fn wait_for_buffer(&mut self, id: ConnId) {
        self.counters.count(Counter::BuffersDry);
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.wants_receive() {
            conn.flags.set(Flags::RECV);
            self.dry.push(usize::from(conn.ring), id);
        }
    }

    /// Arms receives that found no buffer, as many as there are buffers: all that were filled have been given back by now.
    pub(super) fn receive_again(&mut self) {
        for ring in 0..self.rings.len() {
            if self.dry.is_empty() {
                return;
            }
            for _ in 0..self.rings[ring].buffers() {
                let Some(id) = self.dry.pop(ring) else { break };
                let Some(conn) = self.conns.get_mut(id.into()) else { continue };
                conn.flags.clear(Flags::RECV);
                if conn.state == State::Gone {
                    self.release(id);
                } else {
                    self.want_receive(id);
                }
            }
        }
    }

    /// Handles one receive's completion.
    pub(super) fn received<H: Handler>(&mut self, handler: &mut H, ring: u8, completion: Completion) {
        let id = completion.token.conn();
        let buffer = self.rings[usize::from(ring)].received(&completion);
        let dry = completion.result == -libc::ENOBUFS;
        let mut readable = false;
        if let Some(conn) = self.conns.get_mut(id.into()) {
            if conn.flags.has(Flags::POLL) {
                conn.flags.clear(Flags::POLL);
                readable = completion.result > 0;
            }
            if !completion.more {
                conn.flags.clear(Flags::RECV);
            }
            if conn.state == State::Gone {
                self.release(id);
            } else if completion.result == 0 {
                self.lost(id);
            } else if completion.result < 0 {
                match -completion.result {
                    libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                    _ => self.lost(id),
                }
            }
        }
        if let Some(mut buffer) = buffer {
            self.counters.add(Counter::BytesReceived, buffer.len() as u64);
            self.arrived(handler, id, &mut buffer);
            self.rings[usize::from(ring)].give_back(buffer);
        }
        if readable {
            self.receive_once(id);
        } else if dry {
            self.wait_for_buffer(id);
        } else if !completion.more {
            self.want_receive(id);
        }
    }

    /// Hands what came over a connection's socket to whatever is to read it.
    pub(super) fn arrived<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        if self.is_unknown(id) {
            self.read_introduction(handler, id, bytes);
        } else if self.conn(id).is_some_and(|conn| conn.flags.has(Flags::TLS)) {
            self.feed_encrypted(handler, id, bytes);
        } else {
            self.feed(handler, id, bytes);
        }
    }

    /// Someone says more than that it is there.
    #[inline]
    fn talked(&mut self, id: ConnId) {
        if let Some(conn) = self.conn_mut(id) {
            conn.flags.set(Flags::TALKED);
            conn.flags.clear(Flags::QUIET);
        }
    }

    /// Hands bytes to whatever state the connection is in.
    pub(super) fn feed<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        let uptime = self.uptime;
        if self.owes_much(id) {
            self.pause(id);
        }
        let Some(conn) = self.conn_mut(id) else { return };
        conn.heard(uptime);
        let (state, paused) = (conn.state, conn.flags.has(Flags::PAUSED));
        match state {
            State::Head => self.read_head(handler, id, bytes),
            State::Open | State::Live if !paused => self.read_messages(handler, id, bytes),
            State::Open | State::Live | State::Moving => self.keep_early(id, bytes),
            State::Closing | State::Lingering => {
                if self.hears_last_words(id) && state == State::Closing {
                    self.read_messages(handler, id, bytes);
                }
            }
            State::Gone => {}
        }
    }

    /// Feeds what was kept while the connection could not be read: after a move or a pause.
    pub(super) fn feed_early<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else { return };
        if let Some(mut early) = conn.early.take() {
            self.assembly = self.assembly.saturating_sub(early.len());
            self.feed(handler, id, &mut early);
        }
    }

    fn keep_early(&mut self, id: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_room(id, bytes.len());
        let Some(conn) = self.conn_mut(id) else { return };
        // What a paused connection had under way is bounded by the receive buffers, its multishot being cancelled; one that
        // moves has had one receive under way at most.
        conn.early.get_or_insert_default().extend_from_slice(bytes);
        self.assembly += bytes.len();
    }

    fn read_head<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        let Some(conn) = self.conn_mut(id) else { return };
        // Nearly every head comes whole and is read where it lies.
        let mut kept = conn.early.take();
        let kept_before = kept.as_ref().map_or(0, |k| k.len());
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(bytes);
        }
        self.assembly = self.assembly.saturating_sub(kept_before);
        let parsed = http::parse_request(kept.as_deref().map_or(&*bytes, |k| k), handler.http_rules());
        match parsed {
            Head::Incomplete => {
                let head = kept.unwrap_or_else(|| Box::new(bytes.to_vec()));
                self.make_room(id, head.len());
                self.assembly += head.len();
                if let Some(conn) = self.conn_mut(id) {
                    conn.early = Some(head);
                }
            }
            Head::Answer { response, status } => {
                self.counters.count(Counter::HttpAnswered);
                self.counters.add(Counter::OverHead, u64::from(status == http::HEAD_TOO_LONG));
                self.answer_http(id, &response);
            }
            Head::Upgrade { consumed, request } => {
                if !self.lets_in(id) {
                    return;
                }
                self.counters.count(Counter::Upgraded);
                self.queue_bytes(id, &http::accept(&request));
                if let Some(conn) = self.conn_mut(id) {
                    conn.state = State::Open;
                    conn.dialect.set_window(request.deflate);
                }
                handler.upgraded(self, id, &request);
                let rest = kept.as_deref_mut().map_or(bytes, |k| k);
                self.feed(handler, id, &mut rest[consumed..]);
            }
        }
    }

    fn read_messages<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        let mut at = 0;
        let Some(conn) = self.conn_mut(id) else { return };
        let mut inbound = std::mem::take(&mut conn.inbound);
        let deflate = conn.dialect.window().is_some();
        // Counted again when it is put back; where it is not, it is dropped.
        self.assembly = self.assembly.saturating_sub(inbound.held_bytes());
        let mut limits = Limits { deflate, ..self.config.limits };
        limits.message_max = self.message_max(id);
        let mut frames = 0;
        let result = loop {
            let mut control = [0; CONTROL_MAX];
            let (before, arrived) = (at, inbound.arrived());
            let found = match inbound.next(bytes, &mut at, &limits) {
                Ok(None) => Found::Nothing,
                Ok(Some(Received::Pong)) => Found::Pong,
                Ok(Some(Received::Ping(payload))) => {
                    control[..payload.len()].copy_from_slice(payload);
                    Found::Ping(payload.len())
                }
                Ok(Some(Received::Close { code, .. })) => Found::Closed(code),
                Ok(Some(Received::Message { text, payload })) => {
                    if self.conn(id).is_some_and(Conn::is_talking) {
                        self.offer(handler, id, text, payload, arrived + at - before);
                    }
                    Found::Message
                }
                Ok(Some(Received::Compressed { text, payload })) => {
                    match self.inflate(handler, id, text, payload, &limits, arrived + at - before) {
                        Ok(()) => Found::Message,
                        Err(error) => break Err(self.refused(error, Counter::OverInflated)),
                    }
                }
                Err(error) => break Err(self.refused(error, Counter::OverMessage)),
            };
            match found {
                Found::Nothing => {
                    inbound.note_arrived(at - before);
                    break Ok(());
                }
                Found::Ping(len) if self.may_control(id, at - before) => self.pong(id, &control[..len]),
                Found::Pong => {
                    self.may_control(id, at - before);
                }
                Found::Closed(code) => {
                    self.peer_closed(id, code);
                    break Ok(());
                }
                Found::Message if limits.message_max < self.config.limits.message_max => {
                    limits.message_max = self.message_max(id);
                }
                Found::Ping(_) | Found::Message => {}
            }
            if !matches!(found, Found::Pong) {
                self.talked(id);
            }
            frames += 1;
            // What follows waits for the answers to what came before; without more the connection is not paused for them.
            if at < bytes.len() && self.owes_much(id) {
                self.pause(id);
            }
            // The handler may have moved or paused it: what is left is kept.
            if !self.conn(id).is_some_and(Conn::is_reading) {
                break Ok(());
            }
        };
        self.counters.add(Counter::FramesReceived, frames);
        self.after_messages(id, inbound, &mut bytes[at..], result);
    }

    /// Counts what is refused for its size, which is that of `what`, or for the number of its frames.
    fn refused(&mut self, error: ProtocolError, what: Counter) -> ProtocolError {
        match error {
            ProtocolError::TOO_BIG => self.counters.count(what),
            ProtocolError::TOO_MANY_FRAGMENTS => self.counters.count(Counter::OverFragments),
            _ => {}
        }
        error
    }

    /// Hands on what a compressed message says. For its sender's rate it counts as what it says, or as what came if that is more.
    fn inflate<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        text: bool,
        payload: &[u8],
        limits: &Limits,
        arrived: usize,
    ) -> Result<(), ProtocolError> {
        if !self.conn(id).is_some_and(Conn::is_talking) {
            return Ok(());
        }
        self.counters.count(Counter::FramesInflated);
        let mut inflater = self.inflater.take().unwrap_or_default();
        let inflated = inflater.inflate(payload, text, limits.message_max);
        let size = |message: &[u8]| message.len().max(arrived);
        let result = inflated.map(|message| self.offer(handler, id, text, message, size(message)));
        inflater.rest();
        self.inflater = Some(inflater);
        result
    }

    /// The longest message that may be said now: before sign-in it takes no more than a credential does.
    fn message_max(&self, id: ConnId) -> usize {
        let most = self.config.limits.message_max;
        let early = self.config.sign_in && self.conn(id).is_some_and(|conn| conn.state == State::Open);
        if early { most.min(EARLY_MESSAGE_MAX) } else { most }
    }

    fn after_messages(
        &mut self,
        id: ConnId,
        mut inbound: super::super::inbound::Inbound,
        rest: &mut [u8],
        result: Result<(), ProtocolError>,
    ) {
        let held = inbound.held_bytes();
        if held > 0 {
            self.make_room(id, held);
            inbound.note_begun((self.uptime / TICK_MS) as u32);
        }
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        match (conn.state, result) {
            (State::Open | State::Live | State::Closing, Err(error)) => self.fault(id, &error),
            (State::Open | State::Live | State::Moving | State::Closing, Ok(())) => {
                conn.inbound = inbound;
                self.assembly += held;
                if conn.state == State::Moving || conn.flags.has(Flags::PAUSED) {
                    self.keep_early(id, rest);
                }
            }
            _ => {}
        }
    }

    fn pong(&mut self, id: ConnId, payload: &[u8]) {
        self.queue_answer(id, &crate::frame::Frame::new(&frame::pong(payload)));
    }

    /// Notes that the message at hand will be answered by one frame of [`crate::frame::Class::Reply`], now or later. Asked
    /// for faster than they are queued, answers of other shards and of the log would come all at once, however slow the
    /// connection is by then; so it is read no further, at once after a command that asks for a `page` of unknown size.
    pub fn owes(&mut self, id: ConnId, page: bool) {
        if let Some(conn) = self.conn_mut(id) {
            conn.owed = conn.owed.saturating_add(1);
            if page {
                conn.flags.set(Flags::PAGE);
            }
        }
    }

    /// Whether as many commands are under way as one connection may have.
    #[inline]
    fn owes_much(&self, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| conn.owed >= self.commands_max || conn.flags.has(Flags::PAGE))
    }

    /// An answer was queued.
    pub(super) fn answered(&mut self, id: ConnId) {
        let enough = self.commands_max / 2;
        let Some(conn) = self.conn_mut(id) else { return };
        conn.owed = conn.owed.saturating_sub(1);
        if conn.owed == 0 {
            conn.flags.clear(Flags::PAGE);
        }
        if conn.flags.has(Flags::PAUSED) && (conn.owed == enough || conn.owed == 0) {
            self.caught_up(id);
        }
    }

    /// A connection may be read again, now that it has taken its answers or its answers have come.
    pub(super) fn caught_up(&mut self, id: ConnId) {
        if self.may_resume(id) {
            self.resumable.push(id);
        }
    }

    /// Whether nothing keeps a paused connection from being read: the shard, answers to come, or those not taken yet.
    fn may_resume(&self, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| {
            let flags = conn.flags;
            flags.has(Flags::PAUSED)
                && !flags.has(Flags::HELD.and(Flags::PAGE))
                && conn.is_talking()
                && conn.owed <= self.commands_max / 2
                && self.queued_for(conn) <= self.config.outbox_budget / 4
        })
    }

    /// Stops reading a connection until [`Plane::resume`]: its peer, or another shard, has to catch up.
    pub fn pause(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if !conn.is_talking() || conn.flags.has(Flags::PAUSED) {
            return;
        }
        conn.flags.set(Flags::PAUSED);
        if conn.flags.has(Flags::RECV) {
            self.rings[usize::from(conn.ring)].cancel(Token::new(Op::Recv, id));
        }
    }

    /// Reads a paused connection again if nothing speaks against it, first what arrived in between.
    pub fn resume<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        if !self.may_resume(id) {
            return;
        }
        if let Some(conn) = self.conn_mut(id) {
            conn.flags.clear(Flags::PAUSED);
        }
        self.feed_early(handler, id);
        self.want_receive(id);
    }

    /// Stops reading a connection whose commands other shards cannot take at the moment.
    pub fn hold(&mut self, id: ConnId) {
        self.pause(id);
        if let Some(conn) = self.conns.get_mut(id.into())
            && conn.flags.has(Flags::PAUSED)
            && !conn.flags.has(Flags::HELD)
        {
            conn.flags.set(Flags::HELD);
            self.held.push(id);
        }
    }

    /// Reads all held connections again.
    pub fn unhold<H: Handler>(&mut self, handler: &mut H) {
        for id in std::mem::take(&mut self.held) {
            if let Some(conn) = self.conns.get_mut(id.into()) {
                conn.flags.clear(Flags::HELD);
                self.resume(handler, id);
            }
        }
    }

    /// Whether any connection is held.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}
