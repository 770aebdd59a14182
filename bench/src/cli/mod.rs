//! Arguments to scenarios. Knows no socket.
mod file;

use crate::report::compare::{self, CompareArgs};
use crate::report::{Out, OutArgs, Report};
use crate::scenario::{broadcast, churn, echo, groups, idle, mixed, pairs, rampup, recover, storm, versus};
use crate::target::TargetArgs;
use anyhow::{Context, bail, ensure};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use file::ScenarioFile;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};

/// Measures a chat server's CPU per delivery, its latency and its memory.
///
/// Pin the server to one core and the generator to another (--server-core, --core), quote CPU per delivery before
/// throughput, and compare servers in turn (`versus`): a figure without a peer beside it says nothing.
/// Exits with 1 when a message was lost, duplicated or reordered, or a connection failed.
#[derive(Debug, Parser)]
#[command(name = "longwire-bench", version)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    /// One line of JSON in place of text
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    out: OutArgs,
}

/// A workload on a server.
#[derive(Debug, Args)]
struct On<Options: Args> {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// A scenario file: `run FILE.toml [OPTIONS]`
    ///
    /// `scenario = "pairs"` names the workload, every other key is one of its options without the dashes: `users = 1000`,
    /// `duration = "10m"`, `ids = true`, `source = ["127.0.1.1", "127.0.1.2"]`. Options that follow the file win over it. Relative paths are
    /// taken from where the command runs, as if everything had been typed.
    Run {
        /// The scenario file
        file: PathBuf,
        /// Options of the file's workload, over those in the file
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        typed: Vec<String>,
    },
    /// Private messages between pairs of users
    ///
    /// Every user has one partner; both write to each other. Open loop: each user in turn sends at its intended time, whatever
    /// came back. Closed loop (--in-flight): a message follows when the one before it has come. The measured latency goes from the
    /// intended time of a message to its arrival at the partner.
    #[command(mut_arg("rate", |rate| rate.default_value("5000")))]
    Pairs(On<pairs::PairsArgs>),
    /// Groups, in each of which some members write and all the others read
    ///
    /// So many groups of so many members, each user in one or several of them. In each group the writers write in turn, --rate
    /// messages a second in each group; a message's latency is measured once for each member that it reaches. The
    /// ledger is kept for each receiver, sender and group.
    #[command(mut_arg("rate", |rate| rate.default_value("5").help("Open loop: messages a second in each group")))]
    Groups(On<groups::GroupsArgs>),
    /// One publisher and a group of everyone
    ///
    /// The fan-out alone: each message of the one publisher goes to all the other members.
    #[command(mut_arg("rate", |rate| rate.default_value("10")))]
    Group(On<groups::GroupArgs>),
    /// A realistic blend of private and group conversations
    ///
    /// Users with private conversations and groups, some of them busy and most not (Zipf's law), messages of several sizes, clients
    /// that ask for signs of life. A share of the users may read slowly: nothing for a while, then for a while as fast as
    /// they can. A server may drop what it cannot get rid of, and part with such a reader: both are counted apart and are no failure, and
    /// nobody writes in the name of a reader that is gone.
    #[command(
        mut_arg("rate", |rate| rate.default_value("2000")),
        mut_arg("in_flight", |in_flight| in_flight.hide(true)),
        mut_arg("payload", |payload| payload.hide(true).conflicts_with("sizes"))
    )]
    Mixed(On<mixed::MixedArgs>),
    /// Everyone is cut off at once and comes back, while a few chat
    ///
    /// So many connections sign in; then all of them are cut (or closed with a close frame), and each connects and signs in again as
    /// soon as it can, or at --connect-rate. An attempt that fails is repeated later, with growing waits. Measured are the time
    /// until the last one is back, each one's own, the server's CPU time for each, and the latency of those who chat beside them.
    #[command(
        mut_arg("rate", |rate| rate.default_value("1000")),
        mut_arg("duration", |duration| duration.default_value("20s"))
    )]
    Storm(On<storm::StormArgs>),
    /// Connections come and go at a rate while others chat
    ///
    /// At each tick of --churn-rate the connection that is there longest goes, with a close frame, and another one connects and signs in. How
    /// long a sign-in takes counts from its tick, whatever the server was busy with, until the end for those who are never let in; the latency of
    /// those who chat is measured beside it.
    #[command(mut_arg("rate", |rate| rate.default_value("1000")))]
    Churn(On<churn::ChurnArgs>),
    /// The highest rate whose p99 stays under a limit
    ///
    /// One server, the workload at one rate after the other, each with its own warm-up: doubled until a rate fails, then in between the last
    /// that held and the first that failed, until they are close. A rate fails when its p99 is over the limit, when it was not
    /// reached, or when something was lost. Which side was at its end there is said.
    #[command(
        mut_arg("rate", |rate| rate.default_value("1000").help("Messages a second of the first step")),
        mut_arg("in_flight", |in_flight| in_flight.hide(true)),
        mut_arg("duration", |duration| duration.default_value("5s").help("Measured time of each step"))
    )]
    Rampup(On<rampup::RampupArgs>),
    /// A server with a store, filled, stopped and started again, killed under load and started again: time until it is ready
    ///
    /// The server of --spawn needs `{data}` and `{admin}`. Pairs write as fast as they are acked until so many messages are sent.
    Recover(On<recover::RecoverArgs>),
    /// Signed-in connections at rest: memory, CPU, context switches
    ///
    /// Opens so many connections, signs each in, lets each send and receive once, and then holds them. What the server's and the
    /// generator's memory grew by, divided by their number, is the cost of a connection at rest.
    Idle(On<idle::IdleArgs>),
    /// Any WebSocket echo server
    ///
    /// Each connection sends messages that the server has to send back to it: the floor under every chat server.
    #[command(mut_arg("rate", |rate| rate.default_value("5000")))]
    Echo(On<echo::EchoArgs>),
    /// One pair's latency with and without broadcasts to many
    ///
    /// Turns of quiet and of broadcasts follow each other; the latencies of one pair in the two kinds of turns are told apart.
    #[command(mut_arg("rate", |rate| rate.default_value("1000")))]
    Broadcast(On<broadcast::BroadcastArgs>),
    /// Servers in turn under the same workloads: `versus [--target NAME]… -- pairs --users 1000`
    ///
    /// Each round measures every target once; figures are medians over the rounds, with the least and the greatest, and their
    /// ratios to the first target's of the same round. All servers run on --server-core, one after the other.
    Versus(versus::VersusArgs),
    /// Runs that --out wrote, side by side: `compare A B`, or several of each: `compare longwire=a1,a2,a3 tokio=b1,b2,b3`
    ///
    /// Medians, ratios with their spread, and with --out a page with the curves over each other. Warns when workloads or machines
    /// differ, and when a run was wrong or late.
    Compare(CompareArgs),
}

