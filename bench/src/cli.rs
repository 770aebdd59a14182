//! Arguments to scenarios. Knows no socket.
use crate::report::Report;
use crate::scenario::{broadcast, echo, group, idle, pairs, versus};
use crate::target::TargetArgs;
use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Private messages between pairs of users
    Pairs {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        options: pairs::PairsArgs,
    },
    /// One publisher and a group of everyone
    Group {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        options: group::GroupArgs,
    },
    /// Signed-in connections at rest: memory, CPU, context switches
    Idle {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        options: idle::IdleArgs,
    },
    /// Any WebSocket echo server
    Echo {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        options: echo::EchoArgs,
    },
    /// One pair's latency with and without broadcasts to many
    Broadcast {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        options: broadcast::BroadcastArgs,
    },
    /// Two servers in turn under one workload: `versus --a CMD --b CMD -- pairs --users 1000`
    Versus {
        #[command(flatten)]
        options: versus::VersusArgs,
    },
}

/// Runs what the command line asks for; whether all went well.
pub(crate) fn run() -> anyhow::Result<bool> {
    let cli = Cli::parse();
    raise_file_limit();
    if let Scenario::Versus { options } = &cli.scenario {
        let comparison = versus::run(options, |command, own| side(options, command, own))?;
        if cli.json {
            println!("{}", serde_json::to_string(&comparison)?);
        } else {
            print!("{comparison}");
        }
        return Ok(comparison.clean());
    }
    let report = one(&cli.scenario)?;
    if cli.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.clean())
}

fn one(scenario: &Scenario) -> anyhow::Result<Report> {
    match scenario {
        Scenario::Pairs { target, options } => pairs::run(target, options),
        Scenario::Group { target, options } => group::run(target, options),
        Scenario::Idle { target, options } => idle::run(target, options),
        Scenario::Echo { target, options } => echo::run(target, options),
        Scenario::Broadcast { target, options } => broadcast::run(target, options),
        Scenario::Versus { .. } => bail!("versus compares workloads, not comparisons"),
    }
}

/// One run of a comparison: the workload's arguments, the side's own, and the side's server.
fn side(options: &versus::VersusArgs, command: &str, own: &str) -> anyhow::Result<Report> {
    let own = shell_words::split(own).context("the side's own arguments")?;
    let words = ["longwire-bench".to_owned()].into_iter().chain(options.workload.iter().cloned());
    let words = words.chain(own).chain(["--spawn".to_owned(), command.to_owned()]);
    let cli = Cli::try_parse_from(words).context("the workload after --")?;
    one(&cli.scenario)
}

/// As many connections as the hard limit allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, opening the connection that is one too many names the reason.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
