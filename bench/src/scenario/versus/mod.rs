//! Several servers in turn under the same workloads, so that a machine's moods meet all of them. Knows no workload.
mod peers;
mod table;
mod target;

use crate::interrupt;
use crate::report::{Course, Report};
use clap::Args;
use peers::Places;
use serde::Serialize;
use std::path::PathBuf;
pub(crate) use table::Comparison;
use target::{Target, Wanted, With};

/// What is compared when no workload is named: cost and latency of private chat, fan-out, and the floor under both.
const WORKLOADS: [&[&str]; 4] = [
    &["pairs", "--users=1000", "--in-flight=1"],
    // Whoever cannot keep this rate gets the time to deliver what waits.
    &["pairs", "--users=1000", "--rate=20000", "--drain=60s"],
    &["group", "--members=1000", "--in-flight=1"],
    &["echo", "--connections=1000", "--in-flight=1"],
];

/// Options of `versus`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VersusArgs {
    /// A server to compare, once for each; the others are set against the first one
    ///
    /// NAME is one of longwire, tokio, ws, socketio, nchan, and the floors longwire-echo and tcp-echo (with `echo` only). NAME=OTHER gives
    /// one of them another name, NAME=ws://HOST:PORT/[,pid=PID][,dialect=NAME] takes a server that is running, and NAME="COMMAND {port}" is
    /// started as --spawn starts it. Those two are taken to speak the tutorial's dialect, as longwire, tokio and ws do here, unless dialect=,
    /// --with or a --dialect behind the -- says otherwise. Without any: all by name that are there.
    #[arg(long = "target", value_name = "NAME[=WHAT]", value_parser = Wanted::parse)]
    targets: Vec<Wanted>,
    /// Options of the workload for one target only: --with "longwire=--ids --dialect longwire"
    #[arg(long, value_name = "NAME=OPTIONS", value_parser = With::parse)]
    with: Vec<With>,
    /// How often each target is measured; each round measures all of them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The folder of the peers, if it is not bench/peers above this program or above the working directory
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Tables in Markdown in place of text
    #[arg(long)]
    pub(crate) markdown: bool,
    /// The workload and its options, behind `--`; a further workload behind each further `--`. Without a workload: private chat
    /// closed and open, a group of 1000, and echo; options alone go to each of them
    #[arg(last = true, value_name = "WORKLOAD")]
    workload: Vec<String>,
}

/// One run of one target.
#[derive(Debug, Clone, Serialize)]
struct Run {
    target: usize,
    round: u32,
    report: Option<Report>,
    /// Why there is none.
    error: Option<String>,
}

/// A workload as words: its name, and its options.
struct Workload {
    head: Vec<String>,
    options: Vec<String>,
}

impl Workload {
    /// As it was typed.
    fn typed(words: &[String]) -> Self {
        // A scenario file is named by two words.
        let split = if words.first().is_some_and(|word| word == "run") { 2 } else { 1 };
        let (head, options) = words.split_at(split.min(words.len()));
        Self { head: head.to_vec(), options: options.to_vec() }
    }
}

impl VersusArgs {
    fn workloads(&self) -> Vec<Workload> {
        let named = self.workload.first().is_some_and(|word| !word.starts_with('-'));
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        if named {
            return self.workload.split(|word| word == "--").map(Workload::typed).collect();
        }
        let with_options = |words: &[&str]| {
            let mut options: Vec<String> = owned(&words[1..]);
            options.extend_from_slice(&self.workload);
            Workload { head: owned(&words[..1]), options }
        };
        WORKLOADS.iter().map(|words| with_options(words)).collect()
    }
}

/// What `versus` needs of the command line: it is the one place that knows workloads and their options.
pub(crate) trait Workloads {
    /// Whether these words are a workload for an echo server.
    fn echoes(&self, words: &[String]) -> anyhow::Result<bool>;
    /// Runs what they say.
    fn measure(&self, words: &[String]) -> anyhow::Result<Report>;
}

/// Compares by each workload in turn.
pub(crate) fn run(options: &VersusArgs, workloads: &impl Workloads) -> anyhow::Result<Vec<Comparison>> {
    let places = Places::find(options.peers.clone())?;
    let targets = Target::choose(&options.targets, &options.with, &places, |line| eprintln!("{line}"))?;
    let mut comparisons = Vec::new();
    for workload in options.workloads() {
        let Workload { head, options: typed } = workload;
        let echo = workloads.echoes(&[&head as &[String], &typed].concat())?;
        let sides: Vec<(&Target, Vec<String>)> =
            targets.iter().filter_map(|target| Some((target, target.words(&head, &typed, echo)?))).collect();
        if sides.is_empty() {
            eprintln!("skipped: no target has a server for {}", head.join(" "));
            continue;
        }
        let (runs, interrupted) = rounds(options.rounds, &sides, workloads);
        let names =
            sides.iter().map(|(target, words)| (target.name.clone(), target.to_string(), words.join(" ")));
        comparisons.push(Comparison::of(names, runs));
        if interrupted {
            break;
        }
    }
    Ok(comparisons)
}

/// Measures all in turn, so many times; whether somebody put an end to it.
fn rounds(count: u32, sides: &[(&Target, Vec<String>)], workloads: &impl Workloads) -> (Vec<Run>, bool) {
    let mut runs = Vec::new();
    for round in 1..=count {
        for (at, (target, words)) in sides.iter().enumerate() {
            let (report, error) = match workloads.measure(words) {
                // What a run saw moment by moment is for its own report.
                Ok(report) => (Some(Report { course: Course::default(), ..report }), None),
                Err(error) => (None, Some(format!("{error:#}"))),
            };
            eprintln!(
                "round {round} of {count}, {}: {}",
                target.name,
                table::line(report.as_ref(), error.as_deref())
            );
            // Half a run beside whole ones says nothing.
            let whole = report.as_ref().is_some_and(|report| !report.interrupted);
            if whole || !interrupt::requested() {
                runs.push(Run { target: at, round, report, error });
            }
            if interrupt::requested() {
                return (runs, true);
            }
        }
    }
    (runs, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        versus: VersusArgs,
    }

    fn workloads(words: &[&str]) -> Vec<String> {
        let words = [&["versus"], words].concat();
        let workloads = Line::try_parse_from(words).unwrap().versus.workloads();
        workloads.iter().map(|one| format!("{} | {}", one.head.join(" "), one.options.join(" "))).collect()
    }

    #[test]
    fn workloads_are_told_apart_and_options_alone_go_to_all_of_the_default_ones() {
        assert_eq!(workloads(&["--", "pairs", "--users", "4"]), ["pairs | --users 4"]);
        assert_eq!(workloads(&["--", "run", "f.toml", "--users=4"]), ["run f.toml | --users=4"]);
        assert_eq!(
            workloads(&["--", "pairs", "--ids", "--", "run", "f.toml", "--users=4", "--", "group"]),
            ["pairs | --ids", "run f.toml | --users=4", "group | "]
        );
        let all = workloads(&["--", "--duration=1s"]);
        assert_eq!(all.len(), WORKLOADS.len());
        assert!(all.iter().all(|one| one.ends_with(" --duration=1s")), "{all:?}");
    }
}
