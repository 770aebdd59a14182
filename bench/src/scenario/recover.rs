//! A server that is filled, stopped and started again, then killed and started again: how long until it is ready. Knows no socket.
use super::common::{LoadArgs, WindowArgs};
use super::pairs::{self, PairsArgs};
use super::{open, rest};
use crate::control::{Control, Phase};
use crate::procstat;
use crate::report::{Parts, RecoverPart, Recovery, Report};
use crate::scrape;
use crate::target::{Data, Target, TargetArgs};
use crate::wire::marker;
use anyhow::{Context, ensure};
use clap::Args;
use rustix::process::Signal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything takes to fill.
const FILLING: Duration = Duration::from_secs(24 * 3600);
/// How long acks of the last messages are waited for.
const DRAIN: Duration = Duration::from_secs(60);
/// Time under load before the server is killed.
const UNDER_LOAD: Duration = Duration::from_secs(2);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(1);
/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// Options of `recover`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecoverArgs {
    /// Messages that the server stores before it is stopped
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) messages: u64,
    /// Users, in pairs, an even number
    #[arg(long, default_value_t = 1000)]
    pub(crate) users: usize,
    /// Messages under way in each pair
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) in_flight: u32,
    /// Bytes of each message's payload
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(marker::SIZE as i64..=(1 << 20)))]
    pub(crate) payload: u32,
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &RecoverArgs) -> anyhow::Result<Report> {
    let target = open(args)?;
    let data = target
        .data()
        .context("the server's --spawn needs `{data}`, where it stores what it is to find again")?;
    ensure!(
        target.metrics.is_some(),
        "the server's --spawn needs `{{admin}}`: it is asked whether it is ready"
    );
    let (pairs, messages) = (load(options), options.messages);
    let report = pairs::beside(&target, args, &pairs, |control| {
        wait(control, || control.total(|tallies| &tallies.sent) >= messages);
        control.stop_early();
    })?;
    target.end(Signal::TERM);
    drop(target);
    let stored_bytes = size(data.folder());
    let stopped = start(args, &data)?;
    let after_stop = stopped.1;
    // What becomes of its messages is not this run's: they are cut off.
    pairs::beside(&stopped.0, args, &pairs, |control| {
        wait(control, || {
            control.measured().is_some_and(|(from, _)| control.now() > from + nanos(UNDER_LOAD))
        });
        stopped.0.end(Signal::KILL);
        control.finish();
    })?;
    drop(stopped);
    let (_last, after_kill) = start(args, &data)?;
    let part = RecoverPart { stored: report.sent, stored_bytes, after_stop, after_kill };
    let workload = format!("{} and stopped, started, killed, started", report.workload);
    Ok(Report {
        scenario: "recover".into(),
        workload,
        parts: Parts { recover: Some(part), ..Parts::default() },
        ..report
    })
}

/// Pairs that write until they are stopped.
fn load(options: &RecoverArgs) -> PairsArgs {
    let window = WindowArgs { duration: FILLING, warmup: Duration::ZERO, drain: DRAIN };
    let (payload, in_flight) = (options.payload, Some(options.in_flight));
    let load = LoadArgs { payload, rate: 1.0, in_flight, poisson: false, seed: 1, spin: false, window };
    PairsArgs { users: options.users, ids: true, rest: rest::RestArgs { idle: 0 }, load }
}

/// Waits, as long as the run goes on.
fn wait(control: &Control, mut until: impl FnMut() -> bool) {
    while !control.over() && control.phase(control.now()) <= Phase::Measure && !until() {
        std::thread::sleep(LOOK);
    }
}

/// Starts the server on what is stored, and waits until it says that it is ready.
fn start(args: &TargetArgs, data: &Arc<Data>) -> anyhow::Result<(Target, Recovery)> {
    let target = args.start_again(data)?;
    let page = target.metrics.as_deref().unwrap_or_default().replace("/metrics", "/readyz");
    while !scrape::answers(&page) {
        ensure!(target.since_start() < PATIENCE, "the server is not ready: {page}");
        ensure!(target.ended().is_none(), "the server has ended");
        std::thread::sleep(LOOK);
    }
    let seconds = target.since_start().as_secs_f64();
    let rss = target.pid.and_then(procstat::rss);
    Ok((target, Recovery { seconds, rss }))
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
