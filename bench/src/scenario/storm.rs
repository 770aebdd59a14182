//! Everyone is cut off and comes back, while a few go on chatting. Knows no socket.
mod devices;
mod driver;

use super::common::LoadArgs;
use super::pairs::{Pairs, PairsArgs};
use super::rest::RestArgs;
use super::{shares, with_run};
use crate::engine::Beside;
use crate::latency::Latency;
use crate::report::{Parts, Report, StormPart, Table};
use crate::target::TargetArgs;
use crate::wire::dialect::Answer;
use anyhow::ensure;
use clap::{Args, ValueEnum};
use driver::{Shared, Storm};

/// Conversations of one user: those that it begins are counted in a byte.
const CONVERSATIONS_MAX: usize = 510;

/// How connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// The socket is closed, without a word.
    Cut,
    /// With a close frame.
    Close,
}

/// Options of `storm`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StormArgs {
    /// Connections that go and come back
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(crate) connections: u32,
    /// How they go
    #[arg(long, value_enum, default_value = "cut")]
    pub(crate) how: How,
    /// Storms that the duration is cut into
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Each asks by `sync` for what it missed before it counts as back, in the first round and each second one after it: the
    /// others say what that costs above the sign-in
    #[arg(long)]
    pub(crate) sync: bool,
    /// Private conversations of each of them, with nothing new in them; an even number
    #[arg(long, default_value_t = 20, requires = "sync")]
    pub(crate) conversations: usize,
    /// Users beside them who stay and chat in pairs; an even number, 0 for none
    #[arg(long, default_value_t = 20)]
    pub(crate) users: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Whether what `--sync` asks for can be had.
fn check_sync(args: &TargetArgs, options: &StormArgs) -> anyhow::Result<()> {
    let synced = args.dialect()?.answers_with(Answer::Synced);
    ensure!(!options.sync || synced, "--sync: Longwire's own dialect in JSON has it and no other");
    let each = options.conversations;
    let fits = each >= 2 && each.is_multiple_of(2) && each <= CONVERSATIONS_MAX;
    ensure!(
        !options.sync || fits && each < options.connections as usize,
        "--conversations must be an even number up to {CONVERSATIONS_MAX}, and less than the connections"
    );
    Ok(())
}

/// In a report's words.
fn workload(options: &StormArgs) -> String {
    let StormArgs { connections, rounds, conversations, .. } = options;
    let how = if options.how == How::Cut { "cut off" } else { "closed" };
    let beside = match options.users {
        0 => "nobody beside them".to_owned(),
        users => format!("{users} users chat beside them, {}", options.load.describe("pair")),
    };
    let synced = if options.sync {
        format!(", with `sync` of {conversations} conversations each in the odd rounds")
    } else {
        String::new()
    };
    format!("{connections} connections {how} and back, {rounds} times{synced}; {beside}")
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &StormArgs) -> anyhow::Result<Report> {
    let connections = options.connections as usize;
    let threads = args.threads.clamp(1, connections);
    ensure!(
        options.users.is_multiple_of(2) && (options.users == 0 || options.users >= 2 * threads),
        "--users must be an even number, and a pair at least for each thread"
    );
    let pairs = PairsArgs {
        users: options.users,
        ids: false,
        rest: RestArgs { idle: 0 },
        load: options.load.clone(),
    };
    check_sync(args, options)?;
    let users = shares(options.users, 2, threads);
    let storms = shares(connections, 1, threads);
    let all: Vec<usize> = users.iter().zip(&storms).map(|(users, storm)| users + storm).collect();
    let shared = Shared::new(options, threads);
    with_run(args, options.load.window.window(), &all, |run| {
        let drivers = (0..threads)
            .map(|part| {
                let first = users[..part].iter().sum();
                let pairs = Pairs::new(run.control, &pairs, (part, threads), first, users[part]);
                let range = (options.users + storms[..part].iter().sum::<usize>(), storms[part]);
                Beside::new(pairs, users[part], Storm::new(run, part, options, &shared, range))
            })
            .collect();
        let (mut measured, drivers) = run.drive(drivers)?;
        let mut back = Latency::default();
        let (mut failed_attempts, mut given_up) = (std::collections::BTreeMap::new(), 0);
        for driver in &drivers {
            driver.first.close(&mut measured);
            let storm = &driver.second;
            measured.faults.add(&storm.book.faults);
            back.add(&storm.back);
            given_up += storm.given_up;
            storm
                .failed
                .iter()
                .for_each(|(kind, count)| *failed_attempts.entry(kind.clone()).or_default() += count);
        }
        let mut rounds = shared.rounds();
        if measured.interrupted || measured.called_off.is_some() {
            // Those that had no time to begin say nothing about the server.
            rounds.retain(|round| round.went + round.away > 0);
        }
        let sync_cpu_us = StormPart::sync_cpu(&rounds);
        let disk_reads = options.sync.then(|| StormPart::disk_reads(&measured.course.server_counters));
        let part = StormPart {
            rounds,
            back_us: back.quantiles(),
            failed_attempts,
            given_up,
            sync_cpu_us,
            disk_reads,
        };
        let books = drivers.iter().map(|driver| &driver.first.book);
        let table = Table::new("storm", workload(options)).with(run, measured, books);
        Ok(Report { parts: Parts { storm: Some(part), ..Parts::default() }, ..table })
    })
}
