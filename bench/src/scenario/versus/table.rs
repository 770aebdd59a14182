//! What a comparison says: figures of all targets as text, as Markdown, as JSON. Knows no server and no workload.
use super::Run;
use crate::report::{Report, Saturated, Spread};
use serde::Serialize;
use std::fmt;

/// One workload, all targets.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    machine: String,
    workload: String,
    targets: Vec<Side>,
    figures: Vec<Row>,
    runs: Vec<Run>,
}

/// A target, and what was measured.
#[derive(Debug, Clone, Serialize)]
struct Side {
    name: String,
    server: String,
    command: String,
}

/// One figure of all targets.
#[derive(Debug, Clone, Serialize)]
struct Row {
    what: &'static str,
    /// By target, where it has the figure.
    values: Vec<Option<Spread>>,
    /// Divided by the first target's of the same round.
    ratios: Vec<Option<Spread>>,
}

struct Figure {
    what: &'static str,
    of: fn(&Report) -> Option<f64>,
    /// Whether it says something divided by another's.
    divides: bool,
}

const fn figure(what: &'static str, of: fn(&Report) -> Option<f64>) -> Figure {
    Figure { what, of, divides: true }
}

/// The one to quote first.
const FIGURES: [Figure; 16] = [
    figure("CPU µs per delivery", |report| report.server_cpu_us_per_delivery),
    figure("CPU µs per frame out", |report| report.server_cpu_us_per_frame.filter(|_| report.acks > 0)),
    figure("bytes sent per message", |report| report.bytes_sent_per_message),
    figure("bytes received per delivery", |report| report.bytes_received_per_delivery),
    figure("deliveries/s", |report| Some(report.deliveries_per_second).filter(|_| report.deliveries > 0)),
    figure("p50 ms", |report| report.latency_us.map(|latency| latency.p50 / 1e3)),
    figure("p99 ms", |report| report.latency_us.map(|latency| latency.p99 / 1e3)),
    figure("p99.9 ms", |report| report.latency_us.map(|latency| latency.p999 / 1e3)),
    figure("server MB", |report| report.server.map(|usage| usage.rss as f64 / 1e6)),
    figure("bytes per connection", |report| report.idle.map(|idle| idle.bytes_per_connection)),
    figure("highest messages/s", |report| report.parts.rampup.as_ref()?.best),
    figure("all back after s", |report| {
        let rounds = &report.parts.storm.as_ref()?.rounds;
        rounds.iter().filter_map(|round| round.seconds).max_by(f64::total_cmp)
    }),
    figure("sign-in p99 ms", |report| Some(report.parts.churn.as_ref()?.sign_in_us?.p99 / 1e3)),
    figure("CPU µs per sign-in", |report| report.idle.and_then(|idle| idle.setup_cpu_us_per_connection)),
    Figure {
        what: "p99 moved by broadcast, ms",
        of: |report| report.disturbed.map(|disturbed| disturbed.p99_difference_us / 1e3),
        divides: false,
    },
    Figure {
        what: "% of a core waited for",
        of: |report| report.server.map(|usage| usage.wanted_percent() - usage.cpu_percent()),
        divides: false,
    },
];

impl Comparison {
    /// `targets` are names, servers and command lines.
    pub(super) fn of(targets: impl Iterator<Item = (String, String, String)>, runs: Vec<Run>) -> Self {
        let targets: Vec<Side> =
            targets.map(|(name, server, command)| Side { name, server, command }).collect();
        let first = runs.iter().find_map(|run| run.report.as_ref());
        Self {
            machine: first.map_or_else(String::new, |report| report.machine.clone()),
            workload: first
                .map_or_else(String::new, |report| format!("{}: {}", report.scenario, report.workload)),
            figures: FIGURES.iter().filter_map(|figure| Row::of(figure, targets.len(), &runs)).collect(),
            targets,
            runs,
        }
    }

    /// Whether every run was.
    pub(crate) fn clean(&self) -> bool {
        self.runs.iter().all(|run| run.report.as_ref().is_some_and(Report::clean))
    }

    fn rounds(&self) -> u32 {
        self.runs.iter().map(|run| run.round).max().unwrap_or(0)
    }

