//! A run moment by moment: counters, latencies, heat, CPU and memory of each second. Knows no socket and no workload.
//!
//! The threads that measure only count (see [`crate::latency::Live`]); one thread beside them closes the moments here.
use crate::control::{Control, Window};
use crate::latency::{Latency, Seen};
use crate::limits::{MOMENTS_MAX, SETUP_MOMENTS_MAX};
use crate::procstat::{self, Sample};
use crate::report::{Heat, Moment, Slice};
use hdrhistogram::serialization::V2DeflateSerializer;

/// Nanoseconds of a moment, where a run is short enough.
const MOMENT_NS: u64 = 1_000_000_000;

/// What the threads have counted so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: u64,
    delivered: u64,
    acked: u64,
    errors: u64,
    heartbeats: u64,
}

/// Both sides' processes.
#[derive(Debug)]
struct Sides {
    server: Option<Sample>,
    generator: Option<Sample>,
}

/// The moments of one run, as they end.
pub(crate) struct Timeline<'a> {
    control: &'a Control,
    server: Option<u32>,
    /// Nanoseconds of a moment: while connections are set up, and under load.
    lengths: (u64, u64),
    /// When the present moment began.
    from: u64,
    counts: Counts,
    sides: Sides,
    /// What was seen of each thread's latencies and lags.
    seen: Vec<(Seen, Seen)>,
    /// Of the present moment.
    latency: Latency,
    lag: Latency,
    serializer: V2DeflateSerializer,
    moments: Vec<Moment>,
    heat: Heat,
    slices: Vec<Slice>,
}

/// What a timeline leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) moments: Vec<Moment>,
    pub(crate) heat: Heat,
    pub(crate) slices: Vec<Slice>,
}

impl<'a> Timeline<'a> {
    /// Begins now.
    pub(crate) fn new(control: &'a Control, server: Option<u32>) -> Self {
        let mut seen = Vec::new();
        seen.resize_with(control.threads(), Default::default);
        Self {
            control,
            server,
            lengths: (MOMENT_NS, length_under_load(control.window())),
            from: control.now(),
            counts: Counts::of(control),
            sides: Sides::of(server),
            seen,
            latency: Latency::default(),
            lag: Latency::default(),
            serializer: V2DeflateSerializer::new(),
            moments: Vec::new(),
            heat: Heat { bounds: bounds(), columns: Vec::new() },
            slices: Vec::new(),
        }
    }

    /// When the present moment is to end: moments keep step with the beginning of the load.
    pub(crate) fn due(&self) -> u64 {
        match self.control.start() {
            Some(start) if self.from >= start => {
                start + ((self.from - start) / self.lengths.1 + 1) * self.lengths.1
            }
            // The load has begun since: the last moment of the set-up is over.
            Some(start) => start,
            None => self.from + self.lengths.0,
        }
    }

    /// The last moment that ended.
    pub(crate) fn last(&self) -> Option<&Moment> {
        self.moments.last()
    }

    /// Ends the present moment and begins the next one.
    pub(crate) fn turn(&mut self) {
        let now = self.control.now();
        for (thread, (latency, lag)) in self.seen.iter_mut().enumerate() {
            let tallies = self.control.tallies(thread);
            latency.take_new(&tallies.latency, &mut self.latency);
            lag.take_new(&tallies.lag, &mut self.lag);
        }
        let (at, length) = (seconds(self.from), seconds(now.saturating_sub(self.from)));
        let (counts, sides) = (Counts::of(self.control), Sides::of(self.server));
        let cpu = |now: &Option<Sample>, then: &Option<Sample>| {
            now.as_ref().zip(then.as_ref()).map(|(now, then)| now.since(then).cpu_percent())
        };
        let rss = |sample: &Option<Sample>| sample.as_ref().map(|sample| sample.rss);
        self.moments.push(Moment {
            at,
            seconds: length,
            connected: self.control.connected(),
            sent: counts.sent - self.counts.sent,
            delivered: counts.delivered - self.counts.delivered,
            acked: counts.acked - self.counts.acked,
            errors: counts.errors - self.counts.errors,
            heartbeats: counts.heartbeats - self.counts.heartbeats,
            latency: self.latency.quantiles(),
            lag: self.lag.quantiles(),
            server_cpu: cpu(&sides.server, &self.sides.server),
            generator_cpu: cpu(&sides.generator, &self.sides.generator),
            server_rss: rss(&sides.server),
            generator_rss: rss(&sides.generator).unwrap_or(0),
            slab: procstat::slab().unwrap_or(0),
        });
        self.keep_latencies(at, length);
        (self.from, self.counts, self.sides) = (now, counts, sides);
        if self.control.start().is_none() && self.moments.len() > SETUP_MOMENTS_MAX {
            halve(&mut self.moments);
            self.lengths.0 *= 2;
        }
    }

