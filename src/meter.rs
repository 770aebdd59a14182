//! How fast somebody may go: what is done becomes a debt, and time pays it off. Knows no clock and nobody.
//!
//! A bucket of tokens, seen from its other side: an empty debt is a full bucket. Whoever comes to owe more than
//! [`Rate::per_second`] or [`Rate::per_hour`] lets stand is told how long to wait. Debts are paid in whole ticks, so that
//! what an idle connection has to keep is four bytes and when it was last heard.

use crate::limits::{IGNORED_MAX, RATE_BURST_MS};

/// Debts are paid once in so many milliseconds.
pub const TICK_MS: u64 = 64;
/// What a tick pays of a debt that is counted by the second (µs).
pub const SECOND_TICK: u32 = TICK_MS as u32 * 1000;
/// What a tick pays of a debt that is counted by the hour (ms).
pub const HOUR_TICK: u32 = TICK_MS as u32;

/// The largest debt that is remembered, in the limit's unit; the bits above it count who does not wait.
const DEBT_MAX: u32 = (1 << 25) - 1;
const HOUR_MS: u32 = 3_600_000;
/// Binary digits behind the point of what one thing takes.
const FRACTION: u32 = 20;

const _: () = assert!(RATE_BURST_MS * 1000 < DEBT_MAX && HOUR_MS < DEBT_MAX);
const _: () = assert!(IGNORED_MAX < 1 << 7);

/// How often something may happen. Each time takes a part of the time that it is limited in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// What one thing and one byte take, with [`FRACTION`]; 0 is no limit.
    thing: u64,
    byte: u64,
    /// What may be owed.
    burst: u32,
    /// What a tick pays.
    tick: u32,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { thing: 0, byte: 0, burst: u32::MAX, tick: SECOND_TICK };

    /// So many things, and so many bytes, a second, and [`RATE_BURST_MS`] of it at once; 0 for any number.
    pub fn per_second(things: u32, bytes: u64) -> Self {
        let share = |n: u64| (1_000_000 << FRACTION) / n.max(1) * u64::from(n > 0);
        Self {
            thing: share(things.into()),
            byte: share(bytes),
            burst: RATE_BURST_MS * 1000,
            tick: SECOND_TICK,
        }
    }

    /// The same with only so much of it at once (ms), and one thing at least.
    pub fn with_burst(self, millis: u32) -> Self {
        Self { burst: self.takes(1, 0).max(millis * 1000), ..self }
    }

    /// So many things an hour, all of them at once if nothing was done in the hour before; 0 for any number.
    pub fn per_hour(things: u32) -> Self {
        let share = (u64::from(HOUR_MS) << FRACTION) / u64::from(things.max(1));
        Self { thing: share * u64::from(things > 0), byte: 0, burst: HOUR_MS, tick: HOUR_TICK }
    }

    /// What so many things of so many bytes together take: as much as the stricter of the two limits says.
    #[inline]
    pub fn takes(&self, things: u32, bytes: usize) -> u32 {
        let (things, bytes) =
            (self.thing.saturating_mul(things.into()), self.byte.saturating_mul(bytes as u64));
        u32::try_from(things.max(bytes) >> FRACTION).unwrap_or(DEBT_MAX)
    }

    /// How long it takes to pay `debt` off, the tick that it ends in included (ms).
    fn time(&self, debt: u32) -> u64 {
        u64::from(debt) * TICK_MS / u64::from(self.tick) + TICK_MS
    }
}

/// May it be done?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Yes.
    Go,
    /// Not before so many milliseconds are over.
    Wait(u64),
    /// No, and so it was said [`IGNORED_MAX`] times.
    Enough,
}

/// What somebody owes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Debt(u32);

impl Debt {
    fn owed(self) -> u32 {
        self.0 & DEBT_MAX
    }

    /// How often it was asked for since the last [`Verdict::Wait`] that was heeded.
    fn ignored(self) -> u32 {
        self.0 / (DEBT_MAX + 1)
    }

    fn set(&mut self, owed: u32, ignored: u32) {
        self.0 = owed.min(DEBT_MAX) + ignored * (DEBT_MAX + 1);
    }

