//! Sending: one send in flight a connection, all frames of a turn in as few sends as they fit.

use super::{Conn, Flags, Notice, Outbox, Plane, State};
use crate::frame::{Class, Frame};
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::net::outbox::{InFlight, Lost, Pushed, cost};
use crate::net::ring::{Completion, Op, Token};
use crate::wire::CloseCode;
use std::num::NonZeroU32;

/// Idle outboxes kept for reuse (number).
const OUTBOXES_KEPT: usize = 65_536;

impl Plane {
    /// Queues a frame for a connection. A slow one loses what may be lost, then is closed with 3008.
    pub fn send(&mut self, id: ConnId, frame: &Frame, class: Class) {
        self.queue(id, frame, class);
        if class == Class::Reply {
            self.answered(id);
        }
    }

    /// Queues an answer to what was no command.
    pub(super) fn queue_answer(&mut self, id: ConnId, frame: &Frame) {
        self.queue(id, frame, Class::Reply);
    }

    /// Bytes queued for a connection.
    pub(super) fn queued_for(&self, conn: &Conn) -> usize {
        self.outbox(conn).map_or(0, Outbox::bytes)
    }

    /// What is queued for a connection.
    pub(super) fn outbox(&self, conn: &Conn) -> Option<&Outbox> {
        conn.outbox.map(|number| &self.outboxes[number.get() as usize - 1])
    }

    pub(super) fn queue(&mut self, id: ConnId, frame: &Frame, class: Class) -> Pushed {
        let budget = self.config.outbox_budget;
        let Some(conn) = self.conns.get(id.into()) else { return Pushed::Dropped };
        if !matches!(conn.state, State::Open | State::Live) {
            return Pushed::Dropped;
        }
        let tag = conn.tag();
        let packed =
            conn.dialect.window().map(|window| self.deflater.pack(frame, window, &mut self.counters));
        let frame = packed.as_ref().unwrap_or(frame);
        let outbox = self.outbox_of(id);
        let before = outbox.bytes();
        let mut lost = Lost::default();
        let pushed = outbox.push(frame, class, budget, &mut lost);
        let after = outbox.bytes();
        self.queued_bytes = self.queued_bytes + after - before;
        self.queued_ever += cost(frame) as u64;
        if lost != Lost::default() {
            self.count_lost(lost);
        }
        match pushed {
            Pushed::Queued => self.mark_dirty(id),
            Pushed::Dropped => {}
            Pushed::TooSlow => self.too_slow(id),
            Pushed::Shed { stored } => {
                self.counters.add(Counter::ShedStored, u64::from(stored));
                self.mark_dirty(id);
                if let Some(tag) = tag {
                    self.notices.push(Notice::Shed(tag));
                }
            }
        }
        // Answers pile up: whoever asks without reading is not asked for more.
        if matches!(class, Class::Reply | Class::Told) && after > budget / 2 {
            self.pause(id);
        }
        pushed
    }

    /// Queues a frame past the budget: the few that tell a slow session what happens to it.
    pub fn send_regardless(&mut self, id: ConnId, frame: &Frame) {
        if self.conns.get(id.into()).is_some() {
            self.outbox_of(id).force(frame, Class::Reply);
            self.queued_bytes += cost(frame);
            self.mark_dirty(id);
        }
    }

    /// Queues bytes that belong to one connection only.
    pub(super) fn queue_bytes(&mut self, id: ConnId, bytes: &[u8]) {
        self.send_regardless(id, &Frame::new(bytes));
    }

    #[cold]
    pub(super) fn count_lost(&mut self, lost: Lost) {
        self.counters.add(Counter::ShedEphemeral, u64::from(lost.ephemeral));
        self.counters.add(Counter::Outdated, u64::from(lost.outdated));
    }

    pub(super) fn too_slow(&mut self, id: ConnId) {
        self.clear_outbox(id);
        self.close(id, CloseCode::TooSlow, "reads too slowly: reconnect and sync");
    }

    /// Forgets what is queued for a connection.
    pub(super) fn clear_outbox(&mut self, id: ConnId) {
        let outbox = self.outbox_of(id);
        let bytes = outbox.bytes();
        outbox.clear();
        self.queued_bytes -= bytes;
    }

    /// Takes what is queued for a connection, unless some of it is being sent: the rest would overtake that.
    pub(super) fn take_unsent(&mut self, id: ConnId) -> Vec<Frame> {
        let Some(conn) = self.conns.get_mut(id.into()) else { return Vec::new() };
        if conn.flags.has(Flags::SEND) {
            return Vec::new();
        }
        let Some(number) = conn.outbox.take() else { return Vec::new() };
        let outbox = &mut self.outboxes[number.get() as usize - 1];
        self.queued_bytes -= outbox.bytes();
        let unsent = outbox.drain();
        self.drop_outbox(Some(number));
        unsent
    }

    pub(super) fn outbox_of(&mut self, id: ConnId) -> &mut Outbox {
        let conn = self.conns.get_mut(id.into()).expect("callers have looked the connection up");
        let number = *conn.outbox.get_or_insert_with(|| {
            let index = self.free_outboxes.pop().unwrap_or_else(|| {
                self.outboxes.push(Outbox::default());
                (self.outboxes.len() - 1) as u32
            });
            NonZeroU32::MIN.saturating_add(index)
        });
        let outbox = &mut self.outboxes[number.get() as usize - 1];
        outbox.owner = Some(id);
        outbox
    }

