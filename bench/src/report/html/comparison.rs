//! The page of a comparison: warnings, figures, curves over each other. Knows runs and their pictures, no file.
use super::run::quantile_row;
use super::{picture, shell, table};
use crate::report::Report;
use crate::report::Spread;
use crate::report::chart::{HALF, Line, Plot, SIDES, latency, over_runs};
use crate::report::compare::{Comparison, Row};
use crate::report::data::Moment;
use crate::report::units;
use maud::{Markup, html};

/// The page.
pub(in crate::report) fn page(comparison: &Comparison) -> String {
    let names: Vec<&str> = comparison.sides.iter().map(|side| side.name.as_str()).collect();
    let title = names.join(" beside ");
    shell(
        &title,
        &html! {
            header {
                h1 { (title) }
                p { (comparison.sides[0].workload) }
                p { (comparison.sides[0].machine) }
            }
            (warnings(comparison))
            (figures(comparison))
            (curves(comparison))
            (runs(comparison))
        },
    )
}

fn warnings(comparison: &Comparison) -> Markup {
    html! {
        @if comparison.warnings.is_empty() {
            div class="verdict" role="status" { b { "COMPARABLE" } " same workload, same machine, every run clean and in time" }
        }
        @for warning in &comparison.warnings {
            div class="verdict bad" role="status" { b { "WARNING" } " " (warning) }
        }
    }
}

fn figures(comparison: &Comparison) -> Markup {
    let cell = |spread: &Option<Spread>, digits: usize| {
        html! {
            @if let Some(spread) = spread {
                (format!("{:.digits$}", spread.median))
                small { (format!("{:.digits$} – {:.digits$}", spread.min, spread.max)) }
            } @else { "–" }
        }
    };
    let cells = |row: &Row| {
        html! {
            th { (row.what) }
            @for (at, (spread, ratio)) in row.sides.iter().zip(&row.ratios).enumerate() {
                td { (cell(spread, row.digits())) }
                @if at > 0 { td { (cell(ratio, 3)) } }
            }
        }
    };
    html! {
        h2 { "Figures" }
        div class="card" {
            div class="scroll" { table {
                thead { tr {
                    th {}
                    @for (at, side) in comparison.sides.iter().enumerate() {
                        th { (swatch(at)) (side.name) @if side.runs.len() > 1 { " × " (side.runs.len()) } }
                        @if at > 0 { th { "ratio to " (comparison.sides[0].name) } }
                    }
                } }
                tbody { @for row in &comparison.rows { tr { (cells(row)) } } }
            } }
            p class="hint" {
                "Median, and least to greatest, of each side's runs. Ratios are of every run to every run of " (comparison.sides[0].name) "."
            }
        }
    }
}

fn swatch(side: usize) -> Markup {
    let colour = SIDES[side % SIDES.len()].variable();
    html! { span class="swatch" style=(format!("background:{colour}")) {} }
}

/// A line for each run, in its side's colour.
fn lines(comparison: &Comparison, points: impl Fn(&Report) -> Vec<(f64, f64)>) -> Vec<Line> {
    let sides = comparison.sides.iter().zip(SIDES.iter().cycle());
    let lines = sides.flat_map(|(side, ink)| {
        let width = if side.runs.len() > 1 { 1.2 } else { 1.8 };
        side.runs
            .iter()
            .map(|run| Line { width, ..Line::new(&side.name, *ink, points(run)) })
            .collect::<Vec<_>>()
    });
    lines.filter(|line| line.points.len() > 1).collect()
}

fn curves(comparison: &Comparison) -> Markup {
    let over_time = |of: fn(&Moment) -> Option<f64>| {
        lines(comparison, |run| {
            let loaded = run.course.moments.iter().filter(|moment| moment.at >= 0.0);
            loaded.map(|moment| (moment.at + moment.seconds / 2.0, of(moment).unwrap_or(f64::NAN))).collect()
        })
    };
    let by_percentile = latency::curves(
        "Latency by percentile",
        lines(comparison, |run| latency::points(&run.course.latency)),
    );
    let lag = latency::curves(
        "How late the generator sent",
        lines(comparison, |run| latency::points(&run.course.lag)),
    );
    let lag = lag.map(|lag| Plot { size: HALF, x_name: "percentile", ..lag });
    let p99 = over_runs("Latency p99 over time", over_time(|moment| moment.latency.map(|q| q.p99)), true);
    let rate =
        over_time(|moment| Some(moment.delivered as f64 / moment.seconds).filter(|_| moment.delivered > 0));
    let cpu = over_time(|moment| moment.server_cpu);
    html! {
        @if by_percentile.is_some() { h2 { "Curves" } }
        div class="cards" { (picture(by_percentile.as_ref(), "One line for each run.")) }
        div class="cards two" {
            (picture(p99.as_ref(), ""))
            (picture(lag.as_ref(), ""))
            (picture(over_runs("Delivered/s", rate, false).as_ref(), ""))
            (picture(over_runs("Server CPU, in percent of a core", cpu, false).as_ref(), ""))
        }
    }
}

fn runs(comparison: &Comparison) -> Markup {
    let heading = ["", "p50", "p90", "p99", "p99.9", "p99.99", "max", "messages"];
    html! {
        h2 { "Runs" }
        div class="cards" {
            @for (at, side) in comparison.sides.iter().enumerate() {
                div class="card" {
                    h3 { (swatch(at)) (side.name) }
                    @let rows: Vec<_> = side.runs.iter().enumerate().filter_map(|(turn, run)| {
                        Some(quantile_row(&format!("run {}", turn + 1), run.latency_us.as_ref()?))
                    }).collect();
                    @if !rows.is_empty() { (table(&heading, &rows)) }
                    p class="hint" { (side.workload) " · " (side.machine) " · " (units::clock(side.runs[0].seconds)) " measured" }
                    pre class="hint" { (side.command) }
                }
            }
        }
    }
}
