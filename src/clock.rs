//! Time from outside: the shells read it once a turn and hand it in. Knows no rules.

use crate::ids::Millis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2020-01-01T00:00:00Z, where sequence numbers without a data directory start counting.
pub const EPOCH_2020: Millis = Millis(1_577_836_800_000);

/// One moment as both clocks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the process started: never goes back; for deadlines and intervals.
    pub uptime: u64,
    /// Wall clock, for what clients see.
    pub wall: Millis,
}

/// Reads the system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose uptime starts at `start`; shards of one server share it.
    pub fn new(start: Instant) -> Self {
        Self { start }
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            uptime: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            wall: Millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
