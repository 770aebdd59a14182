//! How long an idle shard looks for work before it sleeps: as long as that has paid off lately. Knows no work.

use std::time::{Duration, Instant};

/// Looks between two readings of the clock (number).
const LOOKS: u32 = 32;
/// A gap in the spin longer than this means that someone else runs on this core.
const PREEMPTED: Duration = Duration::from_micros(300);
/// How long a core found to be shared is not spun on.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The spin before a sleep.
#[derive(Debug)]
pub struct Spin {
    max: Duration,
    window: Duration,
    not_before: Option<Instant>,
}

impl Spin {
    /// Spins for up to `max`; zero never spins.
    pub fn new(max: Duration) -> Self {
        Self { max, window: max, not_before: None }
    }

    /// Spins; true as soon as `ready` says so.
    pub fn wait(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        if self.window.is_zero() {
            return false;
        }
        let start = Instant::now();
        if self.not_before.is_some_and(|until| start < until) {
            return false;
        }
        let mut last = start;
        loop {
            for _ in 0..LOOKS {
                if ready() {
                    return true;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if now - last > PREEMPTED {
                self.not_before = Some(now + BACK_OFF);
                return false;
            }
            if now - start > self.window {
                return false;
            }
            last = now;
        }
    }

    /// Learns from a sleep: one that a spin would have spared makes the next spin longer, a longer one makes it shorter.
    pub fn slept(&mut self, sleep: Duration) {
        if sleep <= self.max {
            self.window = (self.window * 2).clamp(self.max / 8, self.max);
        } else {
            self.window /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sleeps_end_the_spin_and_short_ones_bring_it_back() {
        let mut spin = Spin::new(Duration::from_micros(50));
        assert!(spin.wait(|| true));
        (0..40).for_each(|_| spin.slept(Duration::from_secs(1)));
        assert!(!spin.wait(|| panic!("an idle shard must not spin")));
        spin.slept(Duration::from_micros(20));
        assert!(spin.wait(|| true));
    }

    #[test]
    fn zero_never_spins() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.slept(Duration::ZERO);
        assert!(!spin.wait(|| panic!("told not to spin")));
    }
}
