//! One shard's latencies as HDR histograms, by the same kind of table as its counters. Knows nothing of what it times.

use hdrhistogram::Histogram as Hdr;
use std::time::Duration;

/// Values outside are recorded as the nearest bound (ns).
const LOW: u64 = 1_000;
const HIGH: u64 = 60_000_000_000;
/// Two digits keep a histogram near 25 KB; a bucket is at most 1 % wide.
const DIGITS: u8 = 2;

macro_rules! histograms {
    ($($variant:ident = $name:literal $help:literal;)*) => {
        /// Every latency a shard keeps: one row here is one family in `/metrics`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        #[allow(missing_docs)]
        pub enum Histogram { $($variant),* }

        impl Histogram {
            /// Every histogram, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name.
            pub fn family(self) -> &'static str {
                match self { $(Self::$variant => concat!("longwire_", $name)),* }
            }

            /// What it tells.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

histograms! {
    Append = "append_seconds" "From a record's append to its outcome";
    FanOut = "fanout_seconds" "How long fan-out that did not fit one turn kept a shard busy";
    Turn = "turn_seconds" "One turn of a shard's loop that found work";
}

/// One shard's latencies, with a single writer.
#[derive(Clone, Debug)]
pub struct Histograms([Timed; Histogram::ALL.len()]);

#[derive(Clone, Debug)]
struct Timed {
    hdr: Hdr<u64>,
    /// Kept beside the buckets, which only know it to 1 % (ns).
    sum: u64,
}

impl Default for Histograms {
    fn default() -> Self {
        let hdr = || Hdr::new_with_bounds(LOW, HIGH, DIGITS).expect("the bounds are constant and in order");
        Self(std::array::from_fn(|_| Timed { hdr: hdr(), sum: 0 }))
    }
}

impl Histograms {
    /// Records one duration in nanoseconds.
    #[inline]
    pub fn record(&mut self, histogram: Histogram, nanos: u64) {
        self.record_n(histogram, nanos, 1);
    }

    /// Records `n` times the same duration in nanoseconds.
    #[inline]
    pub fn record_n(&mut self, histogram: Histogram, nanos: u64, n: u64) {
        let timed = &mut self.0[histogram as usize];
        timed.hdr.saturating_record_n(nanos, n);
        timed.sum = timed.sum.saturating_add(nanos.saturating_mul(n));
    }

    /// Records a duration, `n` times.
    #[inline]
    pub fn took(&mut self, histogram: Histogram, duration: Duration, n: u64) {
        self.record_n(histogram, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), n);
    }

    /// How many durations were recorded.
    pub fn count(&self, histogram: Histogram) -> u64 {
        self.0[histogram as usize].hdr.len()
    }

    /// All recorded durations together.
    pub fn sum(&self, histogram: Histogram) -> Duration {
        Duration::from_nanos(self.0[histogram as usize].sum)
    }

    /// The duration that a share (0 to 1) of the recorded ones did not exceed.
    pub fn quantile(&self, histogram: Histogram, share: f64) -> Duration {
        Duration::from_nanos(self.0[histogram as usize].hdr.value_at_quantile(share))
    }

    /// How many recorded durations lie at or below each bound and above the bound before it; the last number is
    /// of those above all bounds, which must grow.
    pub fn spread(&self, histogram: Histogram, bounds: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for step in self.0[histogram as usize].hdr.iter_recorded() {
            let value = Duration::from_nanos(step.value_iterated_to());
            counts[bounds.partition_point(|bound| *bound < value)] += step.count_since_last_iteration();
        }
        counts
    }

    /// Adds another shard's latencies.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.hdr.add(&theirs.hdr).expect("all histograms have the same bounds");
            mine.sum = mine.sum.saturating_add(theirs.sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_spread_and_merged() {
        let (mut one, mut other) = (Histograms::default(), Histograms::default());
        for micros in [10, 90, 900] {
            one.record(Histogram::Append, micros * 1000);
        }
        other.record(Histogram::Append, u64::MAX);
        other.record(Histogram::Turn, 0);
        one.merge(&other);
        assert_eq!((one.count(Histogram::Append), one.count(Histogram::Turn)), (4, 1));
        let bounds = [Duration::from_micros(100), Duration::from_millis(1)];
        assert_eq!(one.spread(Histogram::Append, &bounds), [2, 1, 1]);
        assert!(one.quantile(Histogram::Append, 0.75) < Duration::from_millis(1));
        assert_eq!(one.sum(Histogram::FanOut), Duration::ZERO);
    }
}