    /// Whether it is as if nothing had happened.
    pub fn is_clear(self) -> bool {
        self.owed() == 0
    }

    /// Time has passed: so many ticks, each of which pays `tick`.
    #[inline]
    pub fn pay(&mut self, ticks: u32, tick: u32) {
        if self.0 != 0 {
            self.set(self.owed().saturating_sub(ticks.saturating_mul(tick)), self.ignored());
        }
    }

    /// Asks for what somebody has sent already. Who may not is told to wait until half of the debt that may stand is paid,
    /// and gets nothing before: so one who waits can go on for a while, and one who does not wait is known.
    #[inline]
    pub fn ask(&mut self, takes: u32, rate: &Rate) -> Verdict {
        if takes == 0 {
            return Verdict::Go;
        }
        let (owed, half) = (self.owed(), rate.burst / 2);
        let waits = self.ignored() > 0 && owed > half;
        if !waits && owed < rate.burst {
            // One that takes more than the whole burst passes too, and is paid for afterwards.
            self.set(owed.saturating_add(takes), 0);
            return Verdict::Go;
        }
        let ignored = if waits { self.ignored() + 1 } else { 1 };
        if ignored > IGNORED_MAX {
            self.set(owed, 1);
            return Verdict::Enough;
        }
        self.set(owed, ignored);
        Verdict::Wait(self.time_to_wait(rate))
    }

    /// How long it takes until who was told to wait may go on (ms).
    pub fn time_to_wait(self, rate: &Rate) -> u64 {
        rate.time(self.owed().saturating_sub(rate.burst / 2))
    }

    /// How long it takes until one thing more may be done (ms); 0 is now.
    pub fn wait(self, takes: u32, rate: &Rate) -> u64 {
        let owed = self.owed().saturating_add(takes);
        if takes > 0 && owed > rate.burst { rate.time(owed - rate.burst) } else { 0 }
    }

    /// How many things more may be done now.
    pub fn left(self, takes: u32, rate: &Rate) -> u32 {
        rate.burst.saturating_sub(self.owed()).checked_div(takes).unwrap_or(u32::MAX)
    }

    /// Notes what was done, even if it came to too much.
    pub fn charge(&mut self, takes: u32) {
        self.set(self.owed().saturating_add(takes), self.ignored());
    }

