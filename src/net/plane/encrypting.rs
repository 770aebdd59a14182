//! Connections that speak TLS: what comes goes decrypted the way of all others, what is queued leaves encrypted.
//! Knows no certificate and no frame.

use super::{Flags, Handler, Notice, Outbox, Plane, State};
use crate::ids::ConnId;
use crate::limits::{CLOSE_TIMEOUT_MS, SCRATCH_KEPT};
use crate::meter::TICK_MS;
use crate::metrics::Counter;
use crate::net::http;
use crate::net::ring::SendBuffer;
use crate::net::tls::{Acceptor, End, Handshake, Outcome, Stream};
use std::collections::HashMap;

/// The TLS side of a plane's connections, apart from their slots: others do not pay for it.
#[derive(Debug, Default)]
pub(super) struct Encrypted {
    /// What a connection begins with that has sent its first byte now.
    acceptor: Option<Acceptor>,
    streams: HashMap<ConnId, Box<Stream>>,
    /// What was decrypted, while it is read.
    received: Vec<u8>,
    /// Frames on their way into records.
    gathered: Vec<u8>,
}

impl Encrypted {
    /// Connections that have begun to speak TLS.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Since when a record of this connection is not whole (ticks of uptime).
    pub(super) fn waits_since(&self, id: ConnId) -> Option<u32> {
        self.streams.get(&id)?.waits_since()
    }

    /// Whether TLS itself has something to say.
    pub(super) fn has_pending(&self, id: ConnId) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.has_pending())
    }

    /// Takes a connection's part that is moved.
    pub(super) fn take_out(&mut self, id: ConnId) -> Option<Box<Stream>> {
        self.streams.remove(&id)
    }

    /// Puts it in where the connection has arrived.
    pub(super) fn take_in(&mut self, id: ConnId, stream: Option<Box<Stream>>) {
        self.streams.extend(stream.map(|stream| (id, stream)));
    }

    /// Takes what one send may carry, as records, if there is anything to say; several frames share one. Where the direction
    /// `ends` with what is queued, its end is said in the same send. False with it if no frame can be said any more: what was
    /// queued is gone then, and what TLS says of that is in the send.
    pub(super) fn take(
        &mut self,
        id: ConnId,
        outbox: &mut Outbox,
        ends: bool,
        mut records: Vec<u8>,
    ) -> (Option<(SendBuffer, u32)>, bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return (None, true) };
        records.clear();
        self.gathered.clear();
        let mut frames = outbox.take_bytes(&mut self.gathered);
        let goes_on = stream.write(&self.gathered, &mut records);
        if !goes_on {
            outbox.clear();
            frames = 0;
        }
        if self.gathered.capacity() > SCRATCH_KEPT {
            self.gathered = Vec::new();
        }
        if ends && outbox.is_empty() {
            stream.close();
            stream.take_pending(&mut records);
        }
        ((!records.is_empty()).then_some((SendBuffer::Copied(records), frames)), goes_on)
    }
}

impl Plane {
    /// Speaks TLS with connections that begin from now on by this certificate; those that have begun go on as they are.
    pub fn speak_tls(&mut self, acceptor: Acceptor) {
        self.encrypted.acceptor = Some(acceptor);
    }

