//! Everyone is cut off and comes back, while a few go on chatting. Knows no socket.
mod driver;

use super::common::LoadArgs;
use super::pairs::{Pairs, PairsArgs};
use super::rest::RestArgs;
use super::{shares, with_run};
use crate::engine::Beside;
use crate::latency::Latency;
use crate::report::{Parts, Report, StormPart, Table};
use crate::target::TargetArgs;
use anyhow::ensure;
use clap::{Args, ValueEnum};
use driver::{Shared, Storm};

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
    /// Users beside them who stay and chat in pairs; an even number, 0 for none
    #[arg(long, default_value_t = 20)]
    pub(crate) users: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
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
    let users = shares(options.users, 2, threads);
    let storms = shares(connections, 1, threads);
    let all: Vec<usize> = users.iter().zip(&storms).map(|(users, storm)| users + storm).collect();
    let shared = Shared::new(options.rounds as usize, threads);
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
        let part = StormPart { rounds, back_us: back.quantiles(), failed_attempts, given_up };
        let how = if options.how == How::Cut { "cut off" } else { "closed" };
        let beside = match options.users {
            0 => "nobody beside them".to_owned(),
            users => format!("{users} users chat beside them, {}", options.load.describe("pair")),
        };
        let rounds = options.rounds;
        let workload = format!("{connections} connections {how} and back, {rounds} times; {beside}");
        let books = drivers.iter().map(|driver| &driver.first.book);
        let table = Table::new("storm", workload).with(run, measured, books);
        Ok(Report { parts: Parts { storm: Some(part), ..Parts::default() }, ..table })
    })
}
