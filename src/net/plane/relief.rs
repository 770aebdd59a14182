//! What the connections of a shard may have queued together (design D7): past it those who hold the most make room. Knows
//! no frame.

use super::{Notice, Plane, State};
use crate::ids::ConnId;
use crate::limits::{RELIEF_LOOK_PERCENT, RELIEF_PERCENT};
use crate::metrics::Counter;
use crate::net::outbox::{Lost, Pushed};
use crate::net::ring::SendBuffer;
use std::cmp::Reverse;

/// A slow connection.
struct Holder {
    id: ConnId,
    /// Its part of what is queued and being sent (bytes).
    held: usize,
    /// It was told already.
    ends: bool,
}

impl Plane {
    /// Bytes queued for connections, and those that the kernel has not taken yet, as if no frame had two receivers: never
    /// less than what they hold.
    fn burden(&self) -> usize {
        self.queued_bytes + self.sending_bytes
    }

    /// Once a turn: where slow connections hold more together than they may, those who hold the most give way, until there
    /// is room again. Looks at all that is queued, but only once for each part of the bound that was queued since.
    pub(super) fn relieve(&mut self) {
        let budget = self.config.outboxes_budget;
        if self.burden() <= budget || self.queued_ever < self.relief_at {
            return;
        }
        let (held, mut holders) = self.holders();
        let mut given_up = 0;
        if held > budget {
            self.counters.count(Counter::Reliefs);
            let enough = budget / 100 * RELIEF_PERCENT;
            holders.sort_unstable_by_key(|holder| (!holder.ends, Reverse(holder.held)));
            for holder in holders {
                if held <= enough + given_up {
                    break;
                }
                given_up += self.give_way(&holder);
            }
        }
        // What is shared counts by parts, but its last holder frees all of it: the next look sees what is left.
        let room = budget.saturating_sub(held.saturating_sub(given_up));
        self.relief_at = self.queued_ever + room.max(budget / 100 * RELIEF_LOOK_PERCENT) as u64;
    }

    /// What all connections hold, what they share counted once, and who holds it. Only a connection with a send under way is
    /// slow: the others have had no turn to send.
    fn holders(&self) -> (usize, Vec<Holder>) {
        let (mut all, mut holders) = (0, Vec::new());
        for outbox in &self.outboxes {
            let Some((id, conn)) = outbox.owner.and_then(|id| Some((id, self.conn(id)?))) else { continue };
            let ring = &self.rings[usize::from(conn.ring)];
            let sending = outbox.in_flight.and_then(|flight| ring.sending(flight.key));
            let held = outbox.share() + sending.map_or(0, SendBuffer::share);
            all += held;
            if sending.is_some() {
                let ends = !matches!(conn.state, State::Open | State::Live | State::Moving);
                holders.push(Holder { id, held, ends });
            }
        }
        (all, holders)
    }

    /// Makes a slow connection give way; returns what it gives up, at once or as soon as the kernel gives its bytes back.
    fn give_way(&mut self, holder: &Holder) -> usize {
        let &Holder { id, held, ends } = holder;
        let Some(conn) = self.conns.get(id.into()) else { return held };
        let (state, tag) = (conn.state, conn.tag());
        if ends {
            // It does not even take what it was told.
            if state != State::Gone {
                self.lost(id);
            }
            return held;
        }
        let mut lost = Lost::default();
        let outbox = self.outbox_of(id);
        let (before, shared) = (outbox.bytes(), outbox.share());
        let pushed = outbox.shed(&mut lost);
        let (after, still_shared) = (outbox.bytes(), outbox.share());
        self.queued_bytes -= before - after;
        self.count_lost(lost);
        match pushed {
            Pushed::Shed { stored } => {
                self.counters.add(Counter::ShedStored, u64::from(stored));
                self.notices.extend(tag.map(Notice::Shed));
            }
            Pushed::TooSlow => {
                self.too_slow(id);
                return held;
            }
            Pushed::Queued | Pushed::Dropped => {}
        }
        shared.saturating_sub(still_shared)
    }
}