    /// Whether a connection's TLS has not got as far as to carry anything.
    pub(super) fn is_handshaking(&self, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| conn.flags.has(Flags::TLS))
            && self.encrypted.streams.get(&id).is_none_or(|stream| stream.is_handshaking())
    }

    /// Decrypts what was received where it lies, and hands the plaintext on.
    pub(super) fn feed_encrypted<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        let uptime = self.uptime;
        let Some(conn) = self.conn_mut(id) else { return };
        conn.heard(uptime);
        match conn.state {
            State::Gone => return,
            // Of what comes now only the end matters.
            State::Lingering => {
                self.hears_last_words(id);
                return;
            }
            _ => {}
        }
        if !self.encrypted.streams.contains_key(&id) && !self.begin_stream(id, bytes) {
            return;
        }
        if self.waits_its_turn(id, bytes) {
            return;
        }
        let mut plain = std::mem::take(&mut self.encrypted.received);
        plain.clear();
        let Some(stream) = self.encrypted.streams.get_mut(&id) else { return };
        let before = stream.held_bytes();
        let outcome = stream.read(bytes, &mut plain, (uptime / TICK_MS) as u32);
        let after = stream.held_bytes();
        self.assembly = self.assembly.saturating_sub(before) + after;
        if after > before {
            self.make_room(id, 0);
        }
        self.count_handshake(&outcome);
        self.send_pending(id);
        if !plain.is_empty() {
            self.feed(handler, id, &mut plain);
        }
        if plain.capacity() <= SCRATCH_KEPT {
            self.encrypted.received = plain;
        }
        if outcome.end.is_some() {
            self.end_stream(id);
        }
    }

    /// Ends a connection of which nothing more can be decrypted. Where its descriptor is on the way to another shard, that
    /// shard does it: here it could not be told any more that the descriptor has nobody.
    pub(super) fn end_stream(&mut self, id: ConnId) {
        if self.conn(id).is_none_or(|conn| conn.flags.has(Flags::MOVE) || conn.state == State::Gone) {
            return;
        }
        match self.encrypted.streams.get(&id).and_then(|stream| stream.ended()) {
            None => {}
            Some(End::Closed) => self.heard_the_end(id),
            Some(End::Broken) => self.broken(id),
        }
    }

    /// The first bytes of a connection: from here on it costs something. False if they are no TLS at all.
    fn begin_stream(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        // No TLS record begins with a letter, and every request of HTTP does.
        if bytes.first().is_some_and(u8::is_ascii_uppercase) {
            if let Some(conn) = self.conn_mut(id) {
                conn.flags.clear(Flags::TLS);
            }
            self.counters.count(Counter::TlsFailed);
            self.answer_http(id, &http::not_encrypted());
            return false;
        }
        if !self.may_begin(id) {
            return false;
        }
        let stream = self.encrypted.acceptor.as_ref().and_then(|acceptor| Stream::new(acceptor).ok());
        match stream {
            Some(stream) => self.encrypted.streams.insert(id, Box::new(stream)).is_none(),
            None => {
                self.lost(id);
                false
            }
        }
    }

    fn count_handshake(&mut self, outcome: &Outcome) {
        match outcome.handshake {
            Some(Handshake::Full) => self.counters.count(Counter::TlsFull),
            Some(Handshake::Resumed) => self.counters.count(Counter::TlsResumed),
            None => {}
        }
    }

    /// The peer sends nothing more. It may still read: what is queued to close with goes first.
    fn heard_the_end(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else { return };
        if matches!(conn.state, State::Closing | State::Lingering) && conn.outbox.is_some() {
            conn.flags.set(Flags::PEER_CLOSED);
        } else {
            self.lost(id);
        }
    }

    /// The peer's records make no sense: it gets the alert, and no frame can reach it any more.
    fn broken(&mut self, id: ConnId) {
        let handshaking = self.is_handshaking(id);
        self.counters.count(if handshaking { Counter::TlsFailed } else { Counter::TlsBroken });
        self.cut_off(id);
    }

    /// Nothing more could be encrypted for the peer, whose key is worn out. One that closes is told no more, and has its time.
    pub(super) fn fell_silent(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.outbox.is_none() || !matches!(conn.state, State::Closing | State::Lingering) {
            self.cut_off(id);
        }
    }

    /// No frame goes to or comes from the peer any more; what TLS says of that is sent, then the connection ends.
    fn cut_off(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        let (state, speaks) = (conn.state, conn.outbox.is_some());
        if !speaks || matches!(state, State::Closing | State::Lingering | State::Gone) {
            return self.lost(id);
        }
        let tag = conn.take_tag();
        let held = conn.forget_input();
        conn.flags.clear(Flags::PAUSED.and(Flags::HELD));
        conn.state = State::Lingering;
        self.assembly = self.assembly.saturating_sub(held);
        self.moves.remove(&id);
        self.clear_outbox(id);
        self.closed_by.push_back((self.uptime + CLOSE_TIMEOUT_MS, id));
        self.mark_dirty(id);
        if state != State::Head {
            self.counters.count(Counter::ClosedLost);
            self.notices.push(Notice::Closed(id, tag));
        }
    }

    /// Before an encrypted connection ends, its end is said, once; true while that is on its way.
    pub(super) fn says_goodbye(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id.into()) else { return false };
        let ends = conn.state == State::Lingering || conn.flags.has(Flags::PEER_CLOSED);
        if !ends || !conn.flags.has(Flags::TLS) {
            return false;
        }
        let Some(stream) = self.encrypted.streams.get_mut(&id) else { return false };
        stream.close();
        self.send_pending(id)
    }

    /// Sees to it that what TLS itself has to say is sent; true if there is any.
    pub(super) fn send_pending(&mut self, id: ConnId) -> bool {
        if !self.encrypted.has_pending(id) {
            return false;
        }
        self.outbox_of(id);
        self.mark_dirty(id);
        true
    }

    /// Forgets the TLS of a connection that has ended.
    pub(super) fn forget_stream(&mut self, id: ConnId) {
        if let Some(stream) = self.encrypted.streams.remove(&id) {
            self.assembly = self.assembly.saturating_sub(stream.held_bytes());
        }
    }
}
