//! Pictures of latencies: by percentile, and moment by moment as a heat map. Knows curves and moments, no workload.
use super::axis::Axis;
use super::ink::{Ink, SHADES};
use super::plot::{Cell, Line, Plot, Tip};
use super::{HALF, WIDE};
use crate::latency::Quantiles;
use crate::report::data::{Course, CurvePoint, Heat, Moment};
use crate::report::units;

/// Columns of a heat map at most: neighbours become one in longer runs.
const COLUMNS_MAX: usize = 240;
/// Below this nothing is shown apart, in µs: a lag of some nanoseconds is none.
const LEAST_US: f64 = 0.1;

/// Latency by percentile, and how late the generator was.
pub(crate) fn by_percentile(course: &Course) -> Option<Plot> {
    let mut lines = vec![Line::new("latency", Ink::Blue, points(&course.latency))];
    if !course.lag.is_empty() {
        lines.push(Line::new("how late the generator sent", Ink::Orange, points(&course.lag)));
    }
    lines[0].width = 2.4;
    let mut plot = curves("Latency by percentile", lines)?;
    plot.tips = tips(&course.latency, &plot.x);
    Some(plot)
}

/// A curve's line.
pub(crate) fn points(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    curve.iter().map(|point| (point.quantile, point.us.max(LEAST_US))).collect()
}

/// Curves over the log-nines axis.
pub(crate) fn curves(title: &str, lines: Vec<Line>) -> Option<Plot> {
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let least = all().map(|(_, us)| *us).reduce(f64::min)?;
    let most = all().map(|(_, us)| *us).reduce(f64::max)?;
    // The last point before the longest stands for one message in about so many.
    let rarest = all().map(|(quantile, _)| 1.0 - quantile).filter(|rest| *rest > 0.0).reduce(f64::min);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = rarest.map_or(10, |rest| (1.0 / rest).round() as u64);
    Some(Plot {
        title: title.to_owned(),
        size: WIDE,
        x: Axis::nines(count),
        y: Axis::log(least, most, units::time),
        x_name: "percentile; each nine as wide as the one before it",
        lines,
        cells: Vec::new(),
        tips: Vec::new(),
    })
}