    /// Runs that did not come to an end, or in which something went wrong; then whose latencies are not the server's alone.
    fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for run in &self.runs {
            let name = &self.targets[run.target].name;
            let wrong = match (&run.report, &run.error) {
                (Some(report), _) if report.clean() => continue,
                (Some(report), _) => trouble(report),
                (None, error) => error.clone().unwrap_or_default(),
            };
            lines.push(format!("WRONG in round {} of {name}: {wrong}", run.round));
        }
        for (at, target) in self.targets.iter().enumerate() {
            let of = self.runs.iter().filter(|run| run.target == at);
            let late: Vec<&str> = of.filter_map(|run| run.report.as_ref()?.late.as_deref()).collect();
            if let Some(first) = late.first() {
                lines.push(format!("{}, {} of {} rounds: {first}", target.name, late.len(), self.rounds()));
            }
        }
        lines
    }

    /// Which side was the bottleneck in a target's runs, if it was one and the same.
    fn saturated(&self, target: usize) -> &'static str {
        let mut all =
            self.runs.iter().filter(|run| run.target == target).filter_map(|run| run.report.as_ref());
        let Some(first) = all.next().map(|report| report.saturated) else { return "" };
        if !all.all(|report| report.saturated == first) {
            return "differs";
        }
        match first {
            Saturated::Neither => "neither",
            Saturated::Server => "server",
            Saturated::Generator => "generator",
            Saturated::Both => "both",
            Saturated::Unknown => "",
        }
    }

    /// One row for each target. The first figure is the one to quote: it is set against the first target.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "**{}**; rounds in turn: {}, median (min–max); {}\n\n",
            self.workload,
            self.rounds(),
            self.machine
        );
        let Some(lead) = self.figures.first() else { return text };
        let mut heads = vec![String::new(), lead.what.to_owned(), format!("× {}", self.targets[0].name)];
        heads.extend(self.figures[1..].iter().map(|row| row.what.to_owned()));
        heads.push("saturated".into());
        let rule = vec!["---"; heads.len()].join(" | ");
        text += &format!("| {} |\n| {rule} |\n", heads.join(" | "));
        for (at, target) in self.targets.iter().enumerate() {
            let cell = |spread: Option<Spread>| spread.map_or_else(|| "–".into(), |spread| digits(&spread));
            let ratio = lead.ratios[at].map_or_else(|| "–".into(), |ratio| ratio.text(2));
            let mut cells = vec![target.name.clone(), cell(lead.values[at]), ratio];
            cells.extend(self.figures[1..].iter().map(|row| cell(row.values[at])));
            cells.push(self.saturated(at).to_owned());
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text.push('\n');
        self.targets.iter().for_each(|target| text += &format!("- {}: `{}`\n", target.name, target.server));
        self.troubles().iter().for_each(|line| text += &format!("- {line}\n"));
        text
    }
}

impl Row {
    fn of(figure: &Figure, targets: usize, runs: &[Run]) -> Option<Self> {
        // Where only some targets ack, the others' deliveries are all their frames.
        let either = |report: &Report| {
            (figure.of)(report).or(report.server_cpu_us_per_frame.filter(|_| figure.what.contains("frame")))
        };
        if !runs.iter().filter_map(|run| run.report.as_ref()).any(|report| (figure.of)(report).is_some()) {
            return None;
        }
        let value = |run: &Run| run.report.as_ref().and_then(either);
        let first = |round| runs.iter().find(|run| run.target == 0 && run.round == round).and_then(value);
        let values = |target| runs.iter().filter(move |run| run.target == target).filter_map(value);
        let ratios = |target| {
            let of = runs.iter().filter(move |run| run.target == target);
            let both = of.filter_map(|run| Some(value(run)? / first(run.round)?));
            both.filter(|ratio| figure.divides && ratio.is_finite())
        };
        Some(Self {
            what: figure.what,
            values: (0..targets).map(|target| Spread::of(values(target))).collect(),
            ratios: (0..targets).map(|target| Spread::of(ratios(target))).collect(),
        })
    }
}

/// As many digits as mean something.
fn digits(spread: &Spread) -> String {
    spread.text(match spread.median {
        median if median >= 1000.0 => 0,
        median if median >= 100.0 => 1,
        median if median >= 1.0 => 2,
        _ => 3,
    })
}

/// What went wrong in a run.
fn trouble(report: &Report) -> String {
    let notes = report.notes.join("; ");
    format!(
        "{:?}, {} failed connections, {} error answers {notes}",
        report.faults, report.failed_connections, report.server_errors
    )
}

/// A run in a line, for whoever waits.
pub(super) fn line(report: Option<&Report>, error: Option<&str>) -> String {
    let Some(report) = report else { return format!("FAILED: {}", error.unwrap_or_default()) };
    let cost =
        report.server_cpu_us_per_delivery.map_or_else(String::new, |us| format!("{us:.2} µs per delivery, "));
    let clean = if report.clean() { "" } else { ", WRONG" };
    format!("{cost}{:.0} deliveries/s{clean}", report.deliveries_per_second)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.workload)?;
        writeln!(f, "  machine {}; rounds in turn: {}; median (min–max)", self.machine, self.rounds())?;
        for (at, target) in self.targets.iter().enumerate() {
            writeln!(f, "  {:<16} {}; saturated: {}", target.name, target.server, self.saturated(at))?;
        }
        for row in &self.figures {
            let against = if row.ratios.iter().any(Option::is_some) { &self.targets[0].name } else { "" };
            writeln!(f, "  {:<46} {against}", row.what)?;
            for (at, target) in self.targets.iter().enumerate() {
                let Some(value) = &row.values[at] else { continue };
                let ratio = row.ratios[at].map_or_else(String::new, |ratio| ratio.text(3));
                writeln!(f, "    {:<14} {:<28} {ratio}", target.name, digits(value))?;
            }
        }
        self.troubles().iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