    fn keep_latencies(&mut self, at: f64, seconds: f64) {
        if self.latency.count() > 0 {
            self.heat.columns.push((at, column(&self.heat.bounds, &self.latency)));
            let encoded = self.latency.encoded(&mut self.serializer);
            self.slices.push(Slice { at, seconds, encoded });
        }
        self.latency.clear();
        self.lag.clear();
    }

    /// Ends the last moment; times count from the beginning of the load, or from now if there was none.
    pub(crate) fn finish(mut self) -> Past {
        self.turn();
        let zero = seconds(self.control.start().unwrap_or(self.from));
        self.moments.iter_mut().for_each(|moment| moment.at -= zero);
        self.heat.columns.iter_mut().for_each(|(at, _)| *at -= zero);
        self.slices.iter_mut().for_each(|slice| slice.at -= zero);
        Past { moments: self.moments, heat: self.heat, slices: self.slices }
    }
}

impl Counts {
    fn of(control: &Control) -> Self {
        Self {
            sent: control.total(|tallies| &tallies.sent),
            delivered: control.total(|tallies| &tallies.delivered),
            acked: control.total(|tallies| &tallies.acked),
            errors: control.total(|tallies| &tallies.errors) + control.failed(),
            heartbeats: control.total(|tallies| &tallies.pings),
        }
    }
}

impl Sides {
    fn of(server: Option<u32>) -> Self {
        Self { server: server.and_then(Sample::of), generator: Sample::own() }
    }
}

/// A second, or as many as keep a long run within [`MOMENTS_MAX`].
#[allow(clippy::cast_possible_truncation)] // a run of centuries
fn length_under_load(window: Window) -> u64 {
    let whole = window.warmup + window.duration + window.drain;
    (whole.as_nanos() as u64).div_ceil(MOMENTS_MAX * MOMENT_NS).max(1) * MOMENT_NS
}

/// Makes one moment of each two. Moments of the set-up have no latencies.
fn halve(moments: &mut Vec<Moment>) {
    let joined = moments.chunks(2).map(|two| match two {
        [one, other] => Moment {
            at: one.at,
            seconds: one.seconds + other.seconds,
            sent: one.sent + other.sent,
            delivered: one.delivered + other.delivered,
            acked: one.acked + other.acked,
            errors: one.errors + other.errors,
            heartbeats: one.heartbeats + other.heartbeats,
            server_cpu: one.server_cpu.zip(other.server_cpu).map(|(a, b)| f64::midpoint(a, b)),
            generator_cpu: one.generator_cpu.zip(other.generator_cpu).map(|(a, b)| f64::midpoint(a, b)),
            ..other.clone()
        },
        rest => rest[0].clone(),
    });
    *moments = joined.collect();
}

/// Upper bounds of the heat's rows: ten a decade from a microsecond to a minute.
fn bounds() -> Vec<f64> {
    let powers = (0..).map(|tenth| 10_f64.powf(f64::from(tenth) / 10.0));
    powers.take_while(|&us| us < 60e6).chain([60e6]).collect()
}