/// Runs what the command line asks for; whether all went well.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut cli = Cli::parse();
    if let Scenario::Run { file, typed } = &cli.scenario {
        let typed = parse_file(file, typed)?;
        cli = Cli { json: cli.json || typed.json, out: typed.out.or(cli.out), ..typed };
    }
    let out = cli.out.open()?;
    raise_file_limit();
    if let Scenario::Compare(options) = &cli.scenario {
        let comparison = compare::run(options)?;
        if cli.json {
            println!("{}", serde_json::to_string(&comparison)?);
        } else {
            anstream::print!("{comparison:#}");
        }
        out.iter().try_for_each(|out| comparison.write(out))?;
        return Ok(true);
    }
    if let Scenario::Versus(options) = &cli.scenario {
        return compare(options, cli.json, out.as_ref());
    }
    let report = one(&cli.scenario)?;
    if cli.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        anstream::print!("{report:#}");
    }
    out.iter().try_for_each(|out| out.write(&report))?;
    Ok(report.clean())
}

fn one(scenario: &Scenario) -> anyhow::Result<Report> {
    match scenario {
        Scenario::Pairs(on) => pairs::run(&on.target, &on.options),
        Scenario::Groups(on) => groups::run(&on.target, &on.options),
        Scenario::Group(on) => groups::run_one(&on.target, &on.options),
        Scenario::Mixed(on) => mixed::run(&on.target, &on.options),
        Scenario::Storm(on) => storm::run(&on.target, &on.options),
        Scenario::Churn(on) => churn::run(&on.target, &on.options),
        Scenario::Rampup(on) => rampup::run(&on.target, &on.options),
        Scenario::Recover(on) => recover::run(&on.target, &on.options),
        Scenario::Idle(on) => idle::run(&on.target, &on.options),
        Scenario::Echo(on) => echo::run(&on.target, &on.options),
        Scenario::Broadcast(on) => broadcast::run(&on.target, &on.options),
        Scenario::Versus(_) | Scenario::Compare(_) => bail!("versus compares workloads, not comparisons"),
        Scenario::Run { file, typed } => one(&parse_file(file, typed)?.scenario),
    }
}

