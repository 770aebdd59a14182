//! Pictures of what goes on over a run's time: throughput, connections, CPU. Knows moments, no workload.
use super::HALF;
use super::axis::Axis;
use super::ink::Ink;
use super::plot::{Line, Plot, Tip};
use crate::report::data::{Course, Moment};
use crate::report::{Spread, units};

/// A moment shorter than this share of the usual one says nothing about rates.
const STUMP: f64 = 0.3;

/// Moments long enough for a rate. Those of the set-up have a usual length of their own.
pub(crate) fn whole_moments(course: &Course) -> Vec<&Moment> {
    let usual = |setup: bool| {
        let part = course.moments.iter().filter(|moment| (moment.at < 0.0) == setup);
        Spread::of(part.map(|moment| moment.seconds)).map_or(0.0, |lengths| lengths.median)
    };
    let (setup, load) = (usual(true), usual(false));
    let long = |moment: &&Moment| moment.seconds > STUMP * if moment.at < 0.0 { setup } else { load };
    course.moments.iter().filter(long).collect()
}

/// A picture over the time of these moments.
pub(crate) fn over<'a>(
    title: &str,
    moments: &[&'a Moment],
    y: Axis,
    lines: Vec<Line>,
    tip: impl Fn(&'a Moment) -> String,
) -> Option<Plot> {
    let (first, last) = (moments.first()?, moments.last()?);
    let tips = moments.iter().map(|moment| Tip {
        x: (moment.at, moment.at + moment.seconds),
        text: format!("{}: {}", units::clock(moment.at), tip(moment)),
    });
    Some(Plot {
        title: title.to_owned(),
        size: HALF,
        x: Axis::time(first.at, last.at + last.seconds, 6),
        y,
        x_name: "",
        lines,
        cells: Vec::new(),
        tips: tips.collect(),
    })
}

/// A line through what each moment says, at its middle.
pub(crate) fn line(name: &str, ink: Ink, moments: &[&Moment], of: impl Fn(&Moment) -> Option<f64>) -> Line {
    let points =
        moments.iter().map(|moment| (moment.at + moment.seconds / 2.0, of(moment).unwrap_or(f64::NAN)));
    Line::new(name, ink, points.collect())
}

/// The highest point of some lines.
pub(crate) fn most(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).filter(|y| y.is_finite()).fold(0.0, f64::max)
}

/// A line's name, its ink, what it counts.
type Kind = (&'static str, Ink, fn(&Moment) -> u64);

/// Messages a second.
pub(crate) fn throughput(course: &Course) -> Option<Plot> {
    let moments = whole_moments(course);
    let rate = |count: fn(&Moment) -> u64| move |moment: &Moment| Some(count(moment) as f64 / moment.seconds);
    let some = |count: fn(&Moment) -> u64| moments.iter().any(|moment| count(moment) > 0);
    let mut lines = Vec::new();
    let kinds: [Kind; 4] = [
        ("sent/s", Ink::Orange, |moment| moment.sent),
        ("delivered/s", Ink::Blue, |moment| moment.delivered),
        ("acked/s", Ink::Green, |moment| moment.acked),
        ("errors/s", Ink::Red, |moment| moment.errors),
    ];
    for (name, ink, count) in kinds {
        if some(count) {
            lines.push(line(name, ink, &moments, rate(count)));
        }
    }
    let y = Axis::from_zero(most(&lines), 5, units::short);
    let tip = |moment: &Moment| {
        let each = kinds.iter().filter(|(.., count)| count(moment) > 0).map(|(name, _, count)| {
            format!("{name} {}", units::short(count(moment) as f64 / moment.seconds))
        });
        each.collect::<Vec<_>>().join(", ")
    };
    (!lines.is_empty()).then(|| over("Messages", &moments, y, lines, tip)).flatten()
}

/// Connections signed in.
pub(crate) fn connected(course: &Course) -> Option<Plot> {
    let moments: Vec<&Moment> = course.moments.iter().collect();
    // Counted at each moment's end; nobody is there at the first one's beginning.
    let ends = moments.iter().map(|moment| (moment.at + moment.seconds, moment.connected as f64));
    let points: Vec<_> = moments.first().map(|first| (first.at, 0.0)).into_iter().chain(ends).collect();
    let lines = vec![Line::new("signed in", Ink::Teal, points)];
    let y = Axis::from_zero(most(&lines), 5, units::short);
    (most(&lines) > 0.0)
        .then(|| {
            over("Connections", &moments, y, lines, |m| format!("{} signed in", units::whole(m.connected)))
        })
        .flatten()
}

/// Both sides' CPU, in percent of a core.
pub(crate) fn cpu(course: &Course) -> Option<Plot> {
    let moments = whole_moments(course);
    let lines: Vec<Line> = [
        line("server", Ink::Blue, &moments, |moment| moment.server_cpu),
        line("generator", Ink::Orange, &moments, |moment| moment.generator_cpu),
    ]
    .into_iter()
    .filter(|line| line.points.iter().any(|(_, y)| y.is_finite()))
    .collect();
    let percent = |percent: f64| format!("{percent:.0} %");
    let y = Axis::from_zero(most(&lines).max(90.0), 4, percent);
    let shown = |side: Option<f64>| side.map_or_else(|| "unknown".to_owned(), percent);
    (!lines.is_empty())
        .then(|| {
            over("CPU, in percent of a core", &moments, y, lines, |moment| {
                format!("server {}, generator {}", shown(moment.server_cpu), shown(moment.generator_cpu))
            })
        })
        .flatten()
}

/// A figure of several runs over their times.
pub(crate) fn over_runs(title: &str, lines: Vec<Line>, latency: bool) -> Option<Plot> {
    let all = || lines.iter().flat_map(|line| &line.points).filter(|(_, y)| y.is_finite());
    let end = all().map(|(at, _)| *at).reduce(f64::max)?;
    let least = all().map(|(_, y)| *y).reduce(f64::min)?;
    let y = if latency {
        Axis::log(least, most(&lines), units::time)
    } else {
        Axis::from_zero(most(&lines), 5, units::short)
    };
    let x = Axis::time(0.0, end, 6);
    let title = title.to_owned();
    Some(Plot { title, size: HALF, x, y, x_name: "", lines, cells: Vec::new(), tips: Vec::new() })
}
