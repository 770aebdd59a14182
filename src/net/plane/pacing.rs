//! Pacing: how fast one connection may send. Knows no user and no command.

use super::{Handler, Plane};
use crate::ids::ConnId;
use crate::meter::Verdict;
use crate::metrics::Counter;
use crate::wire::CloseCode;

/// Why a connection is closed that does not wait as it was told.
const TOO_FAST: &str = "too many messages sent without the wait that was told";

impl Plane {
    /// Hands a message to the handler, or tells it that the message came too fast.
    pub(super) fn offer<H: Handler>(&mut self, handler: &mut H, id: ConnId, text: bool, payload: &[u8]) {
        match self.pace(id, payload.len()) {
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
            self.close(id, CloseCode::TooMany, TOO_FAST);
        }
        verdict
    }
}
