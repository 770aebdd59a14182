//! Whether the latencies of a run are the server's, or the generator's own. Knows no socket and no workload.
use crate::latency::Quantiles;

/// From this lag on a generator is late whatever the latencies are, in µs at p99.
const LAG_US: f64 = 1_000.0;
/// From this share of the latency on the lag is a part of it that cannot be left out, at p99.
const LAG_SHARE: f64 = 0.2;
/// Share of the messages meant for the window that have to leave within it.
const SENT_SHARE: f64 = 0.99;
/// Messages that the window's end may cut off: what is meant for its last microseconds leaves after it.
const EDGES: u64 = 2;

/// What is known about the generator's own part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Evidence {
    pub(crate) latency: Option<Quantiles>,
    /// In an open loop.
    pub(crate) lag: Option<Quantiles>,
    /// Messages meant for the measured window that left within it.
    pub(crate) in_time: u64,
    /// It ran or waited for its cores all the time, and not because it was told to spin.
    pub(crate) saturated: bool,
}

impl Evidence {
    /// Why the figures are partly the generator's, if they are. The strongest reason comes first; one is enough.
    pub(crate) fn late(&self) -> Option<String> {
        self.unsent().or_else(|| self.lagging()).or_else(|| self.overloaded())
    }

    /// An open loop's messages that left after their window: the rate was not reached.
    fn unsent(&self) -> Option<String> {
        let meant = self.lag?.count;
        (!reached(self.in_time, meant)).then(|| {
            let sent = self.in_time;
            format!("the generator sent {sent} of the {meant} messages meant for the measured time within it: the rate was not reached")
        })
    }

    fn lagging(&self) -> Option<String> {
        let lag = self.lag?.p99;
        // Where nothing arrived there is no latency to be a part of.
        let share = self.latency.map_or(0.0, |latency| lag / latency.p99.max(1e-3));
        (lag > LAG_US || share > LAG_SHARE).then(|| {
            format!(
                "the generator sent late, by {:.3} ms at p99, which is {:.0} % of the latency's p99: latencies are partly its own",
                lag / 1e3,
                100.0 * share.min(1.0)
            )
        })
    }

    fn overloaded(&self) -> Option<String> {
        self.saturated.then(|| {
            "the generator's cores were full: throughput is the generator's, and latencies are partly its own"
                .to_owned()
        })
    }
}

/// Whether as many messages left `in_time` as were meant for it, as far as that can be told.
pub(crate) fn reached(in_time: u64, meant: u64) -> bool {
    ((in_time + EDGES) as f64) >= meant as f64 * SENT_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p99(p99: f64) -> Option<Quantiles> {
        Some(Quantiles { count: 1000, p50: 1.0, p90: 1.0, p99, p999: p99, p9999: p99, max: p99 })
    }

    #[test]
    fn lag_counts_by_its_share_of_the_latency_and_by_itself() {
        let of =
            |lag, latency| Evidence { lag: p99(lag), latency: p99(latency), in_time: 1000, saturated: false };
        assert_eq!(of(10.0, 100.0).late(), None);
        assert!(of(30.0, 100.0).late().unwrap().contains("30 % of the latency"));
        assert!(of(1_100.0, 100_000.0).late().unwrap().contains("1.100 ms"));
        let unanswered = Evidence { lag: p99(1_100.0), in_time: 1000, ..Evidence::default() };
        assert!(unanswered.late().is_some());
        let closed = Evidence { latency: p99(100.0), ..Evidence::default() };
        assert_eq!(closed.late(), None, "a closed loop has no intended times to miss");
    }

    #[test]
    fn a_rate_that_was_not_reached_is_said_first() {
        let evidence =
            Evidence { lag: p99(5_000_000.0), latency: p99(5_000_000.0), in_time: 900, saturated: true };
        assert!(evidence.late().unwrap().contains("900 of the 1000"));
        assert_eq!(
            Evidence { lag: p99(1.0), latency: p99(100.0), in_time: 995, saturated: false }.late(),
            None
        );
        assert!(reached(3, 4) && !reached(1, 4), "of a few messages one may be the window's last");
    }

    #[test]
    fn a_full_generator_is_named() {
        let evidence = Evidence { saturated: true, ..Evidence::default() };
        assert!(evidence.late().unwrap().contains("cores were full"));
    }
}
