//! Admission of connections that speak TLS: how fast they are accepted, how fast their handshakes begin, and how much of those
//! is done in one turn. Knows no TLS.
//!
//! A handshake costs as much as hundreds of messages. Clients that come faster wait in the kernel's queue, where they cost
//! nothing; when some have waited too long, all who wait are accepted only to be reset.

use super::pacing::Door;
use super::{Flags, Handler, Plane};
use crate::ids::ConnId;
use crate::limits::{HANDSHAKE_BURST_MS, TLS_BACKLOG_WAIT_MS, TLS_STEPS_PER_TURN, TLS_STEPS_WAITING};
use crate::meter::TICK_MS;
use crate::metrics::Counter;
use crate::net::crowd::Place;
use std::collections::VecDeque;

/// An accept that is under way for longer than this shows that nobody waits (ms).
const NOBODY_WAITS_MS: u64 = 50;

#[derive(Debug)]
pub(super) struct Admission {
    /// How fast connections are accepted.
    accepts: Door,
    /// How fast handshakes begin: clients may be silent after the accept, and then say hello all together.
    begins: Door,
    /// When to accept again.
    again_at: Option<u64>,
    /// Since when somebody has waited in the kernel's queue all the time.
    waiting_since: Option<u64>,
    /// When one was accepted last, or somebody could be.
    accepted_at: u64,
    /// Whether all who wait are being reset.
    clears: bool,
    /// What may be done in this turn yet, and who waits for the next.
    steps: u32,
    waiting: VecDeque<ConnId>,
}

impl Admission {
    /// So many a second; 0 for any number.
    pub(super) fn new(handshakes: u32) -> Self {
        Self {
            accepts: Door::new(handshakes),
            begins: Door::with_burst(handshakes, 2 * HANDSHAKE_BURST_MS),
            again_at: None,
            waiting_since: None,
            accepted_at: 0,
            clears: false,
            steps: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Whether every accept counts, so that none may go on by itself.
    pub(super) fn is_limited(&self) -> bool {
        self.accepts.is_limited()
    }

    /// When to look again at who waits to be accepted.
    pub(super) fn again_at(&self) -> Option<u64> {
        self.again_at
    }

    /// Whether a step of a handshake waits for its turn.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn is_behind(&self) -> bool {
        self.waiting.len() >= TLS_STEPS_WAITING / 2
    }

    /// Whether no handshake may begin because of those that have not ended; without a limit the connections are their bound.
    fn is_full(&self) -> bool {
        self.is_limited() && self.waiting.len() >= TLS_STEPS_WAITING
    }

    /// How many of the accepts `wanted` one of so many `listeners` may have under way, of which it has `armed`. With none it
    /// is looked at again when there may be one.
    pub(super) fn may_accept(&mut self, uptime: u64, wanted: u32, armed: u32, listeners: u32) -> u32 {
        if self.clears || !self.is_limited() {
            return wanted;
        }
        // Each has its part, and each gets one where there is any: the few that are too many are reset.
        let left = if self.is_behind() { 0 } else { self.accepts.left(uptime).div_ceil(listeners) };
        if left == 0 && armed == 0 {
            self.waiting_since.get_or_insert(uptime);
            let wait = self.accepts.wait(uptime).max(TICK_MS);
            self.again_at.get_or_insert(uptime + wait);
        }
        wanted.min(left)
    }

    /// Whether one that was accepted may stay.
    pub(super) fn takes(&mut self, uptime: u64) -> bool {
        let passes = self.accepts.passes(uptime);
        let paused = uptime.saturating_sub(self.accepted_at) > NOBODY_WAITS_MS;
        if paused || self.accepts.is_at_ease(uptime) {
            (self.waiting_since, self.clears) = (None, false);
        }
        self.accepted_at = uptime;
        passes
    }

    /// Whether it is time to accept again; who waits since too long is not kept waiting any more.
    fn is_time(&mut self, uptime: u64) -> bool {
        if self.again_at.is_none_or(|at| at > uptime) {
            return false;
        }
        self.again_at = None;
        self.accepted_at = uptime;
        self.clears = self.waiting_since.is_some_and(|since| since + TLS_BACKLOG_WAIT_MS <= uptime);
        true
    }
}

impl Plane {
    /// How many of the accepts `wanted` a listener may have under way.
    pub(super) fn may_accept(&mut self, tls: bool, wanted: u32, armed: u32) -> u32 {
        if !tls {
            return wanted;
        }
        let listeners = self.entrances.iter().filter(|entrance| entrance.speaks_tls()).count() as u32;
        self.admission.may_accept(self.uptime, wanted, armed, listeners.max(1))
    }

