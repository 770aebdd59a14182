//! Arguments to scenarios. Knows no socket.
use crate::scenario::{group, pairs};
use crate::target::TargetArgs;
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

/// A workload that reports on one server.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
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
}

/// Runs what the command line asks for; whether all went well.
pub(crate) fn run() -> anyhow::Result<bool> {
    let cli = Cli::parse();
    raise_file_limit();
    let report = match &cli.scenario {
        Scenario::Pairs { target, options } => pairs::run(target, options)?,
        Scenario::Group { target, options } => group::run(target, options)?,
    };
    report.print(cli.json)?;
    Ok(report.clean())
}

/// As many connections as the hard limit allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, opening the connection that is one too many names the reason.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
