//! A realistic blend: private and group conversations, some busy and most not, of several sizes. Knows no socket.
mod blend;
mod driver;
mod muster;
mod slow;

use super::common::LoadArgs;
use super::rest::{self, RestArgs};
use super::{shares, with_run};
use crate::latency::Latency;
use crate::report::{MixedPart, Parts, Report, Table};
use crate::target::TargetArgs;
use anyhow::ensure;
use blend::Sizes;
use clap::Args;
use driver::Mixed;
use std::time::Duration;

/// Options of `mixed`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MixedArgs {
    /// Users
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) users: u32,
    /// Private conversations, each between two users
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) conversations: u32,
    /// Groups
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) groups: u32,
    /// Members of each group
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub(crate) members: u32,
    /// How much busier the busier conversations are: the k-th has a share in proportion to 1 / k^ZIPF
    #[arg(long, default_value_t = 1.0, value_parser = exponent)]
    pub(crate) zipf: f64,
    /// Payload sizes and their weights
    #[arg(long, default_value = "64:70,256:20,1024:9,4096:1", value_name = "BYTES:WEIGHT,…")]
    pub(crate) sizes: Sizes,
    /// How often each client asks for a sign of life, where the dialect has one
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) heartbeat: Duration,
    /// Share of the users who read slowly: 1% or 0.01
    #[arg(long, default_value = "0", value_parser = share)]
    pub(crate) slow_readers: f64,
    /// How long a slow reader reads nothing
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) slow_pause: Duration,
    /// How long it then reads
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration)]
    pub(crate) slow_read: Duration,
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

fn exponent(text: &str) -> anyhow::Result<f64> {
    let exponent: f64 = text.parse()?;
    ensure!((0.0..=4.0).contains(&exponent), "must be between 0 and 4");
    Ok(exponent)
}

fn share(text: &str) -> anyhow::Result<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>()? / 100.0,
        None => text.parse()?,
    };
    ensure!((0.0..=1.0).contains(&share), "must be between 0 and 1, or 0% and 100%");
    Ok(share)
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &MixedArgs) -> anyhow::Result<Report> {
    ensure!(options.load.open_loop(), "a blend follows its schedule: there is no --in-flight here");
    ensure!(!options.heartbeat.is_zero(), "--heartbeat must be longer than nothing");
    ensure!(
        options.groups == 0 || args.dialect()?.join("").is_some(),
        "in this --dialect a connection is in one group: --groups 0"
    );
    let threads = args.threads.clamp(1, (options.users / 2) as usize);
    let users = shares(options.users as usize, 1, threads);
    ensure!(
        options.groups == 0 || users.iter().all(|&users| users >= options.members as usize),
        "--members must be no more than the users of each thread"
    );
    ensure!(
        options.conversations as usize >= threads,
        "--conversations must be one at least for each thread"
    );
    with_run(args, options.load.window.window(), &options.rest.added(&users), |run| {
        let drivers = (0..threads)
            .map(|part| {
                Mixed::new(run.control, options, (part, threads), (users[..part].iter().sum(), users[part]))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let drivers = options.rest.beside(run, drivers, &users);
        let (mut measured, drivers) = run.drive_sparing(drivers, options.rest.spare())?;
        rest::close(&drivers, &mut measured.faults);
        let mut part = MixedPart::default();
        let mut slow = Latency::default();
        for driver in drivers.iter().map(|driver| &driver.first) {
            driver.close(&mut measured.faults, &mut part);
            slow.add(&driver.book.second);
        }
        part.slow_latency_us = slow.quantiles();
        let table = Table::new("mixed", describe(options));
        let report = table.with(run, measured, drivers.iter().map(|driver| &driver.first.book));
        Ok(Report { parts: Parts { mixed: Some(part), ..Parts::default() }, ..report })
    })
}

fn describe(options: &MixedArgs) -> String {
    let sizes: Vec<String> =
        options.sizes.0.iter().map(|(size, weight)| format!("{size} B × {weight}")).collect();
    format!(
        "{} users{}, {} private conversations and {} groups of {}, Zipf {} (seed {}), {}, {} % slow readers, {}",
        options.users,
        options.rest.describe(),
        options.conversations,
        options.groups,
        options.members,
        options.zipf,
        options.load.seed,
        sizes.join(" "),
        options.slow_readers * 100.0,
        options.load.describe("conversation")
    )
}