/// What a scenario file and the options behind it stand for.
fn parse_file(path: &Path, typed: &[String]) -> anyhow::Result<Cli> {
    let file = ScenarioFile::read(path)?;
    let mut command = Cli::command();
    command.build();
    let words = file.words(&command, typed).with_context(|| path.display().to_string())?;
    parse_over(words).map_err(|error| {
        if !error.use_stderr() {
            // `run FILE --help`: the workload's own page.
            error.exit();
        }
        file.explain(&error).context(path.display().to_string())
    })
}

/// Parses words of which the later ones win.
fn parse_over(words: impl IntoIterator<Item = String>) -> Result<Cli, clap::Error> {
    let words = ["longwire-bench".to_owned()].into_iter().chain(words);
    Cli::from_arg_matches(&Cli::command().args_override_self(true).try_get_matches_from(words)?)
}

/// Workloads as they are typed.
struct Typed;

impl Typed {
    fn parse(words: &[String]) -> anyhow::Result<Scenario> {
        let said = || format!("the workload `{}`", words.join(" "));
        let cli = parse_over(words.iter().cloned()).with_context(said)?;
        ensure!(
            cli.out.out.is_none(),
            "--out is versus's own and stands before the --: its runs have no folders"
        );
        match cli.scenario {
            Scenario::Run { file, typed } => Ok(parse_file(&file, &typed)?.scenario),
            scenario => Ok(scenario),
        }
    }
}

impl versus::Workloads for Typed {
    fn echoes(&self, words: &[String]) -> anyhow::Result<bool> {
        Ok(matches!(Self::parse(words)?, Scenario::Echo(_)))
    }

    fn measure(&self, words: &[String]) -> anyhow::Result<Report> {
        one(&Self::parse(words)?)
    }
}

/// Compares servers, and prints what it found.
fn compare(options: &versus::VersusArgs, json: bool, out: Option<&Out>) -> anyhow::Result<bool> {
    let comparisons = versus::run(options, &Typed)?;
    if json {
        println!("{}", serde_json::to_string(&comparisons)?);
    } else if options.markdown {
        comparisons.iter().for_each(|comparison| println!("{}", comparison.markdown()));
    } else {
        comparisons.iter().for_each(|comparison| println!("{comparison}"));
    }
    if let Some(out) = out {
        let tables: Vec<String> = comparisons.iter().map(versus::Comparison::markdown).collect();
        out.write_versus(&tables.join("\n"), &serde_json::to_string(&comparisons)?)?;
    }
    Ok(!comparisons.is_empty() && comparisons.iter().all(versus::Comparison::clean))
}

/// As many connections as the hard limit allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, opening the connection that is one too many names the reason.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_hold_together() {
        Cli::command().debug_assert();
    }
}
