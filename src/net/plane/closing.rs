//! The ends of connections: by the peer, by us, by a broken socket, and by the server going down.

use super::{Flags, Notice, Plane, State};
use crate::ids::ConnId;
use crate::limits::{CLOSE_TIMEOUT_MS, CLOSING_RECEIVES};
use crate::metrics::Counter;
use crate::net::frame;
use crate::net::inbound::ProtocolError;
use crate::net::ring::{Op, Token};
use crate::wire::CloseCode;

/// Connections closed in one turn while draining (number).
const DRAIN_SLICE: u32 = 256;

impl Plane {
    /// Closes a connection with a code: what is queued goes first, then the close frame; the peer has
    /// [`CLOSE_TIMEOUT_MS`] to answer. The handler's `closed` comes at once.
    pub fn close(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        match conn.state {
            // Its new shard closes a connection that is already on its way there.
            State::Moving if conn.flags.has(Flags::MOVE) => return,
            State::Open | State::Live | State::Moving => {}
            State::Head => return self.lost(id),
            State::Closing | State::Lingering | State::Gone => return,
        }
        self.counters.count(closed_counter(code.number()));
        self.begin_close(id, &frame::close_frame(code.number(), reason));
    }

    fn begin_close(&mut self, id: ConnId, close_frame: &[u8]) {
        self.stay(id);
        self.queue_bytes(id, close_frame);
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        conn.flags.clear(Flags::PAUSED.and(Flags::HELD));
        let held = conn.forget_input();
        // Behind a frame that was cut off nothing can be told apart any more, not even the peer's close.
        conn.state = if held == 0 { State::Closing } else { State::Lingering };
        let tag = conn.take_tag();
        self.assembly = self.assembly.saturating_sub(held);
        self.closed_by.push_back((self.uptime + CLOSE_TIMEOUT_MS, id));
        self.want_receive(id);
        self.notices.push(Notice::Closed(id, tag));
    }

    /// The peer broke the protocol: after the close frame nothing of what it sends means anything any more.
    pub(super) fn fault(&mut self, id: ConnId, error: &ProtocolError) {
        self.close(id, error.code, error.reason);
        if let Some(conn) = self.conns.get_mut(id.into())
            && conn.state == State::Closing
        {
            conn.state = State::Lingering;
            if conn.outbox.is_none() {
                self.close_drained(id);
            }
        }
    }

