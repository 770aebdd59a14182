//! Axes: even, logarithmic, and the log-nines axis of latency curves, each with ticks where people expect them. Knows no data.
use crate::report::units;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// One axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    kind: Kind,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    label: fn(f64) -> String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Even,
    Log,
    /// Each nine of a quantile takes as much room as the one before it.
    Nines,
}

/// Lengths between two ticks of a time axis, in seconds.
const TIME_STEPS: [f64; 20] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0,
    3600.0, 7200.0, 14400.0,
];

/// A tick so near beyond an end, in steps, is at the end.
const NEAR: f64 = 0.02;

/// Room above the highest point, so that no line lies on the picture's edge.
const HEADROOM: f64 = 1.04;

impl Axis {
    /// From 0 to somewhat above `most`.
    pub(crate) fn from_zero(most: f64, ticks: usize, label: fn(f64) -> String) -> Self {
        Self::even(0.0, most * HEADROOM, ticks, label)
    }

    /// Even, from a tick at or below `least` (or 0) to one at or above `most`.
    pub(crate) fn even(least: f64, most: f64, ticks: usize, label: fn(f64) -> String) -> Self {
        let (least, most) = (least.min(0.0), if most > least { most } else { least + 1.0 });
        let step = nice((most - least) / ticks as f64);
        let (first, last) = ((least / step).floor(), (most / step - 1e-9).ceil());
        let ticks = steps(first, last).map(|at| at * step).collect();
        Self { kind: Kind::Even, from: first * step, to: last * step, ticks, label }
    }

    /// Seconds of a run.
    pub(crate) fn time(from: f64, to: f64, ticks: usize) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        let wanted = (to - from) / ticks as f64;
        let longest = TIME_STEPS[TIME_STEPS.len() - 1];
        let step = TIME_STEPS.iter().copied().find(|step| *step >= wanted);
        let step = step.unwrap_or_else(|| (wanted / longest).ceil() * longest);
        let ticks = steps((from / step - NEAR).ceil(), (to / step + NEAR).floor()).map(|at| at * step);
        Self { kind: Kind::Even, from, to, ticks: ticks.collect(), label: units::clock }
    }

    /// Logarithmic; a tick at 1, 2 and 5 of each decade where there are few of them.
    pub(crate) fn log(least: f64, most: f64, label: fn(f64) -> String) -> Self {
        let (least, most) = (least.max(f64::MIN_POSITIVE), most.max(least * 1.0001));
        let decades = (most / least).log10();
        let parts: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let every = (decades / 8.0).ceil().max(1.0);
        let near = steps(least.log10().floor() - every, most.log10().ceil() + every)
            .filter(|decade| decade.rem_euclid(every) == 0.0);
        let all: Vec<f64> =
            near.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powf(decade))).collect();
        let from = all.iter().copied().rfind(|tick| *tick <= least * 1.0001).unwrap_or(least);
        let to = all.iter().copied().find(|tick| *tick >= most * 0.9999).unwrap_or(most);
        let ticks = all.into_iter().filter(|tick| (from..=to).contains(tick)).collect();
        Self { kind: Kind::Log, from, to, ticks, label }
    }

    /// Quantiles of `count` things: 0, 90 %, 99 %, … up to the last that one of them can stand for.
    pub(crate) fn nines(count: u64) -> Self {
        let to = (count.max(10) as f64).log10();
        let ticks = steps(0.0, to.floor()).map(|nines| 1.0 - 10_f64.powf(-nines)).collect();
        Self { kind: Kind::Nines, from: 0.0, to, ticks, label: percentile }
    }

    /// Whether a value is on it.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Where a value lies: 0 at the beginning, 1 at the end. What is outside lies at the end that it is beyond.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Even => (value - self.from) / (self.to - self.from),
            Kind::Log => (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln(),
            Kind::Nines => -(1.0 - value).max(f64::MIN_POSITIVE).log10() / self.to,
        };
        share.clamp(0.0, 1.0)
    }
}

fn percentile(quantile: f64) -> String {
    // Rounded far beyond the nines that any run reaches.
    format!("{}", (quantile * 1e14).round() / 1e12)
}

fn steps(first: f64, last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |at| Some(at + 1.0)).take_while(move |at| *at <= last)
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let fits = [1.0, 2.0, 2.5, 5.0].into_iter().find(|part| part * power >= step * 0.999);
    fits.unwrap_or(10.0) * power
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation)] // pixels
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.share(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        match self.kind {
            Kind::Nines => 0.0..1.0,
            _ => self.from..self.to,
        }
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn each_nine_takes_as_much_room_as_the_one_before_it() {
        let axis = Axis::nines(10_000);
        assert_eq!(labels(&axis), ["0", "90", "99", "99.9", "99.99"]);
        let shares: Vec<f64> = axis.ticks.iter().map(|tick| axis.share(*tick)).collect();
        for (share, wanted) in shares.iter().zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
            assert!((share - wanted).abs() < 1e-9, "{shares:?}");
        }
        assert_eq!(axis.share(1.0).to_bits(), 1.0_f64.to_bits(), "the longest is the last");
        assert_eq!(labels(&Axis::nines(1_000_000_000)).last().unwrap(), "99.9999999");
    }

    #[test]
    fn a_log_axis_has_more_ticks_where_it_has_few_decades() {
        assert_eq!(
            labels(&Axis::log(30.0, 4e6, units::time)),
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
        assert_eq!(
            labels(&Axis::log(60.0, 800.0, units::time)),
            ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms"]
        );
        let wide = Axis::log(0.001, 60e6, units::time);
        assert!(wide.ticks.len() <= 8 && wide.ends().0 <= 0.001 && wide.ends().1 >= 60e6, "{wide:?}");
    }

    #[test]
    fn even_and_time_axes_end_at_ticks_people_know() {
        assert_eq!(labels(&Axis::from_zero(93.0, 4, units::short)), ["0", "25", "50", "75", "100"]);
        assert_eq!(labels(&Axis::from_zero(0.0, 4, units::short)).first().unwrap(), "0");
        assert_eq!(
            labels(&Axis::time(-3.0, 12.2, 8)),
            ["−2 s", "0 s", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s"]
        );
        assert_eq!(
            labels(&Axis::time(0.0, 3600.0, 6)),
            ["0 s", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]
        );
    }
}
