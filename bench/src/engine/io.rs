//! The connections of one thread as drivers see them. Knows no workload, and no bytes but frames.
use super::carry::Carries;
use super::conn::{Armed, Conn, State};
use super::deflate::Packer;
use super::lane::Lane;
use super::outbox::Outbox;
use super::pieces::Pieces;
use super::pool::{NONE, Pool};
use super::tls::Tls;
use super::{ConnId, End};
use crate::control::{Control, Tallies, Tally};
use crate::limits::BACKLOG_BYTES;
use crate::wire::frame;
use longwire::ids;
use longwire::net::ring::{Op, Token};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

/// The sockets of one thread.
pub(crate) struct Io<'a> {
    pub(super) conns: Vec<Conn>,
    pub(super) lanes: Vec<Lane>,
    pub(super) outboxes: Pool<Outbox>,
    pub(super) carries: Carries,
    pub(super) pieces: Pieces,
    /// Bytes that wait in all outboxes.
    held: usize,
    /// Connections with bytes that no send has taken yet.
    unsent: Vec<u32>,
    /// To be opened again, in this order.
    pub(super) again: VecDeque<u32>,
    /// Ends that the driver has not heard of.
    pub(super) ended: Vec<(u32, End)>,
    pub(super) control: &'a Control,
    pub(super) tallies: &'a Tallies,
    /// The number of the driver's first connection: not 0 for the second of two drivers in one thread.
    pub(super) base: usize,
    /// Connections whose upgrade is awaited.
    pub(super) upgrading: usize,
    scratch: Vec<u8>,
    /// Compresses messages, where that is agreed on.
    pub(super) packer: Option<Packer>,
    /// Encrypts and decrypts, where TLS is spoken.
    pub(super) tls: Option<Box<Tls>>,
}

impl<'a> Io<'a> {
    pub(crate) fn new(count: usize, control: &'a Control, tallies: &'a Tallies) -> Self {
        Self {
            conns: vec![Conn::away(); count],
            lanes: Vec::new(),
            outboxes: Pool::default(),
            carries: Carries::default(),
            pieces: Pieces::default(),
            held: 0,
            unsent: Vec::new(),
            again: VecDeque::new(),
            ended: Vec::new(),
            control,
            tallies,
            base: 0,
            upgrading: 0,
            scratch: Vec::new(),
            packer: None,
            tls: None,
        }
    }

    /// Queues a frame; it leaves with the others of its connection at the next [`Self::flush`], which the engine does
    /// after each batch of messages and after each turn.
    pub(crate) fn send(&mut self, conn: ConnId, frame: &[u8]) {
        self.push_message(self.base + conn, frame);
    }

    /// Sends a message of the dialect.
    pub(crate) fn say(&mut self, conn: ConnId, message: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        frame::write(&mut scratch, self.control.dialect().opcode(), message);
        self.push_message(self.base + conn, &scratch);
        self.scratch = scratch;
    }

    /// Hands what was queued to the kernel and waits until it has taken it: what follows has left.
    pub(crate) fn flush(&mut self) {
        self.start_sends();
        for lane in &mut self.lanes {
            // What the kernel refuses here it refuses in the engine's own turn, where it ends the run.
            let _ = lane.ring.submit();
            lane.submitted();
        }
    }

    /// Closes with a close frame; the driver hears of the end when the server has answered it.
    pub(crate) fn close(&mut self, conn: ConnId) {
        let at = self.base + conn;
        if self.conns[at].state == State::Open {
            self.whole_frame(at, frame::CLOSE, &1000_u16.to_be_bytes());
            // What waits may have been too much already.
            if self.conns[at].state == State::Open {
                self.conns[at].state = State::Closing;
            }
        } else {
            self.end(at, End::Asked);
        }
    }

    /// Closes the socket at once, without a close frame: the server sees the end of the stream, or a reset.
    pub(crate) fn cut(&mut self, conn: ConnId) {
        self.end(self.base + conn, End::Asked);
    }

    /// Opens a connection again, in its turn.
    pub(crate) fn reopen(&mut self, conn: ConnId) {
        self.open_again(self.base + conn);
    }

