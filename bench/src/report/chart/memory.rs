//! Pictures of memory: over time, and over the number of connections. Knows moments, no workload.
use super::HALF;
use super::axis::Axis;
use super::ink::Ink;
use super::plot::{Line, Plot, Tip};
use super::time::{line, most, over};
use crate::report::data::{Course, Moment};
use crate::report::figures::ENOUGH;
use crate::report::units;

/// Resident memory of both sides.
pub(crate) fn resident(course: &Course) -> Option<Plot> {
    let moments: Vec<&Moment> = course.moments.iter().collect();
    let mut lines =
        vec![line("generator", Ink::Orange, &moments, |moment| Some(moment.generator_rss as f64))];
    if moments.iter().any(|moment| moment.server_rss.is_some()) {
        lines
            .insert(0, line("server", Ink::Blue, &moments, |moment| moment.server_rss.map(|rss| rss as f64)));
    }
    let y = Axis::from_zero(most(&lines), 5, units::bytes);
    let tip = |moment: &Moment| {
        let server = moment
            .server_rss
            .map_or_else(String::new, |rss| format!("server {}, ", units::bytes(rss as f64)));
        format!("{server}generator {}", units::bytes(moment.generator_rss as f64))
    };
    (most(&lines) > 0.0).then(|| over("Resident memory", &moments, y, lines, tip)).flatten()
}

/// What the kernel's slabs grew by: sockets of both sides, when both are on this machine.
pub(crate) fn slab(course: &Course) -> Option<Plot> {
    let moments: Vec<&Moment> = course.moments.iter().filter(|moment| moment.slab > 0).collect();
    let zero =
        course.memory.map(|memory| memory.before.slab).or(moments.first().map(|first| first.slab))? as f64;
    let lines = vec![line("slab, growth", Ink::Violet, &moments, |moment| Some(moment.slab as f64 - zero))];
    let least = lines[0].points.iter().map(|(_, y)| *y).fold(0.0, f64::min);
    let y = Axis::even(least, most(&lines), 5, units::bytes);
    over("Kernel slabs of the machine", &moments, y, lines, |moment| units::bytes(moment.slab as f64 - zero))
}

/// What each side's memory grew by while connections came.
pub(crate) fn over_connections(course: &Course) -> Option<Plot> {
    let peak = course.moments.iter().max_by_key(|moment| moment.connected)?;
    if peak.connected < ENOUGH {
        return None;
    }
    // Until all are there: later moments say what load costs, not connections.
    let coming = course.moments.iter().take_while(|moment| moment.at <= peak.at);
    let coming: Vec<&Moment> = coming.filter(|moment| moment.connected > 0).collect();
    let before = course.memory?.before;
    let growth = |name: &str, ink, start: Option<u64>, of: fn(&Moment) -> Option<u64>| {
        let start = start? as f64;
        let points = coming.iter().filter_map(|m| Some((m.connected as f64, of(m)? as f64 - start)));
        let points: Vec<_> = std::iter::once((before.connections as f64, 0.0)).chain(points).collect();
        (points.len() > 3).then(|| Line::new(name, ink, points))
    };
    let lines: Vec<Line> = [
        growth("server", Ink::Blue, before.server_rss, |moment| moment.server_rss),
        growth("generator", Ink::Orange, Some(before.generator_rss), |moment| Some(moment.generator_rss)),
        growth("slabs (both sides)", Ink::Violet, Some(before.slab).filter(|slab| *slab > 0), |moment| {
            Some(moment.slab)
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if lines.is_empty() {
        return None;
    }
    let least = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(0.0, f64::min);
    let mut from = before.connections as f64;
    let tips = coming.iter().map(|moment| {
        let to = (moment.connected as f64).max(from);
        let grown =
            |now: u64, start: u64| units::bytes((now as f64 - start as f64) / moment.connected as f64);
        let server = moment.server_rss.zip(before.server_rss);
        let server =
            server.map_or_else(String::new, |(now, start)| format!("server {}, ", grown(now, start)));
        let (generator, slab) =
            (grown(moment.generator_rss, before.generator_rss), grown(moment.slab, before.slab));
        let connections = units::whole(moment.connected);
        let text = format!("{connections} connections\neach: {server}generator {generator}, slabs {slab}");
        Tip { x: (std::mem::replace(&mut from, to), to), text }
    });
    Some(Plot {
        title: "Memory over connections".to_owned(),
        size: HALF,
        x: Axis::from_zero(peak.connected as f64, 5, units::short),
        y: Axis::even(least, most(&lines), 5, units::bytes),
        x_name: "connections",
        tips: tips.collect(),
        lines,
        cells: Vec::new(),
    })
}