/// How many latencies lie in each row.
fn column(bounds: &[f64], latency: &Latency) -> Vec<u64> {
    let mut rows = vec![0; bounds.len()];
    for (ns, count) in latency.recorded() {
        let us = ns as f64 / 1e3;
        let row = bounds.partition_point(|&bound| bound < us).min(bounds.len() - 1);
        rows[row] += count;
    }
    rows
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bump;
    use crate::wire::dialect::Dialect;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use std::time::Duration;

    fn control() -> Control {
        let second = Duration::from_secs(1);
        let window = Window { warmup: second, duration: 3 * second, drain: second };
        Control::new(window, 2, Dialect::named("tutorial").unwrap()).unwrap()
    }

    #[test]
    fn a_moment_holds_what_arrived_in_it_on_all_threads() {
        let control = control();
        let mut timeline = Timeline::new(&control, None);
        bump(&control.tallies(0).opened, 7);
        timeline.turn();
        control.begin();
        for (thread, ms) in [(0, 1), (1, 100)] {
            control.tallies(thread).latency.record(ms * 1_000_000);
            bump(&control.tallies(thread).delivered, 1);
        }
        timeline.turn();
        control.tallies(0).lag.record(5_000);
        let past = timeline.finish();
        let [setup, load, last] = &past.moments[..] else { panic!("{past:?}") };
        assert!(setup.at < 0.0 && setup.connected == 7 && setup.latency.is_none(), "{setup:?}");
        let latency = load.latency.unwrap();
        assert!((latency.max / 1e5 - 1.0).abs() < 0.001, "{latency:?}");
        assert_eq!((load.delivered, latency.count, last.lag.unwrap().count), (2, 2, 1));
        assert!(last.latency.is_none() && last.delivered == 0 && load.generator_rss > 0);
        let [(at, rows)] = &past.heat.columns[..] else { panic!("{past:?}") };
        assert_eq!((rows.len(), rows.iter().sum::<u64>(), *at), (past.heat.bounds.len(), 2, load.at));
        let row = rows.iter().position(|&count| count > 0).unwrap();
        assert!(past.heat.bounds[row - 1] < 1e3 && past.heat.bounds[row] >= 1e3 * 0.999, "row {row}");
        let [slice] = &past.slices[..] else { panic!("{past:?}") };
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &slice.encoded[..]).unwrap();
        assert_eq!(read.len(), 2);
        assert!((read.max() as f64 / 1e8 - 1.0).abs() < 0.001, "{}", read.max());
    }

    #[test]
    fn moments_keep_step_with_the_load_and_stay_few() {
        let control = control();
        let mut timeline = Timeline::new(&control, None);
        assert_eq!(timeline.due(), timeline.from + MOMENT_NS);
        control.begin();
        let start = control.start().unwrap();
        assert_eq!(timeline.due(), start, "the set-up's last moment ends where the load begins");
        timeline.turn();
        assert_eq!(timeline.due(), start + MOMENT_NS);
        let hours =
            Window { warmup: Duration::ZERO, duration: Duration::from_secs(6_001), drain: Duration::ZERO };
        assert_eq!(length_under_load(hours), 10 * MOMENT_NS);
    }

    #[test]
    fn a_long_set_up_has_longer_moments() {
        let mut moments: Vec<Moment> = (0..5)
            .map(|n| Moment { at: f64::from(n), seconds: 1.0, connected: 10, sent: 1, ..Moment::default() })
            .collect();
        halve(&mut moments);
        let shape: Vec<_> = moments.iter().map(|m| (m.at, m.seconds, m.connected, m.sent)).collect();
        assert_eq!(shape, [(0.0, 2.0, 10, 2), (2.0, 2.0, 10, 2), (4.0, 1.0, 10, 1)]);
    }

    #[test]
    fn the_rows_of_the_heat_go_from_a_microsecond_to_a_minute() {
        let bounds = bounds();
        assert_eq!((bounds[0], *bounds.last().unwrap()), (1.0, 60e6));
        assert!(bounds.windows(2).all(|two| two[0] < two[1]) && bounds.len() == 79, "{}", bounds.len());
    }
}
