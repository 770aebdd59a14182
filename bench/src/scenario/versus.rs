//! Two servers in turn under one workload, so that a machine's moods meet both. Knows no workload.
use crate::report::{Report, Spread};
use clap::Args;
use serde::Serialize;
use std::fmt;

/// Options of `versus`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VersusArgs {
    /// First server's command, as `--spawn` takes it
    #[arg(long, value_name = "CMD")]
    pub(crate) a: String,
    /// Second server's command
    #[arg(long, value_name = "CMD")]
    pub(crate) b: String,
    /// Arguments of the workload for the first server only
    #[arg(long, default_value = "", value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) a_args: String,
    /// Arguments of the workload for the second server only
    #[arg(long, default_value = "", value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) b_args: String,
    /// How many times each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) pairs: u32,
    /// The workload and its arguments
    #[arg(last = true, default_values = ["pairs"])]
    pub(crate) workload: Vec<String>,
}

/// One figure of both sides.
#[derive(Debug, Clone, Serialize)]
struct Row {
    what: &'static str,
    a: Spread,
    b: Spread,
    /// A's figure divided by B's, run by run.
    ratio: Spread,
}

/// The comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    machine: String,
    workload: String,
    commands: [String; 2],
    pairs: usize,
    rows: Vec<Row>,
    runs: Vec<[Report; 2]>,
}

/// Measures both in turn with `measure`, which is given a command and its side's own arguments.
pub(crate) fn run(
    options: &VersusArgs,
    measure: impl Fn(&str, &str) -> anyhow::Result<Report>,
) -> anyhow::Result<Comparison> {
    let mut runs = Vec::new();
    for turn in 1..=options.pairs {
        let a = measure(&options.a, &options.a_args)?;
        progress(turn, "A", &a);
        let b = measure(&options.b, &options.b_args)?;
        progress(turn, "B", &b);
        runs.push([a, b]);
    }
    let rows = FIGURES.iter().filter_map(|figure| Row::of(figure, &runs)).collect();
    let [a, _] = &runs[0];
    Ok(Comparison {
        machine: a.machine.clone(),
        workload: format!("{}: {}", a.scenario, a.workload),
        commands: [side(&options.a, &options.a_args), side(&options.b, &options.b_args)],
        pairs: runs.len(),
        rows,
        runs,
    })
}

fn side(command: &str, arguments: &str) -> String {
    if arguments.is_empty() { command.to_owned() } else { format!("{command}  with {arguments}") }
}

fn progress(turn: u32, side: &str, report: &Report) {
    let cost =
        report.server_cpu_us_per_delivery.map_or_else(|| "-".into(), |us| format!("{us:.2} µs per delivery"));
    let clean = if report.clean() { "" } else { ", WRONG" };
    eprintln!("run {turn}{side}: {cost}, {:.0} deliveries/s{clean}", report.deliveries_per_second);
}

type Figure = (&'static str, fn(&Report) -> Option<f64>);

const FIGURES: [Figure; 11] = [
    ("server CPU µs per delivery", |report| report.server_cpu_us_per_delivery),
    ("server CPU µs per frame out", |report| report.server_cpu_us_per_frame.filter(|_| report.acks > 0)),
    ("% of a core waited for", |report| {
        report.server.map(|usage| usage.wanted_percent() - usage.cpu_percent())
    }),
    ("deliveries/s", |report| Some(report.deliveries_per_second).filter(|_| report.deliveries > 0)),
    ("p50 µs", |report| report.latency_us.map(|latency| latency.p50)),
    ("p99 µs", |report| report.latency_us.map(|latency| latency.p99)),
    ("p99.9 µs", |report| report.latency_us.map(|latency| latency.p999)),
    ("server resident MB", |report| report.server.map(|usage| usage.rss as f64 / 1e6)),
    ("bytes per connection", |report| report.idle.map(|idle| idle.bytes_per_connection)),
    ("CPU µs per sign-in", |report| report.idle.map(|idle| idle.setup_cpu_us_per_connection)),
    ("p99 moved by broadcast, µs", |report| report.disturbed.map(|disturbed| disturbed.p99_difference_us)),
];

impl Row {
    fn of((what, figure): &Figure, runs: &[[Report; 2]]) -> Option<Self> {
        // With acks on one side only, the other side's deliveries are all its frames.
        let either = |report: &Report| {
            figure(report).or(report.server_cpu_us_per_frame.filter(|_| what.contains("frame")))
        };
        if !runs.iter().flatten().any(|report| figure(report).is_some()) {
            return None;
        }
        let values: Option<Vec<[f64; 2]>> =
            runs.iter().map(|[a, b]| Some([either(a)?, either(b)?])).collect();
        let values = values?;
        let column = |at: usize| values.iter().map(move |pair| pair[at]);
        let ratio = values.iter().map(|[a, b]| a / b);
        Some(Self { what, a: Spread::of(column(0))?, b: Spread::of(column(1))?, ratio: Spread::of(ratio)? })
    }
}

impl Comparison {
    /// Whether every run was.
    pub(crate) fn clean(&self) -> bool {
        self.runs.iter().flatten().all(Report::clean)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "versus: {}", self.workload)?;
        writeln!(f, "  machine {}; {} runs each, in turn; median (min–max)", self.machine, self.pairs)?;
        writeln!(f, "  A  {}\n  B  {}", self.commands[0], self.commands[1])?;
        writeln!(f, "  {:<28} {:>26} {:>26} {:>22}", "", "A", "B", "A/B")?;
        for row in &self.rows {
            let digits = if row.a.median >= 1000.0 { 0 } else { 2 };
            let (a, b, ratio) = (row.a.text(digits), row.b.text(digits), row.ratio.text(3));
            writeln!(f, "  {:<28} {a:>26} {b:>26} {ratio:>22}", row.what)?;
        }
        for (turn, pair) in self.runs.iter().enumerate() {
            for (side, report) in ["A", "B"].iter().zip(pair).filter(|(_, report)| !report.clean()) {
                writeln!(f, "  WRONG in run {}{side}:\n{report}", turn + 1)?;
            }
        }
        let saturated = |side: usize| {
            let all: Vec<String> =
                self.runs.iter().map(|pair| format!("{:?}", pair[side].saturated)).collect();
            all.join(" ")
        };
        writeln!(f, "  saturated: A {}; B {}", saturated(0), saturated(1))
    }
}
