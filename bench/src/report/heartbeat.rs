//! How a server's questions for signs of life came: how many, how evenly, at which cost. Knows no socket and no workload.
use super::Moment;
use crate::procstat::Usage;
use crate::scenario::Measured;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// Fewer than so many seconds say nothing about how evenly they came.
const SECONDS_MIN: usize = 3;

/// Heartbeats of the measured time: each is one ping that came and one pong that left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeartbeatPart {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    /// Those of the busiest second, or of the busiest moment where moments are longer: so many times the mean.
    pub(crate) burst: Option<f64>,
    /// What it may be.
    #[serde(default)]
    pub(crate) burst_max: Option<f64>,
    /// Of the server's CPU time, where it did nothing else: the share of one core, in percent, and of each.
    pub(crate) server_cpu: Option<f64>,
    pub(crate) server_cpu_us_each: Option<f64>,
}

impl HeartbeatPart {
    /// Those of a run. Where messages were sent, the server did something else.
    pub(super) fn measured(run: &Measured) -> Option<Self> {
        let (course, rest) = (&run.course, run.server.filter(|_| run.sent == 0));
        let window = course.measured.unwrap_or_default();
        Self::of((run.heartbeats_measured, run.seconds), window, &course.moments, rest)
    }

    /// Those that came within `window`, by the moments of the run; `rest` is the server that did nothing else.
    pub(super) fn of(
        (count, seconds): (u64, f64),
        (from, to): (f64, f64),
        moments: &[Moment],
        rest: Option<Usage>,
    ) -> Option<Self> {
        if count == 0 || seconds <= 0.0 {
            return None;
        }
        let per_second = count as f64 / seconds;
        let within = |moment: &&Moment| {
            // The first and the last may be cut short, and a moment ends a little after its time.
            let slack = moment.seconds * 0.25;
            moment.seconds >= 0.5 && moment.at >= from - slack && moment.at + moment.seconds <= to + slack
        };
        let rates: Vec<f64> =
            moments.iter().filter(within).map(|moment| moment.heartbeats as f64 / moment.seconds).collect();
        let burst = (rates.len() >= SECONDS_MIN).then(|| {
            rates.iter().copied().fold(0.0, f64::max) * rates.len() as f64 / rates.iter().sum::<f64>()
        });
        Some(Self {
            count,
            per_second,
            burst: burst.filter(|burst| burst.is_finite()),
            burst_max: None,
            server_cpu: rest.map(|usage| usage.cpu_percent()),
            server_cpu_us_each: rest.map(|usage| usage.cpu * 1e6 / count as f64),
        })
    }

    /// Whether they came as evenly as they were to. What is not known is not even.
    pub(super) fn clean(&self) -> bool {
        self.burst_max.is_none_or(|max| self.burst.is_some_and(|burst| burst <= max))
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let mut text = format!("{} pings, each with its pong: {:.1}/s", self.count, self.per_second);
        // Writing to a string cannot fail.
        if let Some(burst) = self.burst {
            let _ = write!(text, ", {burst:.2} × that in the busiest second");
        }
        if let Some(max) = self.burst_max {
            let _ = write!(text, " (at most {max:.2}{})", if self.clean() { "" } else { ": TOO UNEVEN" });
        }
        if let Some((share, each)) = self.server_cpu.zip(self.server_cpu_us_each) {
            let _ = write!(text, "; {share:.1} % of a core in the server, {each:.2} µs each");
        }
        text
    }
}

impl fmt::Display for HeartbeatPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<10} {}", "heartbeats", self.told())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(heartbeats: &[u64]) -> Vec<Moment> {
        let moment =
            |(at, &heartbeats)| Moment { at: at as f64, seconds: 1.0, heartbeats, ..Moment::default() };
        heartbeats.iter().enumerate().map(moment).collect()
    }

    fn burst(heartbeats: &[u64], window: (f64, f64)) -> Option<f64> {
        let counted = (heartbeats.iter().sum(), window.1 - window.0);
        HeartbeatPart::of(counted, window, &moments(heartbeats), None).unwrap().burst
    }

    #[test]
    fn the_busiest_second_is_told_against_the_mean() {
        assert_eq!(burst(&[10, 10, 10, 10], (0.0, 4.0)), Some(1.0));
        assert_eq!(burst(&[0, 40, 0, 0], (0.0, 4.0)), Some(4.0));
        // What lies outside of the window counts for nothing, and too few seconds say nothing.
        assert_eq!(burst(&[90, 10, 10, 10, 90], (1.0, 4.0)), Some(1.0));
        assert_eq!(burst(&[10, 10], (0.0, 2.0)), None);
    }

    #[test]
    fn a_bound_on_bursts_is_kept_or_said() {
        let part = |heartbeats: &[u64], max| HeartbeatPart {
            burst_max: Some(max),
            ..HeartbeatPart::of((40, 4.0), (0.0, 4.0), &moments(heartbeats), None).unwrap()
        };
        assert!(part(&[10, 10, 11, 9], 1.2).clean());
        let uneven = part(&[0, 40, 0, 0], 1.2);
        assert!(!uneven.clean() && uneven.to_string().contains("TOO UNEVEN"), "{uneven}");
        assert!(HeartbeatPart::of((0, 4.0), (0.0, 4.0), &[], None).is_none());
    }
}
