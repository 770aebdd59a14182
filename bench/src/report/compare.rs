//! `compare`: runs that were written before, side by side. Knows reports and no server.
use super::figures::FIGURES;
use super::files::{COMPARISON, Out};
use super::verdict::{Grade, verdicts};
use super::{Report, Spread, html, summary};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Sides of a comparison at most.
const SIDES_MAX: usize = 6;
/// Runs of one side at most.
const RUNS_MAX: usize = 100;
/// How much the lengths of runs may differ, as a share.
const LENGTHS: f64 = 0.1;

/// Options of `compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArgs {
    /// Sides: folders that --out wrote, or their summary.json
    ///
    /// Several runs of one side are joined by commas; a name before them says what to call it. The first side is the one that the
    /// others are divided by.
    #[arg(required = true, num_args = 2..=SIDES_MAX, value_name = "[NAME=]RUN[,RUN…]")]
    sides: Vec<String>,
}

/// One side's runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) machine: String,
    pub(crate) workload: String,
    pub(crate) command: String,
    #[serde(skip)]
    pub(crate) runs: Vec<Report>,
}

/// One figure of all sides.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// By side; nothing where no run has it.
    pub(crate) sides: Vec<Option<Spread>>,
    /// Each side's figure divided by the first one's, every run by every run.
    pub(crate) ratios: Vec<Option<Spread>>,
}

/// The comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) sides: Vec<Side>,
    pub(crate) rows: Vec<Row>,
    /// Why not to trust it.
    pub(crate) warnings: Vec<String>,
}

/// Reads the runs and compares them.
pub(crate) fn run(options: &CompareArgs) -> anyhow::Result<Comparison> {
    let sides: Vec<Side> = options.sides.iter().map(|text| Side::read(text)).collect::<Result<_, _>>()?;
    Ok(Comparison::of(sides))
}

impl Side {
    fn read(text: &str) -> anyhow::Result<Self> {
        let (name, paths) = split(text, |path| Path::new(path).exists());
        ensure!(!paths.is_empty() && paths.len() <= RUNS_MAX, "a side has 1 to {RUNS_MAX} runs: {text}");
        let runs: Vec<Report> =
            paths.iter().map(|path| summary::read(Path::new(path))).collect::<Result<_, _>>()?;
        let name = name.map_or_else(|| called(Path::new(paths[0])), str::to_owned);
        Self::of(name, runs).with_context(|| format!("no run in {text}"))
    }

    /// Of at least one run.
    pub(super) fn of(name: String, runs: Vec<Report>) -> Option<Self> {
        let first = runs.first()?;
        let (machine, command) = (first.machine.clone(), first.command.clone());
        let workload = format!("{}: {}", first.scenario, first.workload);
        Some(Self { name, machine, workload, command, runs })
    }

    fn spread(&self, figure: impl Fn(&Report) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(figure))
    }
}

/// `name=path,path` in its parts; an argument that is a path itself, whatever signs it has, is one.
fn split(text: &str, exists: impl Fn(&str) -> bool) -> (Option<&str>, Vec<&str>) {
    if exists(text) {
        return (None, vec![text]);
    }
    let (name, paths) = text.split_once('=').map_or((None, text), |(name, paths)| (Some(name), paths));
    if exists(paths) {
        return (name, vec![paths]);
    }
    (name, paths.split(',').filter(|path| !path.is_empty()).collect())
}

