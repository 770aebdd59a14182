//! When each message of an open loop is meant to be sent. Knows no socket and no clock.
//!
//! A slow server does not slow the schedule: a message keeps its intended time however late it leaves, and
//! latency counts from there, so that a stall is seen by every message that should have met it.
use fastrand::Rng;

/// The intended times of one sender thread, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: f64,
    gap: f64,
    poisson: Option<Rng>,
}

impl Schedule {
    /// `rate` messages a second in all, of which this thread sends each `of`-th, beginning with the `part`-th.
    pub(crate) fn new(rate: f64, part: usize, of: usize, start: u64, poisson: Option<u64>) -> Self {
        let whole = 1e9 / rate;
        let phase = whole * part as f64;
        let rng = poisson.map(|seed| Rng::with_seed(seed.wrapping_add(part as u64)));
        Self { next: start as f64 + phase, gap: whole * of as f64, poisson: rng }
    }

    /// The intended time of the next message.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // times are far below 2^53 and never negative
    pub(crate) fn next(&self) -> u64 {
        self.next as u64
    }

    /// Takes the next message's intended time if it has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<u64> {
        let intended = self.next();
        if intended > now {
            return None;
        }
        let stretch = self.poisson.as_mut().map_or(1.0, |rng| -(1.0 - rng.f64()).ln());
        self.next += self.gap * stretch;
        Some(intended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_does_not_move_the_intended_times() {
        let mut schedule = Schedule::new(1000.0, 0, 1, 0, None);
        assert_eq!(schedule.due(0), Some(0));
        assert_eq!(schedule.due(999_999), None);
        // The generator was away for ten milliseconds: ten messages are due at once, each with its own time.
        let late: Vec<u64> = std::iter::from_fn(|| schedule.due(10_000_000)).collect();
        assert_eq!(late, (1..=10).map(|k| k * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn threads_share_one_rate_without_gaps() {
        let mut all: Vec<u64> = (0..4)
            .flat_map(|part| {
                let mut schedule = Schedule::new(1000.0, part, 4, 5, None);
                std::iter::from_fn(move || schedule.due(100_000_004)).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).map(|k| 5 + k * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn poisson_keeps_the_rate_and_varies_the_gaps() {
        let mut schedule = Schedule::new(100_000.0, 0, 1, 0, Some(7));
        let times: Vec<u64> = std::iter::from_fn(|| schedule.due(1_000_000_000)).collect();
        assert!((97_000..103_000).contains(&times.len()), "{} messages", times.len());
        let short = times.windows(2).filter(|pair| pair[1] - pair[0] < 5_000).count();
        // A share of 1 - e^-0.5 = 39 % of exponential gaps lies under half the mean.
        assert!((35_000..44_000).contains(&short), "{short} short gaps");
    }
}
