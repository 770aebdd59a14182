//! Accepting: which ring's table new connections of each listener go to, and what happens when all are full.

use super::{Conn, Flags, Plane, State};
use crate::ids::ConnId;
use crate::limits::{ACCEPT_RETRY_MS, ACCEPTS_AT_ONCE, LISTENERS_MAX, SHARED_ACCEPTS_AT_ONCE};
use crate::metrics::Counter;
use crate::net::crowd::Place;
use crate::net::listen::Listener;
use crate::net::ring::{Completion, Gate};
use std::net::IpAddr;
use std::os::fd::AsRawFd;

/// After being full a core listens again when its tables are this much emptier (percent), so that it does not flap.
const REOPEN_PERCENT: u32 = 95;

/// Not even an answer is due.
pub(super) struct FarTooMany;

/// A listener and its accepts; its place in the plane's list is its [`Gate`].
#[derive(Debug)]
pub(super) struct Entrance {
    listener: Listener,
    /// The ring that takes its connections; none while all are full.
    pub(super) ring: Option<usize>,
    /// Accepts under way there, whether it is one that goes on by itself, and whether they are being ended.
    accepts: u32,
    goes_on: bool,
    stops: bool,
    /// When to try again, after an accept has failed or the listener could not be opened: no earlier.
    again_at: Option<u64>,
}

