//! Latencies in an `hdrhistogram` and the quantiles that are reported. Knows no workload.
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency told apart, in nanoseconds: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

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
        self.0.saturating_record(ns.max(1));
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
}