    /// Gives a connection's outbox back.
    pub(super) fn drop_outbox(&mut self, number: Option<NonZeroU32>) {
        let Some(number) = number else { return };
        let index = number.get() - 1;
        let outbox = &mut self.outboxes[index as usize];
        self.queued_bytes -= outbox.bytes();
        outbox.clear();
        outbox.in_flight = None;
        outbox.reset();
        if self.free_outboxes.len() >= OUTBOXES_KEPT {
            *outbox = Outbox::default();
        }
        self.free_outboxes.push(index);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.into())
            && !conn.flags.has(Flags::DIRTY.and(Flags::SEND))
        {
            conn.flags.set(Flags::DIRTY);
            self.dirty.push(id);
        }
    }

    /// Starts the sends of all connections that have something queued and nothing in flight: last part of a turn.
    pub fn flush(&mut self) {
        // Who finds nothing to send may have to say goodbye, and does so in this turn: nothing else would wake it.
        while !self.dirty.is_empty() {
            let mut dirty = std::mem::take(&mut self.dirty);
            for id in dirty.drain(..) {
                self.start_send(id);
            }
            if self.dirty.is_empty() {
                self.dirty = dirty;
                break;
            }
        }
        self.deflater.rest();
    }

    fn start_send(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        conn.flags.clear(Flags::DIRTY);
        let Some(number) = conn.outbox else { return };
        if conn.flags.has(Flags::SEND) || conn.state == State::Gone {
            return;
        }
        let outbox = &mut self.outboxes[number.get() as usize - 1];
        let before = outbox.bytes();
        let (taken, goes_on) = if conn.flags.has(Flags::TLS) {
            let ends = conn.state == State::Lingering || conn.flags.has(Flags::PEER_CLOSED);
            self.encrypted.take(id, outbox, ends, self.spares.copy())
        } else {
            (outbox.take(&mut self.spares), true)
        };
        self.queued_bytes -= before - outbox.bytes();
        let Some((buffer, frames)) = taken else {
            // What was queued has been dropped since.
            conn.outbox = None;
            self.drop_outbox(Some(number));
            return if goes_on { self.drained(id) } else { self.fell_silent(id) };
        };
        let (memory, turn) = (buffer.memory(), self.turn);
        self.sending_bytes += memory;
        self.queued_ever += memory as u64;
        conn.flags.set(Flags::SEND);
        let key = self.rings[usize::from(conn.ring)].send(conn.slot, buffer, 0, Token::new(Op::Send, id));
        outbox.in_flight = Some(InFlight { key, offset: 0, frames, memory, turn });
        self.counters.count(Counter::Sends);
        if !goes_on {
            self.fell_silent(id);
        }
    }

    /// Handles a send's end: the rest of a short one, the next frames, or what waited for the last byte.
    pub(super) fn sent(&mut self, completion: Completion) {
        let id = completion.token.conn();
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        let (ring, number) = (usize::from(conn.ring), conn.outbox);
        let Some(outbox) = number.and_then(|n| self.outboxes.get_mut(n.get() as usize - 1)) else { return };
        let Some(flight) = outbox.in_flight.take() else { return };
        self.sending_bytes -= flight.memory;
        let buffer = self.rings[ring].sent(flight.key);
        conn.flags.clear(Flags::SEND);
        if conn.state == State::Gone {
            return self.release(id);
        }
        let Ok(sent) = usize::try_from(completion.result) else { return self.lost(id) };
        self.counters.add(Counter::BytesSent, sent as u64);
        let Some(buffer) = buffer else { return };
        let offset = flight.offset + sent;
        if offset < buffer.size() {
            // One send a connection: the rest goes before anything else, or bytes would be reordered.
            conn.flags.set(Flags::SEND);
            self.sending_bytes += flight.memory;
            let key = self.rings[ring].send(conn.slot, buffer, offset, Token::new(Op::Send, id));
            outbox.in_flight = Some(InFlight { key, offset, ..flight });
            return;
        }
        // What did not end in the turn after it began had to wait until the peer took what was sent before: it is alive.
        if conn.flags.has(Flags::PAUSED) || self.turn.wrapping_sub(flight.turn) > 1 {
            conn.heard(self.uptime);
        }
        self.counters.add(Counter::FramesSent, u64::from(flight.frames));
        self.spares.put(buffer);
        // What TLS had to say while this was on its way does not wait for the next frame.
        let says_more = conn.flags.has(Flags::TLS) && self.encrypted.has_pending(id);
        if outbox.is_drained() && !says_more {
            conn.outbox = None;
            self.drop_outbox(number);
            self.drained(id);
        } else {
            self.mark_dirty(id);
            self.caught_up(id);
        }
    }

    /// All that was queued for a connection has been sent.
    fn drained(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id.into()) else { return };
        match conn.state {
            State::Closing | State::Lingering => self.close_drained(id),
            State::Moving => self.start_move(id),
            State::Open | State::Live => self.caught_up(id),
            State::Head | State::Gone => {}
        }
    }
}