    /// Asks for one thing more; an error is how long it takes until it may be (ms).
    ///
    /// # Errors
    /// When it would come to more than the limit.
    pub fn add(&mut self, takes: u32, rate: &Rate) -> Result<(), u64> {
        match self.wait(takes, rate) {
            0 => {
                self.charge(takes);
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `seconds` of asking as fast as the turns of `per_tick` allow let through.
    fn passed(rate: &Rate, ticks: u32, per_tick: u32, bytes: usize) -> u64 {
        let (mut debt, mut passed) = (Debt::default(), 0);
        for _ in 0..ticks {
            debt.pay(1, SECOND_TICK);
            passed += (0..per_tick).filter(|_| debt.ask(rate.takes(1, bytes), rate) == Verdict::Go).count();
        }
        passed as u64
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_rate_and_one_burst(
            things in 1u32..100_000, bytes in 0u64..10_000_000, size in 0usize..5000, per_tick in 1u32..2000,
        ) {
            let rate = Rate::per_second(things, bytes);
            let ticks = 160;
            let passed = passed(&rate, ticks, per_tick, size);
            let seconds = f64::from(ticks) * TICK_MS as f64 / 1000.0 + f64::from(RATE_BURST_MS) / 1000.0;
            // Parts of a microsecond are not counted.
            let exact = 1e6 / f64::from(rate.takes(1, size).max(1));
            prop_assert!(passed as f64 <= exact * seconds + 1.0, "{passed} of {exact} a second");
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_told_to_wait(things in 16u32..100_000, pauses in 0u32..40) {
            let rate = Rate::per_second(things, 0);
            let mut debt = Debt::default();
            let per_tick = things * TICK_MS as u32 / 1000;
            for tick in 0..400 {
                debt.pay(if tick % 50 == 0 { 1 + pauses } else { 1 }, SECOND_TICK);
                for _ in 0..per_tick {
                    prop_assert_eq!(debt.ask(rate.takes(1, 10), &rate), Verdict::Go);
                }
            }
        }

        #[test]
        fn waiting_as_long_as_told_helps(things in 1u32..50_000, asked in 1u32..100_000, takes in 1u32..50) {
            let rate = Rate::per_second(things, 0);
            let mut debt = Debt::default();
            for _ in 0..asked {
                match debt.ask(rate.takes(takes, 0), &rate) {
                    Verdict::Go => {}
                    Verdict::Wait(wait) => {
                        debt.pay((wait / TICK_MS) as u32, SECOND_TICK);
                        prop_assert_eq!(debt.ask(rate.takes(takes, 0), &rate), Verdict::Go);
                        return Ok(());
                    }
                    Verdict::Enough => prop_assert!(false, "the first refusal says how long to wait"),
                }
            }
        }

        #[test]
        fn an_hour_holds_no_more_than_allowed(things in 1u32..10_000, ticks in 1u32..1000) {
            let rate = Rate::per_hour(things);
            let (mut debt, mut passed) = (Debt::default(), 0);
            let hours = 3;
            for _ in 0..hours * HOUR_MS / HOUR_TICK / ticks {
                debt.pay(ticks, HOUR_TICK);
                while debt.add(rate.takes(1, 0), &rate).is_ok() {
                    passed += 1;
                }
            }
            let exact = f64::from(HOUR_MS) / f64::from(rate.takes(1, 0));
            prop_assert!(f64::from(passed) <= exact * f64::from(hours + 1) + 1.0, "{passed}");
            prop_assert!(passed >= things, "{passed}");
            let wait = debt.add(rate.takes(1, 0), &rate).expect_err("all of it is used");
            debt.pay((wait / TICK_MS) as u32, HOUR_TICK);
            prop_assert_eq!(debt.add(rate.takes(1, 0), &rate), Ok(()));
        }
    }

    #[test]
    fn the_stricter_limit_counts() {
        let rate = Rate::per_second(1000, 1_000_000);
        assert_eq!((rate.takes(1, 10), rate.takes(1, 2000), rate.takes(5, 2000)), (1000, 2000, 5000));
        let bytes_only = Rate::per_second(0, 1_000_000);
        assert_eq!((bytes_only.takes(9, 0), bytes_only.takes(9, 7)), (0, 7));
        assert_eq!(Rate::per_second(0, 0).takes(u32::MAX, usize::MAX), 0);
    }

    #[test]
    fn what_is_larger_than_the_burst_passes_when_less_is_owed() {
        let rate = Rate::per_second(0, 1000);
        let mut debt = Debt::default();
        assert_eq!(debt.ask(rate.takes(1, 10_000), &rate), Verdict::Go);
        let Verdict::Wait(wait) = debt.ask(rate.takes(1, 10_000), &rate) else {
            panic!("it owes ten seconds")
        };
        assert!((9_000..9_200).contains(&wait), "{wait}");
        debt.pay((wait / TICK_MS) as u32, SECOND_TICK);
        assert_eq!(debt.ask(rate.takes(1, 10_000), &rate), Verdict::Go);
    }

    #[test]
    fn who_does_not_wait_gets_nothing_and_is_known_in_the_end() {
        let rate = Rate::per_second(1000, 0);
        let mut debt = Debt::default();
        let mut ask = || debt.ask(rate.takes(1, 0), &rate);
        assert_eq!((0..2000).map(|_| ask()).filter(|v| *v == Verdict::Go).count(), 2000);
        assert!((0..IGNORED_MAX).all(|_| matches!(ask(), Verdict::Wait(_))));
        assert_eq!(ask(), Verdict::Enough);
        // Half a second pays for 500 more, but not for one who was to wait for a whole one.
        debt.pay(8, SECOND_TICK);
        assert!(matches!(debt.ask(rate.takes(1, 0), &rate), Verdict::Wait(_)));
    }
}