/// Whether an accept failed for want of what the next one will want as well; any other failure is one connection's own.
fn is_want(result: i32) -> bool {
    matches!(-result, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

impl Entrance {
    /// Whether what comes here is TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.listener.endpoint().tls
    }
}

impl Plane {
    /// Starts accepting on these listeners, which share what accepts there may be at once.
    pub fn listen(&mut self, listeners: impl IntoIterator<Item = Listener>) {
        let closed = |listener| Entrance {
            listener,
            ring: None,
            accepts: 0,
            goes_on: false,
            stops: false,
            again_at: None,
        };
        self.entrances = listeners.into_iter().map(closed).collect();
        assert!(self.entrances.len() <= LISTENERS_MAX, "each has a share");
        (0..self.entrances.len()).for_each(|gate| self.arm_accept(gate));
    }

    /// Connections the plane takes in all.
    pub fn capacity(&self) -> usize {
        self.rings.iter().map(|ring| ring.fill() as usize).sum()
    }

    /// Stops accepting for good.
    pub(super) fn stop_listening(&mut self) {
        for (gate, entrance) in self.entrances.drain(..).enumerate() {
            if let Some(ring) = entrance.ring {
                self.rings[ring].stop_accepting(Gate(gate as u8));
            }
        }
    }

    /// Turns a listener to the first ring with room.
    fn arm_accept(&mut self, gate: usize) {
        let found =
            (0..self.rings.len()).map(|ring| (ring, self.rings[ring].room())).find(|(_, room)| *room > 0);
        let Some(entrance) = self.entrances.get_mut(gate) else { return };
        (entrance.accepts, entrance.stops) = (0, false);
        entrance.ring = found.map(|(ring, _)| ring);
        match found {
            Some((ring, room)) => match entrance.listener.open() {
                Ok(()) => self.ask_for_more(gate, ring, room),
                Err(_) => {
                    entrance.ring = None;
                    self.accept_later(gate);
                }
            },
            // With SO_REUSEPORT an open socket would go on getting its share of the connections.
            None => entrance.listener.close(),
        }
    }

    /// Leaves a listener alone for a while: what its accepts want is not there.
    fn accept_later(&mut self, gate: usize) {
        self.counters.count(Counter::AcceptFailed);
        if let Some(entrance) = self.entrances.get_mut(gate) {
            entrance.again_at.get_or_insert(self.uptime + ACCEPT_RETRY_MS);
        }
    }

    /// When a listener that was left alone is tried again.
    pub(super) fn accepts_again_at(&self) -> Option<u64> {
        self.entrances.iter().filter_map(|entrance| entrance.again_at).min()
    }

    /// Tries the listeners again that were left alone for long enough.
    pub(super) fn accept_again(&mut self) {
        for gate in 0..self.entrances.len() {
            let entrance = &mut self.entrances[gate];
            if entrance.again_at.is_some_and(|at| at <= self.uptime) {
                entrance.again_at = None;
                match entrance.ring {
                    Some(ring) => self.keep_accepting(gate, ring),
                    None => self.arm_accept(gate),
                }
            }
        }
    }

    /// Connections that may wait on all listeners together.
    fn may_wait(&self) -> u32 {
        self.entrances.iter().map(|entrance| entrance.listener.backlog()).fold(0, u32::saturating_add)
    }

    /// One accept that goes on by itself where the table has room for all who may be waiting; near its end single ones,
    /// since the kernel takes a connection from the queue first, and drops it when the table has no slot for it. (The room
    /// is looked at once: other shards take of it too, and a look that finds none would leave nothing armed.)
    fn ask_for_more(&mut self, gate: usize, ring: usize, room: u32) {
        let (waiting, all) = (self.may_wait(), self.entrances.len() as u32);
        let Some(entrance) = self.entrances.get_mut(gate) else { return };
        let fd = entrance.listener.as_raw_fd();
        let shared = entrance.listener.is_shared();
        let number = Gate(gate as u8);
        let named = !shared && (self.config.crowd.is_some() || entrance.listener.endpoint().proxy);
        // On a shared socket the kernel would wake the core whose accept goes on by itself for every connection.
        let tls = entrance.speaks_tls();
        let counted = named || tls && self.admission.is_limited();
        if room > waiting && !counted && !shared {
            if entrance.accepts == 0 {
                self.rings[ring].accept(fd, number);
                (entrance.accepts, entrance.goes_on) = (1, true);
            }
            return;
        }
        let at_once = if shared { SHARED_ACCEPTS_AT_ONCE } else { ACCEPTS_AT_ONCE };
        let wanted = room.min(at_once).min(ACCEPTS_AT_ONCE / all);
        let armed = entrance.accepts;
        let wanted = self.may_accept(tls, wanted, armed);
        let (entrance, ring) = (&mut self.entrances[gate], &mut self.rings[ring]);
        while entrance.accepts < wanted {
            // One that goes on by itself would not tell from where each of them comes.
            if !named {
                ring.accept_one(fd, number);
            } else if !ring.accept_named(fd, number) {
                break;
            }
            (entrance.accepts, entrance.goes_on) = (entrance.accepts + 1, false);
        }
    }

    /// Takes a new connection, and turns to the next ring when this one is full.
    pub(super) fn accepted(&mut self, ring: usize, completion: Completion) {
        let from = self.rings[ring].accepted_from(&completion);
        let gate = usize::from(completion.gate().0);
        if let Ok(slot) = u32::try_from(completion.result) {
            self.rings[ring].arrived();
            self.counters.count(Counter::Accepted);
            if self.draining.is_some() {
                self.counters.count(Counter::Refused);
                self.rings[ring].close(slot, []);
            } else if let Err(why) = self.admit(gate, ring as u8, slot, from) {
                self.counters.count(why);
                self.rings[ring].close(slot, []);
            }
        } else if is_want(completion.result) {
            self.accept_later(gate);
        }
        if let Some(entrance) = self.entrances.get_mut(gate)
            && entrance.ring == Some(ring)
        {
            entrance.accepts -= u32::from(!completion.more);
            // The room that is left is shared by all listeners whose connections come here.
            (0..self.entrances.len()).for_each(|gate| self.keep_accepting(gate, ring));
        }
    }

    /// Sees to it that a listener has the accepts under way that its ring has room for.
    pub(super) fn keep_accepting(&mut self, gate: usize, ring: usize) {
        let (room, waiting) = (self.rings[ring].room(), self.may_wait());
        let Some(entrance) = self.entrances.get_mut(gate).filter(|e| e.ring == Some(ring)) else { return };
        if entrance.again_at.is_some() {
            return;
        }
        if entrance.accepts == 0 {
            self.arm_accept(gate);
        } else if entrance.goes_on && room <= waiting || room == 0 && !entrance.listener.is_shared() {
            // What follows is armed with the last completion of what is ended here, not before: while both wait on the
            // listener, the kernel may spend the one wake-up of a new connection on the accept that is being cancelled.
            // (On a shared socket another core's wake-up could be spent so: there the few under way take whom they get.)
            if !std::mem::replace(&mut entrance.stops, true) {
                self.rings[ring].stop_accepting(Gate(gate as u8));
            }
        } else if !entrance.stops && room > 0 {
            self.ask_for_more(gate, ring, room);
        }
    }

    /// A place among the connections of its address, where they are counted.
    pub(super) fn place_for(&self, from: Option<IpAddr>) -> Result<Option<Place>, FarTooMany> {
        let Some((crowd, from)) = self.config.crowd.as_ref().zip(from) else { return Ok(None) };
        crowd.enter(from).map(Some).ok_or(FarTooMany)
    }

    /// Takes a new connection in, or tells what is counted when it is closed instead.
    fn admit(&mut self, gate: usize, ring: u8, slot: u32, from: Option<IpAddr>) -> Result<(), Counter> {
        let Some(entrance) = self.entrances.get(gate) else { return Err(Counter::Refused) };
        let (endpoint, shared) = (entrance.listener.endpoint(), entrance.listener.is_shared());
        let mut conn = Conn::new(ring, slot, State::Head, self.uptime);
        conn.flags.set(Flags::RECV);
        if endpoint.tls {
            conn.flags.set(Flags::TLS);
        }
        let place = if endpoint.proxy {
            if !shared && !self.is_trusted(from) {
                return Err(Counter::ProxyUntrusted);
            }
            conn.flags.set(Flags::PROXY);
            None
        } else {
            self.place_for(from).map_err(|FarTooMany| Counter::Crowded)?
        };
        if endpoint.tls {
            // Before its handshake it cannot be told anything.
            if place.as_ref().is_some_and(Place::is_over) {
                return Err(Counter::Crowded);
            }
            if !self.admission.takes(self.uptime) {
                return Err(Counter::Shed);
            }
        }
        let id = ConnId::from(self.conns.insert(conn));
        if let Some(place) = place {
            self.places.insert(id, place);
        }
        self.sign_in_by.push_back((self.uptime + self.config.sign_in_timeout, id));
        self.arm_receive(id);
        Ok(())
    }

    /// A slot was freed: a core that had closed its listeners opens them again once there is room.
    pub(super) fn resume_accepting(&mut self) {
        if self.entrances.iter().all(|entrance| entrance.ring.is_some()) {
            return;
        }
        let room = |used: u32, fill: u32| u64::from(used) * 100 < u64::from(fill) * u64::from(REOPEN_PERCENT);
        if self.rings.iter().any(|ring| room(ring.used(), ring.fill())) {
            for gate in 0..self.entrances.len() {
                let entrance = &self.entrances[gate];
                if entrance.ring.is_none() && entrance.again_at.is_none() {
                    self.arm_accept(gate);
                }
            }
        }
    }
}
