//! What the connections of a shard may hold together of input that is not whole yet: past it those for whom it has taken
//! longest give way, and whoever has not signed in before the others. Knows no frame.

use super::{Conn, Flags, Plane, State};
use crate::ids::ConnId;
use crate::limits::{ASSEMBLY_BYTES_PER_SHARD, RELIEF_PERCENT};
use crate::meter::TICK_MS;
use crate::metrics::Counter;
use crate::wire::CloseCode;
use std::cmp::Reverse;

/// Why a connection is closed whose input is given up.
const TAKES_TOO_LONG: &str = "the server holds too many half-received messages";

impl Plane {
    /// Makes room for `bytes` more that are not whole yet, which may be on their way into connection `id`. Looks at all
    /// connections, but only once for each quarter of the bound that has come.
    #[inline]
    pub(super) fn make_room(&mut self, id: ConnId, bytes: usize) {
        if self.assembly + bytes > ASSEMBLY_BYTES_PER_SHARD {
            self.give_up_unfinished(id, bytes);
        }
    }

    #[cold]
    fn give_up_unfinished(&mut self, except: ConnId, bytes: usize) {
        self.counters.count(Counter::AssemblyReliefs);
        let enough = ASSEMBLY_BYTES_PER_SHARD / 100 * RELIEF_PERCENT;
        let now = (self.uptime / TICK_MS) as u32;
        let mut holders: Vec<(bool, u32, ConnId)> = Vec::new();
        for index in 0..self.conns.high_water() {
            let Some((key, conn)) = self.conns.at(index) else { continue };
            let id = ConnId::from(key);
            let since = [conn.waits_since(), self.encrypted.waits_since(id)];
            let age = since.into_iter().flatten().map(|since| now.wrapping_sub(since)).max();
            if let Some(age) = age
                && id != except
            {
                holders.push((conn.state != State::Live, age, id));
            }
        }
        holders.sort_unstable_by_key(|&(stranger, age, _)| Reverse((stranger, age)));
        for (_, _, id) in holders {
            if self.assembly + bytes <= enough {
                return;
            }
            match self.conn(id).map(|conn| conn.state) {
                // On its way to another shard: what it holds goes along.
                _ if self.conn(id).is_some_and(|conn| conn.flags.has(Flags::MOVE)) => {}
                // What is held of a record would stay until its sender has read what it is told.
                _ if self.encrypted.waits_since(id).is_some() => self.lost(id),
                Some(State::Open | State::Live | State::Moving) => {
                    self.counters.count(Counter::Unfinished);
                    self.close(id, CloseCode::TooMany, TAKES_TOO_LONG);
                }
                _ => self.lost(id),
            }
        }
    }
}

impl Conn {
    /// Since when its input waits for its end, if it holds any (ticks of uptime); what has no note of that, since it was last
    /// heard of.
    fn waits_since(&self) -> Option<u32> {
        let holds_input = self.early.is_some() || !self.inbound.is_idle();
        holds_input.then(|| self.inbound.begun().unwrap_or(self.last_received))
    }
}