    /// The peer's close frame arrived: answer it, or finish if it is the answer.
    pub(super) fn peer_closed(&mut self, id: ConnId, code: Option<u16>) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        conn.flags.set(Flags::PEER_CLOSED);
        match conn.state {
            State::Open | State::Live | State::Moving => {
                self.counters.count(closed_counter(code.unwrap_or(CloseCode::Normal.number())));
                let answer = code.map_or_else(frame::empty_close_frame, |code| frame::close_frame(code, ""));
                self.begin_close(id, &answer);
            }
            State::Closing if conn.outbox.is_none() => self.close_drained(id),
            _ => {}
        }
    }

    /// Everything for a closing connection is sent: the peer that closed too is done, others get the end of our stream.
    pub(super) fn close_drained(&mut self, id: ConnId) {
        if self.says_goodbye(id) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.flags.has(Flags::PEER_CLOSED) {
            self.drop_connection(id);
        } else if conn.state == State::Lingering && !conn.flags.has(Flags::SHUT) {
            conn.flags.set(Flags::SHUT);
            let (ring, slot) = (usize::from(conn.ring), conn.slot);
            self.rings[ring].shutdown_write(slot, Token::new(Op::Shut, id));
        }
    }

    /// Our direction is shut down: a connection that ended meanwhile may give its slot away now.
    pub(super) fn shut(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        conn.flags.clear(Flags::SHUT);
        if conn.state == State::Gone {
            self.close_slot(id);
            self.release(id);
        }
    }

    /// Whether what a closing connection has sent is still looked at. A peer that goes on sending, whether it floods or has
    /// not read the close frame yet, is read no further: that costs nothing, and it can read what was sent until its time
    /// is up. To close at once instead would reset the connection under the close frame.
    pub(super) fn hears_last_words(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id.into()) else { return false };
        if conn.last_words < CLOSING_RECEIVES {
            conn.last_words += 1;
            return true;
        }
        if !conn.flags.has(Flags::PAUSED) {
            conn.flags.set(Flags::PAUSED);
            if conn.flags.has(Flags::RECV) {
                self.rings[usize::from(conn.ring)].cancel(Token::new(Op::Recv, id));
            }
        }
        false
    }

    /// Answers a request that is no upgrade; the connection ends after it.
    pub(super) fn answer_http(&mut self, id: ConnId, response: &[u8]) {
        self.queue_bytes(id, response);
        if let Some(conn) = self.conns.get_mut(id.into()) {
            conn.state = State::Lingering;
            self.closed_by.push_back((self.uptime + CLOSE_TIMEOUT_MS, id));
        }
    }

    /// The socket is at its end: no frame can reach the peer any more.
    pub(super) fn lost(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        let (tag, state) = (conn.take_tag(), conn.state);
        if matches!(state, State::Open | State::Live | State::Moving) {
            self.counters.count(Counter::ClosedLost);
            self.notices.push(Notice::Closed(id, tag));
        }
        self.drop_connection(id);
    }

    /// Closes the descriptor; the slot is free once all that is under way has come back.
    pub(super) fn drop_connection(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.state == State::Gone {
            return;
        }
        let waits_to_move = conn.state == State::Moving && !conn.flags.has(Flags::MOVE);
        conn.state = State::Gone;
        let held = conn.forget_input();
        let shutting = conn.flags.has(Flags::SHUT);
        self.assembly = self.assembly.saturating_sub(held);
        if waits_to_move {
            self.moves.remove(&id);
        }
        self.forget_stream(id);
        if !shutting {
            self.close_slot(id);
            self.release(id);
        }
    }

    fn close_slot(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id.into()) else { return };
        let under_way = [(Flags::RECV, Op::Recv), (Flags::SEND, Op::Send)].into_iter();
        let tokens = under_way.filter(|(flag, _)| conn.flags.has(*flag)).map(|(_, op)| Token::new(op, id));
        self.rings[usize::from(conn.ring)].close(conn.slot, tokens);
    }

    /// Begins to go down: accepts nothing more and closes all connections with 3000, a slice a turn.
    pub fn drain(&mut self) {
        if self.draining.is_none() {
            self.draining = Some(0);
            self.stop_listening();
        }
    }

    /// Whether it goes down.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Closes the next slice of connections; true while some are left to close.
    pub fn drain_slice(&mut self) -> bool {
        let Some(from) = self.draining else { return false };
        let end = self.conns.high_water();
        let to = end.min(from.saturating_add(DRAIN_SLICE));
        for index in from..to {
            if let Some((key, _)) = self.conns.at(index) {
                self.close(key.into(), CloseCode::Draining, "retryAfter=1000");
            }
        }
        self.draining = Some(to);
        to < end
    }
}

/// The counter of a close code; codes of the peer's own choice count as normal.
fn closed_counter(code: u16) -> Counter {
    match code {
        1001 => Counter::ClosedAway,
        1002 => Counter::ClosedProtocol,
        1003 => Counter::ClosedUnsupported,
        1007 => Counter::ClosedInvalid,
        1009 => Counter::ClosedTooBig,
        3000 => Counter::ClosedDraining,
        3004 => Counter::ClosedInternal,
        3005 => Counter::ClosedExpired,
        3008 => Counter::ClosedTooSlow,
        3012 => Counter::ClosedNoPong,
        3013 => Counter::ClosedTooMany,
        3500 => Counter::ClosedBadToken,
        3501 => Counter::ClosedBadRequest,
        3502 => Counter::ClosedNeverSignedIn,
        3503 => Counter::ClosedReplaced,
        3504 => Counter::ClosedConnectionLimit,
        3507 => Counter::ClosedDenied,
        _ => Counter::ClosedNormal,
    }
}