    /// Stops reading: what the server sends fills the socket's buffers.
    pub(crate) fn pause(&mut self, conn: ConnId) {
        let at = self.base + conn;
        self.conns[at].paused = true;
        self.disarm(at);
    }

    /// Goes on reading.
    pub(crate) fn resume(&mut self, conn: ConnId) {
        let at = self.base + conn;
        self.conns[at].paused = false;
        self.arm(at);
    }

    pub(super) fn open_again(&mut self, at: usize) {
        if !self.conns[at].lives() {
            self.again.push_back(number(at));
        }
    }

    /// Queues a message's frame, compressed where that is agreed on and makes it smaller.
    fn push_message(&mut self, at: usize, frame: &[u8]) {
        let Some(mut packer) = self.packer.take() else { return self.push(at, frame) };
        match packer.pack(frame) {
            Some(packed) => {
                bump(&self.tallies.packed, 1);
                self.push(at, packed);
            }
            None => self.push(at, frame),
        }
        self.packer = Some(packer);
    }

    pub(super) fn push(&mut self, at: usize, bytes: &[u8]) {
        let conn = &self.conns[at];
        if !matches!(conn.state, State::Open | State::Upgrading) {
            return;
        }
        if conn.state == State::Open {
            bump(&self.tallies.bytes_sent, bytes.len() as u64);
        }
        let Some(mut tls) = self.tls.take() else { return self.queue(at, bytes) };
        match tls.write(at, bytes) {
            Ok(records) => self.queue(at, records),
            Err(end) => self.end(at, end),
        }
        self.give_back(at, tls);
    }

    /// Gives back what was lent, without a connection that ended meanwhile.
    pub(super) fn give_back(&mut self, at: usize, mut tls: Box<Tls>) {
        if !self.conns[at].lives() {
            tls.forget(at);
        }
        self.tls = Some(tls);
    }

    /// Queues bytes as they leave.
    pub(super) fn queue(&mut self, at: usize, bytes: &[u8]) {
        let conn = &mut self.conns[at];
        if bytes.is_empty() || !conn.lives() {
            return;
        }
        if conn.out == NONE {
            conn.out = self.outboxes.take();
        }
        let outbox = self.outboxes.get(conn.out);
        if outbox.waiting() == 0 {
            self.unsent.push(number(at));
        }
        outbox.push(bytes);
        self.held += bytes.len();
        // Of those whose older bytes wait as well, the ones with more than their share make room for the others.
        let (held, older) = (outbox.held(), outbox.held() > bytes.len());
        if self.held > BACKLOG_BYTES && older && held > BACKLOG_BYTES / self.conns.len() {
            self.end(at, End::Backlog);
        }
    }

    pub(super) fn whole_frame(&mut self, at: usize, op: u8, payload: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        frame::write(&mut scratch, op, payload);
        self.push(at, &scratch);
        self.scratch = scratch;
    }

    /// Queues a send for each connection with bytes to send.
    pub(super) fn start_sends(&mut self) {
        while let Some(at) = self.unsent.pop() {
            let conn = &self.conns[at as usize];
            if conn.lives() && conn.out != NONE {
                let ring = &mut self.lanes[usize::from(conn.lane)].ring;
                self.outboxes.get(conn.out).flush(ring, conn.slot, token(Op::Send, at));
            }
        }
    }

    /// Takes the completion of a send.
    pub(super) fn sent(&mut self, at: usize, result: Result<usize, i32>) {
        let conn = self.conns[at];
        if conn.out == NONE {
            return;
        }
        let ring = &mut self.lanes[usize::from(conn.lane)].ring;
        let outbox = self.outboxes.get(conn.out);
        // A connection that has ended sends no rest.
        let taken = if conn.lives() { result } else { Err(0) };
        let before = outbox.held();
        outbox.sent(ring, conn.slot, token(Op::Send, number(at)), taken);
        self.held -= before - outbox.held();
        if !outbox.sending() && (outbox.waiting() == 0 || !conn.lives()) {
            self.held -= outbox.held();
            outbox.clear();
            self.outboxes.give_back(conn.out);
            self.conns[at].out = NONE;
        }
        match result {
            Err(errno) if conn.lives() => self.end(at, End::of_errno(errno)),
            _ => self.settle(at),
        }
    }

