//! Latencies in an `hdrhistogram` and the quantiles that are reported. Knows no workload.
use crate::report::{Centre, CurvePoint};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Longest latency told apart, in nanoseconds: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Points of a curve for each halving of what is left to 100 %.
const TICKS_PER_HALF: u32 = 5;

/// Nanoseconds, three digits kept.
#[derive(Debug, Clone)]
pub(crate) struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are constant and valid"))
    }
}

impl Latency {
    /// Records one; what exceeds a minute counts as a minute.
    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns.clamp(1, LONGEST_NS));
    }

    /// Records `count` that took so long.
    fn record_many(&mut self, ns: u64, count: u64) {
        self.0.saturating_record_n(ns.clamp(1, LONGEST_NS), count);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Nanoseconds and how many took so long or hardly longer, shortest first, for what was recorded.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0
            .iter_recorded()
            .map(|step| (self.0.lowest_equivalent(step.value_iterated_to()), step.count_at_value()))
    }

    /// In HdrHistogram's V2 format, deflated.
    pub(crate) fn encoded(&self, serializer: &mut V2DeflateSerializer) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It is too large for its own format only beyond 2^32 bytes.
        let _ = serializer.serialize(&self.0, &mut bytes);
        bytes
    }

    /// The curve over percentiles, at the steps that HdrHistogram's own files have.
    pub(crate) fn curve(&self) -> Vec<CurvePoint> {
        let mut count = 0;
        let point = |step: hdrhistogram::iterators::IterationValue<u64>| {
            count += step.count_since_last_iteration();
            #[allow(clippy::cast_precision_loss)] // a minute of nanoseconds is far below 2^53
            let us = step.value_iterated_to() as f64 / 1e3;
            CurvePoint { quantile: step.quantile_iterated_to(), us, count }
        };
        self.0.iter_quantiles(TICKS_PER_HALF).map(point).collect()
    }

    /// What HdrHistogram's percentile files say below their curve, or nothing when nothing was recorded.
    pub(crate) fn centre(&self) -> Option<Centre> {
        // Of as many values in a row are three digits told apart.
        let sub_buckets = 2048;
        let (mean, deviation) = (self.0.mean() / 1e3, self.0.stdev() / 1e3);
        (!self.0.is_empty()).then(|| Centre {
            mean_us: mean,
            deviation_us: deviation,
            buckets: self.0.buckets().into(),
            sub_buckets,
        })
    }

    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// The quantiles, or nothing when nothing was recorded.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        if self.0.is_empty() {
            return None;
        }
        #[allow(clippy::cast_precision_loss)] // a minute of nanoseconds is far below 2^53
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Some(Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: at(1.0),
        })
    }
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

/// A histogram that one thread writes while another one reads it: no lock, no handing over. Counts wrap; a reader looks more
/// often than every four billion.
#[derive(Debug)]
pub(crate) struct Live(Box<[AtomicU32]>);

/// Values below this are told apart one by one, those above by their leading bits: three digits, as in [`Latency`].
const EXACT_BITS: u32 = 11;

impl Default for Live {
    fn default() -> Self {
        Self((0..=slot(LONGEST_NS)).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Live {
    /// Records one. Only ever called by one thread.
    pub(crate) fn record(&self, ns: u64) {
        let count = &self.0[slot(ns.min(LONGEST_NS))];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// What a reader has seen of a [`Live`].
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<u32>);

impl Seen {
    /// Adds what was recorded since the last look.
    pub(crate) fn take_new(&mut self, live: &Live, into: &mut Latency) {
        self.0.resize(live.0.len(), 0);
        for (slot, (seen, count)) in self.0.iter_mut().zip(&live.0).enumerate() {
            let count = count.load(Relaxed);
            if count != *seen {
                into.record_many(value(slot), u64::from(count.wrapping_sub(*seen)));
                *seen = count;
            }
        }
    }
}

/// Where a value is counted: groups of 1024 slots, each group twice as wide as the one before it.
#[allow(clippy::cast_possible_truncation)] // at most 26 groups
fn slot(ns: u64) -> usize {
    let shift = (u64::BITS - (ns | 1).leading_zeros()).saturating_sub(EXACT_BITS);
    ((shift as usize) << (EXACT_BITS - 1)) + (ns >> shift) as usize
}

/// The least value of a slot.
fn value(slot: usize) -> u64 {
    let shift = (slot >> (EXACT_BITS - 1)).saturating_sub(1);
    ((slot - (shift << (EXACT_BITS - 1))) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let mut latency = Latency::default();
        let mut all: Vec<u64> = (1..=100_000_u64).map(|n| n * 7_919 % 1_000_003 * 100).collect();
        all.iter().for_each(|&ns| latency.record(ns));
        all.sort_unstable();
        let quantiles = latency.quantiles().unwrap();
        assert_eq!(quantiles.count, 100_000);
        for (quantile, found) in [
            (0.5, quantiles.p50),
            (0.9, quantiles.p90),
            (0.99, quantiles.p99),
            (0.999, quantiles.p999),
            (0.9999, quantiles.p9999),
            (1.0, quantiles.max),
        ] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = (quantile * 100_000.0_f64).ceil() as usize;
            let exact = all[rank - 1] as f64 / 1e3;
            assert!((found - exact).abs() <= exact * 0.001, "p{quantile}: {found} against {exact}");
        }
    }

    #[test]
    fn parts_add_up_and_nothing_has_no_quantiles() {
        let (mut one, mut other) = (Latency::default(), Latency::default());
        assert_eq!(one.quantiles(), None);
        one.record(1_000);
        other.record(3_000_000_000_000);
        one.add(&other);
        let quantiles = one.quantiles().unwrap();
        assert_eq!(quantiles.count, 2);
        assert!((quantiles.max / 60e6 - 1.0).abs() < 0.001);
    }

    #[test]
    fn what_one_thread_writes_another_one_reads_to_the_same_digits() {
        let (live, mut whole) = (Live::default(), Latency::default());
        let (mut seen, mut read) = (Seen::default(), Latency::default());
        for n in 0..200_000_u64 {
            let ns = n * n * 7 % 70_000_000_000;
            live.record(ns);
            whole.record(ns);
            if n % 70_000 == 0 {
                seen.take_new(&live, &mut read);
            }
        }
        seen.take_new(&live, &mut read);
        assert_eq!(read.quantiles(), whole.quantiles());
        seen.take_new(&live, &mut read);
        assert_eq!(read.count(), 200_000, "what was seen is not seen again");
    }

    #[test]
    fn slots_join_without_gaps() {
        for ns in (0..100_000).chain([1 << 20, LONGEST_NS]) {
            let at = slot(ns);
            assert!(value(at) <= ns && ns < value(at + 1), "{ns} in slot {at}");
        }
    }

    #[test]
    fn a_curve_climbs_to_the_longest() {
        let mut latency = Latency::default();
        (1..=1_000_u64).for_each(|ms| latency.record(ms * 1_000_000));
        let curve = latency.curve();
        assert!(curve.windows(2).all(|two| two[0].quantile <= two[1].quantile && two[0].us <= two[1].us));
        let last = curve.last().unwrap();
        assert_eq!((last.quantile, last.count), (1.0, 1_000));
        let half = curve.iter().find(|point| point.quantile >= 0.5).unwrap();
        assert!((half.us / 500_000.0 - 1.0).abs() < 0.01, "{half:?}");
    }
}
