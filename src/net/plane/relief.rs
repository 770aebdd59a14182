//! What the connections of a shard may have queued together (design D7): past it those who hold the most make room. Knows
//! no frame.

use super::{Notice, Plane, State};
use crate::ids::ConnId;
use crate::limits::RELIEF_PERCENT;
use crate::metrics::Counter;
use crate::net::outbox::{Lost, Pushed};
use std::cmp::Reverse;

impl Plane {
    /// Bytes queued for connections, and those that the kernel has not taken yet.
    fn burden(&self) -> usize {
        self.queued_bytes + self.sending_bytes
    }

    /// Once a turn: where slow connections hold more together than they may, those who hold the most give way, until there
    /// is room again. Looks at all outboxes, but only once for each quarter of the bound that was filled.
    pub(super) fn relieve(&mut self) {
        if self.burden() <= self.config.outboxes_budget {
            return;
        }
        self.counters.count(Counter::Reliefs);
        // Only a connection with a send under way is slow: the others have had no turn to send.
        let slow = self.outboxes.iter().filter_map(|outbox| {
            let held = outbox.bytes() + outbox.in_flight?.memory;
            Some((held, outbox.owner?))
        });
        let mut holders: Vec<(usize, ConnId)> = slow.collect();
        holders.sort_unstable_by_key(|&(held, _)| Reverse(held));
        let enough = self.config.outboxes_budget / 100 * RELIEF_PERCENT;
        let mut given_up = 0;
        for (held, id) in holders {
            if self.burden() <= enough + given_up {
                break;
            }
            if self.give_way(id) {
                given_up += held;
            }
        }
    }

    /// Makes a slow connection give way; true when it is cut off, and the kernel gives its bytes back soon.
    fn give_way(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id.into()) else { return false };
        let (state, tag) = (conn.state, conn.tag());
        match state {
            State::Open | State::Live | State::Moving => {}
            // It was told already, and does not even take that.
            State::Head | State::Closing | State::Lingering => {
                self.lost(id);
                return true;
            }
            State::Gone => return true,
        }
        let mut lost = Lost::default();
        let outbox = self.outbox_of(id);
        let before = outbox.bytes();
        let pushed = outbox.shed(&mut lost);
        let after = outbox.bytes();
        self.queued_bytes -= before - after;
        self.count_lost(lost);
        match pushed {
            Pushed::Shed { stored } => {
                self.counters.add(Counter::ShedStored, u64::from(stored));
                self.notices.extend(tag.map(Notice::Shed));
            }
            Pushed::TooSlow => self.too_slow(id),
            Pushed::Queued | Pushed::Dropped => {}
        }
        false
    }
}