    /// Waits for bytes in the cheapest way that suits how busy the connection is.
    pub(super) fn arm(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        if conn.armed != Armed::Nothing || !conn.lives() || conn.paused {
            return;
        }
        let ring = &mut self.lanes[usize::from(conn.lane)].ring;
        if conn.state == State::Upgrading {
            ring.recv(conn.slot, false, token(Op::Recv, number(at)));
            conn.armed = Armed::Once;
        } else if conn.busy() {
            ring.recv(conn.slot, true, token(Op::Recv, number(at)));
            conn.armed = Armed::Stream;
        } else {
            ring.poll(conn.slot, token(Op::Poll, number(at)));
            conn.armed = Armed::Poll;
        }
    }

    /// Notes that a connection has bytes; they are received in its turn.
    pub(super) fn has_bytes(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        if conn.lives() && !conn.paused {
            conn.armed = Armed::Queued;
            self.lanes[usize::from(conn.lane)].has_bytes(number(at));
        }
    }

    /// Receives from connections that have bytes, as many as there are buffers for.
    pub(super) fn start_receives(&mut self) {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            while let Some(at) = lane.next_ready() {
                let conn = &mut self.conns[at as usize];
                // It may have ended since, and even be open again elsewhere.
                if conn.armed != Armed::Queued || usize::from(conn.lane) != number {
                    continue;
                }
                if conn.paused {
                    conn.armed = Armed::Nothing;
                    continue;
                }
                lane.ring.recv(conn.slot, false, token(Op::Recv, at));
                lane.receives(true);
                conn.armed = Armed::Taking;
            }
        }
    }

    /// Takes back what waits for bytes; its last completion follows.
    pub(super) fn disarm(&mut self, at: usize) {
        let conn = &self.conns[at];
        if let (Some(op), true) = (conn.armed.op(), conn.lives()) {
            self.lanes[usize::from(conn.lane)].ring.cancel(token(op, number(at)));
        }
    }

    /// Ends a connection, once; the driver hears of it after the batch at hand.
    pub(super) fn end(&mut self, at: usize, end: End) {
        let conn = self.conns[at];
        if !conn.lives() {
            return;
        }
        if conn.state == State::Upgrading {
            self.upgrading -= 1;
        } else {
            bump(&self.tallies.closed, 1);
        }
        let sending = conn.out != NONE && self.outboxes.get(conn.out).sending();
        let under_way = sending.then_some(Op::Send).into_iter().chain(conn.armed.op());
        let tokens = under_way.map(|op| token(op, number(at)));
        self.lanes[usize::from(conn.lane)].close(conn.slot, tokens);
        if conn.carry != NONE {
            self.carries.forget(conn.carry);
        }
        self.pieces.forget(at);
        // While it is lent, giving it back does that.
        if let Some(tls) = &mut self.tls {
            tls.forget(at);
        }
        let conn = &mut self.conns[at];
        (conn.state, conn.carry, conn.paused) = (State::Ended, NONE, false);
        if conn.armed == Armed::Queued {
            conn.armed = Armed::Nothing;
        }
        if conn.out != NONE && !sending {
            let outbox = self.outboxes.get(conn.out);
            self.held -= outbox.held();
            outbox.clear();
            self.outboxes.give_back(conn.out);
            conn.out = NONE;
        }
        self.ended.push((number(at), end));
        self.settle(at);
    }

    /// An ended connection is away once nothing of it is under way: only then may its place be used again.
    pub(super) fn settle(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        if conn.state == State::Ended && conn.armed == Armed::Nothing && conn.out == NONE {
            conn.state = State::Away;
        }
    }
}

/// Names an operation of a connection.
pub(super) fn token(op: Op, at: u32) -> Token {
    Token::new(op, ids::ConnId { index: at, generation: 0 })
}

/// A connection's number as completions carry it: there are less than `2^32`.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn number(at: usize) -> u32 {
    at as u32
}

/// Adds to a counter that only this thread writes; the main thread reads it.
pub(crate) fn bump(counter: &Tally, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}
