//! Connections that a proxy introduces: its header is read before anything else, and says whose connection it is.

use super::accepting::FarTooMany;
use super::{Flags, Handler, Plane};
use crate::ids::ConnId;
use crate::limits::ASSEMBLY_BYTES_PER_SHARD;
use crate::metrics::Counter;
use crate::net::proxy::{Introduced, introduced};
use std::net::IpAddr;

impl Plane {
    /// Whether a connection's proxy has not introduced it yet.
    pub(super) fn is_unknown(&self, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| conn.flags.has(Flags::PROXY))
    }

    /// Whether a proxy there may introduce connections; whoever reaches a Unix socket may.
    pub(super) fn is_trusted(&self, from: Option<IpAddr>) -> bool {
        from.is_some_and(|from| {
            let from = from.to_canonical();
            self.config.trusted.iter().any(|network| network.contains(&from))
        })
    }

    /// Reads a connection's first bytes, which are its proxy's; what follows the header is its own.
    pub(super) fn read_introduction<H: Handler>(&mut self, handler: &mut H, id: ConnId, bytes: &mut [u8]) {
        let uptime = self.uptime;
        let Some(conn) = self.conn_mut(id) else { return };
        conn.heard(uptime);
        // Nearly every header comes whole and is read where it lies.
        let mut kept = conn.early.take();
        if let Some(kept) = &mut kept {
            let before = kept.len();
            kept.extend_from_slice(bytes);
            self.assembly = self.assembly.saturating_sub(before);
        }
        match introduced(kept.as_deref().map_or(&*bytes, |kept| kept)) {
            Introduced::Wrong => self.refuse_introduction(id, Counter::ProxyWrong),
            Introduced::Incomplete => {
                // Shorter than the longest header.
                let header = kept.unwrap_or_else(|| Box::new(bytes.to_vec()));
                if self.assembly + header.len() > ASSEMBLY_BYTES_PER_SHARD {
                    return self.lost(id);
                }
                self.assembly += header.len();
                if let Some(conn) = self.conn_mut(id) {
                    conn.early = Some(header);
                }
            }
            Introduced::By(length, from) => {
                match self.place_for(from) {
                    Ok(Some(place)) => drop(self.places.insert(id, place)),
                    Ok(None) => {}
                    Err(FarTooMany) => return self.refuse_introduction(id, Counter::Crowded),
                }
                if let Some(conn) = self.conn_mut(id) {
                    conn.flags.clear(Flags::PROXY);
                }
                let rest = kept.as_deref_mut().map_or(bytes, |kept| kept);
                if rest.len() > length {
                    self.arrived(handler, id, &mut rest[length..]);
                }
            }
        }
    }

    /// Closes a connection whose proxy did not say what it had to. Whoever sent this would not understand an answer.
    pub(super) fn refuse_introduction(&mut self, id: ConnId, why: Counter) {
        self.counters.count(why);
        self.drop_connection(id);
    }
}
