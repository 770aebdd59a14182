//! How many connections fit: the file limit, the rings it asks for, and what to change for more (design D2). Opens nothing.

use crate::limits::{RING_FILL_PERCENT, RING_SLOTS_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;

/// Descriptors of a process that are no connections of a ring: rings, listeners, files (number).
const RESERVED: u64 = 10;
/// A ring's number is one byte.
const RINGS_MAX: u32 = 255;

/// What a server has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Connections on all cores together.
    pub connections: usize,
    /// What was asked for.
    pub wanted: usize,
    /// Rings of each core.
    pub rings_per_core: u8,
    /// Descriptors in each ring's table.
    pub slots_per_ring: u32,
    /// The limit on open files that a table may not pass.
    pub file_limit: u64,
}

impl Capacity {
    /// As many rings per core as the file limit asks for: a table is never filled past [`RING_FILL_PERCENT`].
    pub fn plan(wanted: usize, cores: usize, file_limit: u64) -> Self {
        let table = file_limit.saturating_sub(RESERVED).clamp(16, u64::from(RING_SLOTS_MAX)) as u32;
        let per_core = u32::try_from(wanted.div_ceil(cores)).unwrap_or(u32::MAX);
        let rings = per_core.div_ceil(fill(table)).clamp(1, RINGS_MAX);
        // The last ring need not be larger than what is left to it, but all are alike: round up.
        let each = per_core.div_ceil(rings);
        let slots = (u64::from(each) * 100).div_ceil(u64::from(RING_FILL_PERCENT)) + 1;
        let slots = (slots as u32).clamp(16, table);
        let connections = fill(slots) as usize * rings as usize * cores;
        Self { connections, wanted, rings_per_core: rings as u8, slots_per_ring: slots, file_limit }
    }
}

fn fill(slots: u32) -> u32 {
    slots / 100 * RING_FILL_PERCENT + slots % 100 * RING_FILL_PERCENT / 100
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections", self.connections)?;
        if self.rings_per_core > 1 {
            write!(
                f,
                " in {} rings a core (open files are limited to {})",
                self.rings_per_core, self.file_limit
            )?;
        }
        if self.connections < self.wanted {
            write!(f, "; {} were asked for: raise the hard limit on open files (ulimit -Hn)", self.wanted)?;
        }
        Ok(())
    }
}

/// Raises the soft limit on open files to the hard one and tells it.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::from(RING_SLOTS_MAX));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: limit.maximum }) {
        Ok(()) => hard,
        Err(_) => limit.current.unwrap_or(hard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_file_limit_asks_for_many_rings() {
        let million = Capacity::plan(1_000_000, 1, 20_000);
        assert_eq!(million.rings_per_core, 56);
        assert!(million.slots_per_ring <= 19_990, "a table may not pass the file limit");
        assert!(million.connections >= 1_000_000);
        let two = Capacity::plan(1_000_000, 2, 20_000);
        assert_eq!(two.rings_per_core, 28);
        assert!(two.connections >= 1_000_000);
    }

    #[test]
    fn a_small_server_has_one_small_ring() {
        let small = Capacity::plan(1000, 1, 1 << 20);
        assert_eq!(small.rings_per_core, 1);
        assert!(small.connections >= 1000 && small.slots_per_ring < 1200);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let capacity = Capacity::plan(100_000_000, 1, 1024);
        assert!(capacity.connections < 100_000_000);
        assert!(capacity.to_string().contains("ulimit -Hn"), "{capacity}");
    }
}