/// A run's folder by its name.
fn called(path: &Path) -> String {
    let folder =
        if path.is_dir() { Some(path) } else { path.parent().filter(|parent| *parent != Path::new("")) };
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let folder = folder.canonicalize().unwrap_or(folder);
    folder.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

impl Comparison {
    pub(super) fn of(sides: Vec<Side>) -> Self {
        let rows = FIGURES.iter().filter_map(|figure| {
            let spreads: Vec<_> = sides.iter().map(|side| side.spread(figure.of)).collect();
            spreads.iter().any(Option::is_some).then(|| Row {
                what: figure.what,
                ratios: sides.iter().map(|side| ratio(side, &sides[0], figure.of)).collect(),
                sides: spreads,
            })
        });
        Self { rows: rows.collect(), warnings: warnings(&sides), sides }
    }

    /// Writes a page and the figures.
    pub(crate) fn write(&self, out: &Out) -> anyhow::Result<()> {
        out.put(COMPARISON[0], html::comparison(self))?;
        out.put(COMPARISON[1], serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Every run of one side divided by every run of the other: nothing pairs runs that were written at some time.
fn ratio(side: &Side, first: &Side, figure: impl Fn(&Report) -> Option<f64>) -> Option<Spread> {
    let of = |side: &Side| side.runs.iter().filter_map(&figure).collect::<Vec<f64>>();
    let below = of(first);
    let ratios = of(side)
        .into_iter()
        .flat_map(|above| below.iter().map(move |below| above / below).collect::<Vec<_>>());
    Spread::of(ratios.filter(|ratio| ratio.is_finite()))
}

fn warnings(sides: &[Side]) -> Vec<String> {
    let all = || sides.iter().flat_map(|side| &side.runs);
    let mut warnings = Vec::new();
    let mut differ = |what: &str, values: BTreeSet<String>| {
        if values.len() > 1 {
            let values = values.into_iter().collect::<Vec<_>>().join(" | ");
            warnings.push(format!("{what} differ: {values}"));
        }
    };
    differ("the workloads", all().map(|run| format!("{}: {}", run.scenario, run.workload)).collect());
    differ("the machines", all().map(|run| run.machine.clone()).collect());
    differ("the generator's versions", all().map(|run| run.version.clone()).collect());
    let lengths = Spread::of(all().map(|run| run.seconds));
    if let Some(lengths) = lengths.filter(|lengths| lengths.max > lengths.min * (1.0 + LENGTHS)) {
        warnings.push(format!("the measured times differ: {:.1} to {:.1} s", lengths.min, lengths.max));
    }
    for side in sides {
        for (turn, run) in side.runs.iter().enumerate() {
            let number = if side.runs.len() > 1 { format!(", run {}", turn + 1) } else { String::new() };
            let bad = verdicts(run).into_iter().filter(|verdict| verdict.grade != Grade::Good);
            warnings.extend(
                bad.map(|verdict| format!("{}{number}: {} {}", side.name, verdict.word, verdict.text)),
            );
        }
    }
    warnings
}

impl Row {
    /// As many digits as tell anything.
    pub(super) fn digits(&self) -> usize {
        let most = self.sides.iter().flatten().map(|spread| spread.median.abs()).fold(0.0, f64::max);
        match most {
            most if most >= 1000.0 => 0,
            most if most >= 100.0 => 1,
            _ => 2,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "compare: median (min–max) of each side's runs; ratios to {}, every run by every run",
            self.sides[0].name
        )?;
        for side in &self.sides {
            writeln!(f, "  {} ({} runs): {}; {}", side.name, side.runs.len(), side.workload, side.machine)?;
        }
        let red = if f.alternate() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  {}WARNING{} {warning}", red.0, red.1))?;
        let mut table = vec![vec![String::new()]];
        for (at, side) in self.sides.iter().enumerate() {
            table[0].push(side.name.clone());
            if at > 0 {
                table[0].push(format!("/ {}", self.sides[0].name));
            }
        }
        let cell = |spread: &Option<Spread>, digits| {
            spread.map_or_else(|| "–".to_owned(), |spread| spread.text(digits))
        };
        for row in &self.rows {
            let mut cells = vec![row.what.to_owned()];
            for (at, (spread, ratio)) in row.sides.iter().zip(&row.ratios).enumerate() {
                cells.push(cell(spread, row.digits()));
                if at > 0 {
                    cells.push(cell(ratio, 3));
                }
            }
            table.push(cells);
        }
        let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
        for row in &table {
            write!(f, "  {:<first$}", row[0], first = widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn side(name: &str, p99s: &[f64]) -> Side {
        let run = |p99: &f64| {
            let mut run = sample::run();
            run.latency_us.as_mut().unwrap().p99 = *p99;
            run
        };
        Side::of(name.to_owned(), p99s.iter().map(run).collect()).unwrap()
    }

    #[test]
    fn figures_have_medians_and_ratios_their_spread() {
        let comparison = Comparison::of(vec![side("b", &[100.0, 200.0]), side("a", &[50.0, 60.0, 100.0])]);
        let row = comparison.rows.iter().find(|row| row.what == "latency p99 µs").unwrap();
        assert_eq!(row.sides[0].unwrap(), Spread { median: 150.0, min: 100.0, max: 200.0 });
        let ratio = row.ratios[1].unwrap();
        assert_eq!((ratio.min, ratio.max), (0.25, 1.0));
        assert!(comparison.warnings.is_empty(), "{:?}", comparison.warnings);
        let text = comparison.to_string();
        assert!(text.contains("60.0 (50.0–100.0)") && text.contains("(0.250–1.000)"), "{text}");
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let mut other = side("other", &[100.0]);
        other.runs[0].machine = "another".into();
        other.runs[0].workload = "more".into();
        other.runs[0].late = Some("too slow".into());
        other.runs[0].faults.lost = 3;
        other.runs[0].seconds *= 2.0;
        let warnings = Comparison::of(vec![side("one", &[100.0]), other]).warnings;
        for part in
            ["workloads differ", "machines differ", "times differ", "other: LATE too slow", "WRONG 3 lost"]
        {
            assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
        }
    }

    #[test]
    fn sides_are_named_or_not_and_have_one_run_or_more() {
        let none = |_: &str| false;
        assert_eq!(split("a", none), (None, vec!["a"]));
        assert_eq!(split("x=a,b/c", none), (Some("x"), vec!["a", "b/c"]));
        assert_eq!(split("k=v,w", |path| path == "k=v,w"), (None, vec!["k=v,w"]));
        assert_eq!(split("x=v,w", |path| path == "v,w"), (Some("x"), vec!["v,w"]));
    }
}
