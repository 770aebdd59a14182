//! What a shard hands out when it is asked for its numbers. Knows neither who asks nor how.

use super::{Counters, Gauge, Histograms};
use crate::ids::ShardId;

/// One shard's levels, set when it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gauges([u64; Gauge::ALL.len()]);

impl Default for Gauges {
    fn default() -> Self {
        Self([0; Gauge::ALL.len()])
    }
}

impl Gauges {
    /// Sets a level.
    pub fn set(&mut self, gauge: Gauge, level: u64) {
        self.0[gauge as usize] = level;
    }

    /// The level.
    pub fn get(&self, gauge: Gauge) -> u64 {
        self.0[gauge as usize]
    }
}

/// All numbers of one shard at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose numbers they are.
    pub shard: ShardId,
    /// What was counted since the start.
    pub counters: Counters,
    /// The present levels.
    pub gauges: Gauges,
    /// The latencies since the start.
    pub histograms: Histograms,
}

impl Snapshot {
    /// A snapshot of a shard that has done nothing yet.
    pub fn empty(shard: ShardId) -> Self {
        Self {
            shard,
            counters: Counters::default(),
            gauges: Gauges::default(),
            histograms: Histograms::default(),
        }
    }
}
