//! Accepting: which ring's table new connections go to, and what happens when all are full.

use super::{Conn, Flags, Listener, Plane, State};
use crate::ids::ConnId;
use crate::limits::ACCEPTS_AT_ONCE;
use crate::metrics::Counter;
use crate::net::crowd::Place;
use crate::net::ring::Completion;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

/// After being full a core listens again when its tables are this much emptier (percent), so that it does not flap.
const REOPEN_PERCENT: u32 = 95;

/// Not even an answer is due.
struct FarTooMany;

impl Plane {
    /// Starts accepting.
    pub fn listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
        self.arm_accept();
    }

    /// Where it listens.
    pub fn listens_on(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// Connections the plane takes in all.
    pub fn capacity(&self) -> usize {
        self.rings.iter().map(|ring| ring.fill() as usize).sum()
    }

    /// Stops accepting for good.
    pub(super) fn stop_listening(&mut self) {
        if let Some(ring) = self.accepting.take() {
            self.rings[ring].stop_accepting();
        }
        self.listener = None;
    }

    /// Turns to the first ring with room.
    fn arm_accept(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        (self.accepts, self.accept_stops) = (0, false);
        let found =
            (0..self.rings.len()).map(|ring| (ring, self.rings[ring].room())).find(|(_, room)| *room > 0);
        self.accepting = found.map(|(ring, _)| ring);
        match found {
            Some((ring, room)) => match listener.open() {
                Ok(()) => self.ask_for_more(ring, room),
                Err(_) => self.accepting = None,
            },
            // With SO_REUSEPORT an open socket would go on getting its share of the connections.
            None => listener.close(),
        }
    }

    /// One accept that goes on by itself where the table has room for all who may be waiting; near its end single ones,
    /// since the kernel takes a connection from the queue first, and drops it when the table has no slot for it. (The room
    /// is looked at once: other shards take of it too, and a look that finds none would leave nothing armed.)
    fn ask_for_more(&mut self, ring: usize, room: u32) {
        let Some(listener) = &self.listener else { return };
        let (fd, backlog) = (listener.as_raw_fd(), listener.backlog());
        let ring = &mut self.rings[ring];
        let named = self.config.crowd.is_some();
        if room > backlog && !named {
            if self.accepts == 0 {
                ring.accept(fd);
                (self.accepts, self.accept_goes_on) = (1, true);
            }
            return;
        }
        while self.accepts < room.min(ACCEPTS_AT_ONCE) {
            // One that goes on by itself would not tell from where each of them comes.
            if !named {
                ring.accept_one(fd);
            } else if !ring.accept_named(fd) {
                break;
            }
            (self.accepts, self.accept_goes_on) = (self.accepts + 1, false);
        }
    }

    /// Takes a new connection, and turns to the next ring when this one is full.
    pub(super) fn accepted(&mut self, ring: usize, completion: Completion) {
        let from = self.rings[ring].accepted_from(&completion);
        if let Ok(slot) = u32::try_from(completion.result) {
            self.rings[ring].arrived();
            self.counters.count(Counter::Accepted);
            if self.draining.is_some() {
                self.counters.count(Counter::Refused);
                self.rings[ring].close(slot, []);
            } else if let Ok(place) = self.place_for(from) {
                self.admit(ring as u8, slot, place);
            } else {
                self.counters.count(Counter::Crowded);
                self.rings[ring].close(slot, []);
            }
        }
        if self.accepting != Some(ring) {
            return;
        }
        self.accepts -= u32::from(!completion.more);
        let room = self.rings[ring].room();
        let backlog = self.listener.as_ref().map_or(0, Listener::backlog);
        if self.accepts == 0 {
            self.arm_accept();
        } else if room == 0 || (self.accept_goes_on && room <= backlog) {
            // What follows is armed with the last completion of what is ended here, not before: while both wait on the
            // listener, the kernel may spend the one wake-up of a new connection on the accept that is being cancelled.
            if !std::mem::replace(&mut self.accept_stops, true) {
                self.rings[ring].stop_accepting();
            }
        } else if !self.accept_stops {
            self.ask_for_more(ring, room);
        }
    }

    /// A place among the connections of its address, where they are counted.
    fn place_for(&self, from: Option<IpAddr>) -> Result<Option<Place>, FarTooMany> {
        let Some((crowd, from)) = self.config.crowd.as_ref().zip(from) else { return Ok(None) };
        crowd.enter(from).map(Some).ok_or(FarTooMany)
    }

    fn admit(&mut self, ring: u8, slot: u32, place: Option<Place>) {
        let mut conn = Conn::new(ring, slot, State::Head, self.uptime);
        conn.flags.set(Flags::RECV);
        let id = ConnId::from(self.conns.insert(conn));
        if let Some(place) = place {
            self.places.insert(id, place);
        }
        self.sign_in_by.push_back((self.uptime + self.config.sign_in_timeout, id));
        self.arm_receive(id);
    }

    /// A slot was freed: a core that had closed its listener opens it again once there is room.
    pub(super) fn resume_accepting(&mut self) {
        if self.accepting.is_some() || self.listener.is_none() || self.draining.is_some() {
            return;
        }
        let room = |used: u32, fill: u32| u64::from(used) * 100 < u64::from(fill) * u64::from(REOPEN_PERCENT);
        if self.rings.iter().any(|ring| room(ring.used(), ring.fill())) {
            self.arm_accept();
        }
    }
}
