//! Pacing: how fast one connection may send, and how fast connections may come. Knows no user and no command.

use super::{Flags, Handler, Plane};
use crate::ids::ConnId;
use crate::limits::{HANDSHAKE_BURST_MS, RETRY_SPREAD_S};
use crate::meter::{Debt, Rate, SECOND_TICK, TICK_MS, Verdict};
use crate::metrics::Counter;
use crate::net::crowd::Place;
use crate::net::http;
use crate::wire::CloseCode;

/// Why a connection is closed that does not wait as it was told.
const TOO_FAST: &str = "too many messages sent without the wait that was told";

/// How fast something comes to this core, as upgrades do: those who are connected are served before more are let in.
#[derive(Debug)]
pub(super) struct Door {
    rate: Rate,
    debt: Debt,
    /// When the debt was paid last (ticks of uptime).
    paid: u32,
    sent_away: u64,
}

impl Door {
    /// A door that lets in so many a second.
    pub(super) fn new(handshakes: u32) -> Self {
        Self::with_burst(handshakes, HANDSHAKE_BURST_MS)
    }

    /// The same, with so much of it at once (ms).
    pub(super) fn with_burst(handshakes: u32, millis: u32) -> Self {
        let rate = Rate::per_second(handshakes, 0).with_burst(millis);
        Self { rate, debt: Debt::default(), paid: 0, sent_away: 0 }
    }

    /// Whether there is any limit.
    pub(super) fn is_limited(&self) -> bool {
        self.rate.takes(1, 0) > 0
    }

    fn pay(&mut self, uptime: u64) {
        let tick = (uptime / TICK_MS) as u32;
        self.debt.pay(tick.wrapping_sub(self.paid), SECOND_TICK);
        self.paid = tick;
    }

    /// Lets one in, if one may come now.
    pub(super) fn passes(&mut self, uptime: u64) -> bool {
        self.pay(uptime);
        self.debt.add(self.rate.takes(1, 0), &self.rate).is_ok()
    }

    /// How many may come now.
    pub(super) fn left(&mut self, uptime: u64) -> u32 {
        self.pay(uptime);
        self.debt.left(self.rate.takes(1, 0), &self.rate)
    }

    /// Whether more than half may come of what may come at once.
    pub(super) fn is_at_ease(&mut self, uptime: u64) -> bool {
        self.left(uptime) > Debt::default().left(self.rate.takes(1, 0), &self.rate) / 2
    }

    /// How long it takes until one more may come (ms).
    pub(super) fn wait(&mut self, uptime: u64) -> u64 {
        self.pay(uptime);
        self.debt.wait(self.rate.takes(1, 0), &self.rate)
    }

    /// Lets one in, or tells after how many seconds to come back.
    fn knock(&mut self, uptime: u64) -> Result<(), u64> {
        if self.passes(uptime) { Ok(()) } else { Err(self.later()) }
    }

    /// After how many seconds the next one that is sent away is to come back.
    fn later(&mut self) -> u64 {
        self.sent_away += 1;
        1 + self.sent_away % RETRY_SPREAD_S
    }
}

impl Plane {
    /// Whether one more may be upgraded now; if not, it is told to come back later.
    pub(super) fn lets_in(&mut self, id: ConnId) -> bool {
        if self.places.get(&id).is_some_and(Place::is_over) {
            let later = self.door.later();
            self.counters.count(Counter::Crowded);
            self.answer_http(id, &http::crowded(later));
            return false;
        }
        // Over TLS it was let in before its handshake.
        if self.conn(id).is_some_and(|conn| conn.flags.has(Flags::TLS)) {
            return true;
        }
        let Err(later) = self.door.knock(self.uptime) else { return true };
        self.counters.count(Counter::Shed);
        self.answer_http(id, &http::busy(later));
        false
    }

    /// Hands a message to the handler, or tells it that the message, which took `size` bytes of work, came too fast.
    pub(super) fn offer<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        text: bool,
        payload: &[u8],
        size: usize,
    ) {
        match self.pace(id, size) {
            Verdict::Go => handler.message(self, id, text, payload),
            Verdict::Wait(wait) => handler.too_fast(self, id, text, payload, wait),
            Verdict::Enough => {}
        }
    }

    /// Whether a control frame may still mean anything.
    pub(super) fn may_control(&mut self, id: ConnId, payload: usize) -> bool {
        self.pace(id, payload) == Verdict::Go
    }

    /// Counts a frame. Who sends on and on without waiting is closed.
    fn pace(&mut self, id: ConnId, payload: usize) -> Verdict {
        let rate = self.config.rate;
        let takes = rate.takes(1, payload);
        let Some(conn) = self.conn_mut(id) else { return Verdict::Go };
        let verdict = conn.debt.ask(takes, &rate);
        if verdict != Verdict::Go {
            self.counters.count(Counter::LimitedConnection);
        }
        if verdict == Verdict::Enough {
            self.counters.count(Counter::FloodedConnection);
            self.close(id, CloseCode::TooMany, TOO_FAST);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_lets_in_as_many_as_the_rate_and_spreads_the_others() {
        let mut door = Door::new(1000);
        let let_in = (0..10_000).filter(|n| door.knock(n / 10).is_ok()).count();
        // A second's, and a burst.
        assert!((1000..=1250).contains(&let_in), "{let_in}");
        let mut later: Vec<u64> = (0..5).filter_map(|_| door.knock(1000).err()).collect();
        later.sort_unstable();
        assert_eq!(later, [1, 2, 3, 4, 5]);
        assert!((0..1_000_000).all(|_| Door::new(0).knock(0).is_ok()));
    }
}