    /// Goes on accepting connections that speak TLS, where some were left waiting.
    pub(super) fn admit_again(&mut self) {
        if !self.admission.is_time(self.uptime) {
            return;
        }
        for gate in 0..self.entrances.len() {
            if let (true, Some(ring)) = (self.entrances[gate].speaks_tls(), self.entrances[gate].ring) {
                self.keep_accepting(gate, ring);
            }
        }
    }

    /// Whether a handshake may begin. Who is refused is closed before anything was computed.
    pub(super) fn may_begin(&mut self, id: ConnId) -> bool {
        let why = if self.places.get(&id).is_some_and(Place::is_over) {
            Counter::Crowded
        } else if self.admission.is_full() || !self.admission.begins.passes(self.uptime) {
            Counter::Shed
        } else {
            return true;
        };
        self.counters.count(why);
        self.drop_connection(id);
        false
    }

    /// A turn begins.
    pub(super) fn allow_steps(&mut self) {
        self.admission.steps = TLS_STEPS_PER_TURN;
    }

    /// Whether what came of a handshake has to wait for another turn; it is kept until then, and nothing more is received.
    pub(super) fn waits_its_turn(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        if !self.is_handshaking(id) {
            return false;
        }
        if self.admission.steps > 0 {
            self.admission.steps -= 1;
            return false;
        }
        self.make_room(id, bytes.len());
        let Some(conn) = self.conn_mut(id) else { return true };
        conn.flags.set(Flags::PAUSED);
        conn.early.get_or_insert_default().extend_from_slice(bytes);
        self.assembly += bytes.len();
        self.admission.waiting.push_back(id);
        true
    }

    /// Goes on with the handshakes that waited, in their order, before any that came now.
    pub(super) fn do_steps<H: Handler>(&mut self, handler: &mut H) {
        while self.admission.steps > 0
            && let Some(id) = self.admission.waiting.pop_front()
        {
            let Some(conn) = self.conn_mut(id) else { continue };
            let Some(mut early) = conn.early.take() else { continue };
            conn.flags.clear(Flags::PAUSED);
            self.assembly = self.assembly.saturating_sub(early.len());
            self.feed_encrypted(handler, id, &mut early);
            self.want_receive(id);
        }
        if self.admission.waiting.is_empty() {
            self.admission.waiting.shrink_to(TLS_STEPS_PER_TURN as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One listener behind which somebody always waits, at a rate of 10 a second: how many were taken, and how many reset.
    #[test]
    fn who_waits_is_taken_at_the_rate_and_reset_when_it_takes_too_long() {
        let mut admission = Admission::new(10);
        let (mut taken, mut reset, mut first_reset) = (0, 0, None);
        for uptime in 0..4000 {
            if admission.again_at().is_none() || admission.is_time(uptime) {
                for _ in 0..admission.may_accept(uptime, 32, 0, 1) {
                    if admission.takes(uptime) {
                        taken += 1;
                    } else {
                        reset += 1;
                        first_reset.get_or_insert(uptime);
                    }
                }
            }
        }
        assert!((30..=43).contains(&taken), "{taken}");
        assert!(
            reset > 100 && first_reset.is_some_and(|at| (2000..2300).contains(&at)),
            "{reset} {first_reset:?}"
        );
        // Nobody came for a while: who comes then waits again.
        assert!(admission.takes(10_000));
        assert!(!admission.clears && admission.may_accept(10_000, 32, 0, 1) < 32);
    }

    #[test]
    fn each_listener_has_its_part_and_none_goes_without() {
        let mut admission = Admission::new(1000);
        assert_eq!(admission.may_accept(0, 64, 0, 2), 64);
        for _ in 0..240 {
            assert!(admission.takes(0));
        }
        assert_eq!(admission.may_accept(0, 64, 0, 3), 4);
        while admission.takes(0) {}
        assert_eq!(
            (admission.may_accept(0, 64, 1, 3), admission.again_at()),
            (0, None),
            "the one under way tells"
        );
        assert_eq!(admission.may_accept(0, 64, 0, 3), 0);
        assert!(admission.again_at().is_some_and(|at| (1..=2 * TICK_MS).contains(&at)));
        assert_eq!(Admission::new(0).may_accept(0, 64, 0, 3), 64);
    }
}
