//! Moving a connection to another shard's ring (design D3): the descriptor first, then everything we know of it.

use super::{Conn, Flags, Handler, Notice, Plane, State};
use crate::frame::Frame;
use crate::ids::{ConnId, ShardId};
use crate::meter::Debt;
use crate::metrics::Counter;
use crate::net::conn::{Dialect, Early};
use crate::net::crowd::Place;
use crate::net::inbound::Inbound;
use crate::net::ring::{Completion, Op, RingAddress, Token};
use crate::net::tls::Stream;
use crate::wire::CloseCode;
use std::sync::Arc;

/// What goes with a moved descriptor to its new shard.
#[derive(Debug)]
pub struct Parcel {
    ring: u8,
    slot: u32,
    dialect: Dialect,
    debt: Debt,
    place: Option<Place>,
    inbound: Inbound,
    early: Early,
    unsent: Vec<Frame>,
    stream: Option<Box<Stream>>,
}

/// A move under way: the targets not tried yet, and what was queued before it.
#[derive(Debug)]
pub(super) struct Move {
    to: ShardId,
    targets: Arc<[RingAddress]>,
    tried: usize,
    unsent: Vec<Frame>,
}

impl Plane {
    /// Moves a connection that nobody signed in on yet to one of `targets`, the rings of shard `to`. What is queued for it goes along, the 101 of a request
    /// with a token in it for one, and leaves in one send with what its new shard has to say; what is being sent is waited for.
    pub fn hand_over(&mut self, id: ConnId, to: ShardId, targets: Arc<[RingAddress]>) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        if conn.state != State::Open {
            return;
        }
        conn.state = State::Moving;
        let unsent = self.take_unsent(id);
        self.moves.insert(id, Move { to, targets, tried: 0, unsent });
        if self.conn(id).is_some_and(|conn| conn.outbox.is_none()) {
            self.start_move(id);
        }
    }

    /// A connection does not move after all: what was to go along is sent here.
    pub(super) fn stay(&mut self, id: ConnId) {
        let Some(moving) = self.moves.remove(&id) else { return };
        moving.unsent.iter().for_each(|frame| self.send_regardless(id, frame));
    }

    /// Sends the descriptor to the next target with room; without any, the client is told to come back.
    pub(super) fn start_move(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        let Some(moving) = self.moves.get_mut(&id) else { return };
        if conn.flags.has(Flags::MOVE.and(Flags::RECV)) {
            return;
        }
        while let Some(target) = moving.targets.get(moving.tried) {
            moving.tried += 1;
            if target.reserve() {
                conn.flags.set(Flags::MOVE);
                return self.rings[usize::from(conn.ring)].move_to(
                    target,
                    conn.slot,
                    Token::new(Op::Move, id),
                );
            }
        }
        self.stay(id);
        self.counters.count(Counter::HandOverFailed);
        self.notices.push(Notice::NotMoved(id));
        self.close(id, CloseCode::Draining, "retryAfter=1000");
        self.end_stream(id);
    }

    /// The descriptor has arrived, or found no slot: with ENFILE we still own the socket.
    pub(super) fn move_done(&mut self, completion: Completion) {
        let id = completion.token.conn();
        let Some(conn) = self.conns.get_mut(id.into()) else { return };
        conn.flags.clear(Flags::MOVE);
        let Some(moving) = self.moves.get_mut(&id) else { return self.release(id) };
        let (to, target) = (moving.to, moving.tried - 1);
        let Ok(slot) = u32::try_from(completion.result) else {
            moving.targets[target].release();
            if conn.state == State::Gone {
                self.moves.remove(&id);
                return self.release(id);
            }
            return self.start_move(id);
        };
        let parcel = Parcel {
            ring: target as u8,
            slot,
            dialect: conn.dialect,
            debt: conn.debt,
            place: self.places.remove(&id),
            inbound: std::mem::take(&mut conn.inbound),
            early: conn.early.take(),
            unsent: std::mem::take(&mut moving.unsent),
            stream: self.encrypted.take_out(id),
        };
        self.moves.remove(&id);
        if conn.state == State::Gone {
            // Nobody waits for it there, and the descriptor is to be closed there all the same.
            self.notices.push(Notice::Stray(to, parcel));
            return self.release(id);
        }
        self.counters.count(Counter::HandedOver);
        let held = parcel.held_bytes();
        self.assembly = self.assembly.saturating_sub(held);
        self.notices.push(Notice::Moved(id, to, parcel));
        self.drop_connection(id);
    }

    /// Takes in a connection whose descriptor was moved here; nothing is read before [`Plane::start_reading`].
    pub fn adopt(&mut self, parcel: Parcel) -> ConnId {
        self.assembly += parcel.held_bytes();
        let mut conn = Conn::new(parcel.ring, parcel.slot, State::Open, self.uptime);
        conn.dialect = parcel.dialect;
        conn.debt = parcel.debt;
        conn.inbound = parcel.inbound;
        conn.early = parcel.early;
        if parcel.stream.is_some() {
            conn.flags.set(Flags::TLS);
        }
        let id = self.conns.insert(conn).into();
        self.encrypted.take_in(id, parcel.stream);
        if let Some(place) = parcel.place {
            self.places.insert(id, place);
        }
        parcel.unsent.iter().for_each(|frame| self.send_regardless(id, frame));
        self.send_pending(id);
        id
    }

    /// Closes a descriptor that was moved here, of a connection that has ended meanwhile.
    pub fn discard(&mut self, parcel: &Parcel) {
        self.rings[usize::from(parcel.ring)].close(parcel.slot, []);
        self.resume_accepting();
    }

    /// Reads what came along with a moved connection, then what arrives.
    pub fn start_reading<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        self.feed_early(handler, id);
        self.end_stream(id);
        self.want_receive(id);
    }
}

impl Parcel {
    fn held_bytes(&self) -> usize {
        let early = self.early.as_ref().map_or(0, |early| early.len());
        self.inbound.held_bytes() + early + self.stream.as_ref().map_or(0, |stream| stream.held_bytes())
    }
}