fn tips(curve: &[CurvePoint], x: &Axis) -> Vec<Tip> {
    let total = curve.last().map_or(0, |point| point.count);
    // Points that share a place on the axis are told once.
    let mut from = 0.0;
    let mut tips = Vec::new();
    for point in curve {
        if x.share(point.quantile) - x.share(from) < 0.004 {
            continue;
        }
        let percent = format!("{:.6}", point.quantile * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        let (time, count) = (units::time(point.us), units::whole(point.count));
        let text =
            format!("p{percent}: {time}\n{count} of {} messages took at most that", units::whole(total));
        tips.push(Tip { x: (from, point.quantile), text });
        from = point.quantile;
    }
    tips
}

/// How many latencies fell where in each moment, with p50, p99 and the longest on top.
pub(crate) fn over_time(course: &Course) -> Option<Plot> {
    let moments: Vec<&Moment> = course.moments.iter().filter(|moment| moment.latency.is_some()).collect();
    let line = |name: &str, ink, width, of: fn(&Quantiles) -> f64| {
        let points = moments.iter().filter_map(|moment| Some((middle(moment), of(moment.latency.as_ref()?))));
        Line { width, ..Line::new(name, ink, points.collect()) }
    };
    let lines = vec![
        line("p50", Ink::Strong, 1.8, |q| q.p50),
        line("p99", Ink::Orange, 1.8, |q| q.p99),
        line("max", Ink::Red, 1.2, |q| q.max),
    ];
    let (first, last) = (moments.first()?, moments.last()?);
    let columns = columns(&course.heat, last.at + last.seconds);
    let rows = rows(&course.heat);
    let used =
        |row: usize| columns.iter().any(|column| column.rows.get(row).is_some_and(|count| *count > 0.0));
    let ends = || lines.iter().flat_map(|line| &line.points).map(|(_, us)| us.max(LEAST_US));
    let least = ends().reduce(f64::min)?;
    let least =
        (0..rows.len()).find(|row| used(*row)).map_or(least, |row| rows[row].0.max(LEAST_US).min(least));
    let most = ends().reduce(f64::max)?;
    let most = (0..rows.len()).rfind(|row| used(*row)).map_or(most, |row| rows[row].1.max(most));
    Some(Plot {
        title: "Latency over time".to_owned(),
        size: WIDE,
        x: Axis::time(first.at.max(0.0), last.at + last.seconds, 10),
        y: Axis::log(least, most, units::time),
        x_name: "",
        cells: cells(&columns, &rows),
        tips: moments.iter().filter_map(|moment| tip(moment, moment.latency.as_ref()?)).collect(),
        lines,
    })
}

fn middle(moment: &Moment) -> f64 {
    moment.at + moment.seconds / 2.0
}

fn tip(moment: &Moment, q: &Quantiles) -> Option<Tip> {
    let [p50, p90, p99, p999, max] = [q.p50, q.p90, q.p99, q.p999, q.max].map(units::time);
    let text = format!(
        "{}: {} messages\np50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}",
        units::clock(moment.at),
        units::whole(q.count)
    );
    Some(Tip { x: (moment.at, moment.at + moment.seconds), text })
}

/// One column, or several made one; counts a second.
struct Column {
    from: f64,
    to: f64,
    rows: Vec<f64>,
}

fn columns(heat: &Heat, end: f64) -> Vec<Column> {
    let end_of = |at: usize| heat.columns.get(at).map_or(end, |(at, _)| *at);
    // A moment without latencies has no column, so that one beside it must not grow into its place.
    let gaps = heat.columns.windows(2).map(|two| two[1].0 - two[0].0);
    let length = gaps.reduce(f64::min).unwrap_or(end);
    let together = heat.columns.len().div_ceil(COLUMNS_MAX).max(1);
    let chunks = heat.columns.chunks(together).enumerate();
    chunks
        .map(|(at, chunk)| {
            let (from, last) = (chunk[0].0, at * together + chunk.len());
            let to = end_of(last).min(from + length * together as f64 * 1.01).max(from);
            let mut rows = vec![0.0; heat.bounds.len()];
            for (_, counts) in chunk {
                rows.iter_mut().zip(counts).for_each(|(row, count)| *row += *count as f64);
            }
            rows.iter_mut().for_each(|row| *row /= (to - from).max(1e-3));
            Column { from, to, rows }
        })
        .collect()
}

/// Bounds of each row; the first one begins a step below its end.
fn rows(heat: &Heat) -> Vec<(f64, f64)> {
    let step = match heat.bounds[..] {
        [first, second, ..] if first > 0.0 => second / first,
        _ => 2.0,
    };
    let first = heat.bounds.first().map(|first| first / step);
    let from = first.into_iter().chain(heat.bounds.iter().copied());
    from.zip(heat.bounds.iter().copied()).collect()
}

/// Neighbours of one shade become one cell.
fn cells(columns: &[Column], rows: &[(f64, f64)]) -> Vec<Cell> {
    let most = columns.iter().flat_map(|column| &column.rows).copied().fold(0.0, f64::max);
    let least = columns.iter().flat_map(|column| &column.rows).copied().filter(|count| *count > 0.0);
    let least = least.fold(most, f64::min);
    let mut cells: Vec<Cell> = Vec::new();
    for (row, y) in rows.iter().enumerate() {
        let mut open: Option<Cell> = None;
        for column in columns {
            let ink = shade(column.rows.get(row).copied().unwrap_or(0.0), least, most);
            match (&mut open, ink) {
                (Some(cell), Some(ink)) if cell.ink == ink && cell.x.1 >= column.from => cell.x.1 = column.to,
                (_, ink) => {
                    cells.extend(open.take());
                    open = ink.map(|ink| Cell { ink, x: (column.from, column.to), y: *y });
                }
            }
        }
        cells.extend(open);
    }
    cells
}

/// By the logarithm, so that the rare ones are seen as well.
fn shade(count: f64, least: f64, most: f64) -> Option<Ink> {
    if count <= 0.0 {
        return None;
    }
    let share = if most > least { (count / least).ln() / (most / least).ln() } else { 1.0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 7
    let above = (share * f64::from(SHADES - 1)).round() as u8;
    Some(Ink::Heat(1 + above.min(SHADES - 1)))
}

/// How late the generator sent, moment by moment.
pub(crate) fn lag_over_time(course: &Course) -> Option<Plot> {
    let moments: Vec<&Moment> = course.moments.iter().filter(|moment| moment.lag.is_some()).collect();
    let line = |name: &str, ink, of: fn(&Quantiles) -> f64| {
        let points = moments.iter().filter_map(|moment| Some((middle(moment), of(moment.lag.as_ref()?))));
        Line::new(name, ink, points.map(|(at, us)| (at, us.max(LEAST_US))).collect())
    };
    let lines = vec![
        line("p50", Ink::Blue, |q| q.p50),
        line("p99", Ink::Orange, |q| q.p99),
        line("max", Ink::Red, |q| q.max),
    ];
    let (first, last) = (moments.first()?, moments.last()?);
    let ends = || lines.iter().flat_map(|line| &line.points).map(|(_, us)| *us);
    Some(Plot {
        title: "How late the generator sent".to_owned(),
        size: HALF,
        x: Axis::time(first.at, last.at + last.seconds, 6),
        y: Axis::log(ends().reduce(f64::min)?, ends().reduce(f64::max)?, units::time),
        x_name: "",
        cells: Vec::new(),
        tips: moments.iter().filter_map(|moment| tip(moment, moment.lag.as_ref()?)).collect(),
        lines,
    })
}
