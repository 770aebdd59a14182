//! What the server's disk took beside what it did with it. Knows no server but by the names of its counters.
use super::text::quantiles;
use crate::latency::Quantiles;
use crate::scenario::Measured;
use crate::sync::RawSync;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longwire's counter of its log's own syncs.
const SYNCS: &str = "longwire_store_syncs_total";

/// A disk, and how a server used it in the measured time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DiskPart {
    #[serde(flatten)]
    pub(crate) raw: RawSync,
    /// Syncs of the server's log, by its own count, and acks for each of them.
    pub(crate) syncs: Option<f64>,
    pub(crate) acks_per_sync: Option<f64>,
}

impl DiskPart {
    pub(super) fn measured(measured: &Measured) -> Option<Self> {
        let raw = measured.raw_sync?;
        let counters = &measured.course.server_counters;
        let syncs = counters.iter().find(|(name, _)| name == SYNCS).map(|(_, syncs)| *syncs);
        let acks_per_sync = syncs.map(|syncs| measured.acks as f64 / syncs.max(1.0));
        Some(Self { raw, syncs, acks_per_sync })
    }

    /// In text, with the acks that were to be as fast.
    pub(super) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        acks: Option<&Quantiles>,
        gap_us: Option<f64>,
    ) -> fmt::Result {
        let RawSync { idle_us, beside_us } = &self.raw;
        idle_us.iter().try_for_each(|q| quantiles(f, "raw sync", q))?;
        beside_us.iter().try_for_each(|q| quantiles(f, "beside", q))?;
        write!(f, "  {:<10} ", "disk")?;
        if let Some((acks, raw)) = acks.zip(idle_us.as_ref()) {
            let (times, more) = (acks.p50 / raw.p50.max(1e-9), acks.p50 - raw.p50);
            write!(f, "an ack's p50 is {times:.2} times a raw sync's, and {more:.0} µs more; ")?;
        }
        if let Some(gap) = gap_us {
            write!(f, "the longest time without one {:.1} ms; ", gap / 1e3)?;
        }
        match self.syncs.zip(self.acks_per_sync) {
            Some((syncs, acks)) => writeln!(f, "{syncs:.0} syncs by the server, {acks:.1} acks each"),
            None => writeln!(f, "how often the server synced is not known"),
        }
    }
}
