//! Accepting: which ring's table new connections go to, and what happens when all are full.

use super::{Conn, Flags, Listener, Plane, State};
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::net::ring::Completion;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

/// After being full a core listens again when its tables are this much emptier (percent), so that it does not flap.
const REOPEN_PERCENT: u32 = 95;

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

    fn arm_accept(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        self.accepting = self.rings.iter().position(|ring| ring.used() < ring.fill());
        match self.accepting {
            Some(ring) => match listener.open() {
                Ok(()) => self.rings[ring].accept(listener.as_raw_fd()),
                Err(_) => self.accepting = None,
            },
            // With SO_REUSEPORT an open socket would go on getting its share of the connections.
            None => listener.close(),
        }
    }

    /// Takes a new connection, and turns to the next ring when this one is full.
    pub(super) fn accepted(&mut self, ring: usize, completion: Completion) {
        if let Ok(slot) = u32::try_from(completion.result) {
            self.rings[ring].arrived();
            self.counters.count(Counter::Accepted);
            if self.draining.is_some() {
                self.counters.count(Counter::Refused);
                self.rings[ring].close(slot);
            } else {
                self.admit(ring as u8, slot);
            }
        }
        if self.accepting != Some(ring) {
            return;
        }
        let full = self.rings[ring].used() >= self.rings[ring].fill();
        if full && completion.more {
            self.accepting = None;
            self.rings[ring].stop_accepting();
            self.arm_accept();
        // The end of an accept that was stopped says nothing about the one armed since, maybe on the same ring.
        } else if !completion.more && completion.result != -libc::ECANCELED {
            self.accepting = None;
            self.arm_accept();
        }
    }

    fn admit(&mut self, ring: u8, slot: u32) {
        let mut conn = Conn::new(ring, slot, State::Head, self.uptime);
        conn.flags.set(Flags::RECV);
        let id = ConnId::from(self.conns.insert(conn));
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
