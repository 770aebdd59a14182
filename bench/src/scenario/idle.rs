//! Connections that sign in, send and receive once, and then rest. Knows no socket.
use super::crowd::Crowd;
use super::{shares, with_run};
use crate::control::Window;
use crate::report::{HeartbeatPart, IdlePart, Parts, Report, Table, WeightPart};
use crate::target::{TargetArgs, positive};
use crate::wire::dialect::Answer;
use anyhow::ensure;
use clap::Args;
use std::time::Duration;

/// Options of `idle`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// Connections; one process holds as many as its file limit allows
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Rest, measured
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) hold: Duration,
    /// Time between the last sign-in and the measured rest
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) settle: Duration,
    /// Fails when the server's resident memory grows by more than so many bytes for each connection
    #[arg(long, value_name = "BYTES", value_parser = positive)]
    pub(crate) server_bytes: Option<f64>,
    /// The same for the generator's
    #[arg(long, value_name = "BYTES", value_parser = positive)]
    pub(crate) generator_bytes: Option<f64>,
    /// Connections rest as soon as they are signed in, unasked for a sign of life: CPU of the set-up is that of accept, upgrade
    /// and sign-in alone
    #[arg(long)]
    pub(crate) sign_in_only: bool,
    /// Fails when the server's heartbeats of any second are more than so many times the mean
    #[arg(long, value_name = "TIMES", value_parser = positive)]
    pub(crate) heartbeat_burst: Option<f64>,
}

/// One of so many connections may fail while they are opened.
const SPARE: u64 = 100;

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &IdleArgs) -> anyhow::Result<Report> {
    ensure!(options.connections > 0, "--connections must be 1 or more");
    ensure!(
        !options.sign_in_only || args.dialect()?.answers_with(Answer::Authenticated),
        "--sign-in-only: in this --dialect no sign-in is answered, and there is no telling when one is done"
    );
    let shares = shares(options.connections, 1, args.threads.clamp(1, options.connections));
    let window = Window { warmup: options.settle, duration: options.hold, drain: Duration::ZERO };
    with_run(args, window, &shares, |run| {
        let mut first = 0;
        let drivers = (0..shares.len())
            .map(|part| {
                let range = (first, shares[part]);
                first += shares[part];
                let crowd = Crowd::new((run.control, part), range);
                if options.sign_in_only { crowd.silent() } else { crowd }
            })
            .collect();
        // A million do not have to be opened again because one failed: it is counted, and the rest is weighed.
        let spare = options.connections as u64 / SPARE;
        let (measured, drivers) = run.drive_sparing(drivers, spare)?;
        let connections = measured.connected;
        let idle = measured.server.zip(measured.rss_before).filter(|_| connections > 0).map(
            |(server, rss_before)| {
                let each = |value: f64| value / connections as f64;
                let second_half = measured
                    .rss_half
                    .filter(|(open, _)| *open < connections)
                    .map(|(open, rss)| (server.rss as f64 - rss as f64) / (connections - open) as f64);
                IdlePart {
                    connections: usize::try_from(connections).unwrap_or(usize::MAX),
                    rss_before,
                    rss_after: server.rss,
                    bytes_per_connection: each(server.rss as f64 - rss_before as f64),
                    bytes_per_connection_second_half: second_half,
                    setup_cpu_us_per_connection: measured.setup_cpu.map(|cpu| each(cpu * 1e6)),
                    sign_in_only: options.sign_in_only,
                }
            },
        );
        let weight = measured.course.memory.filter(|_| connections > 0).map(|memory| {
            let grown = |before: u64, after: u64| (after as f64 - before as f64) / connections as f64;
            let server = memory.before.server_rss.zip(memory.plateau.server_rss);
            WeightPart {
                server: server.map(|(before, after)| grown(before, after)),
                generator: grown(memory.before.generator_rss, memory.plateau.generator_rss),
                kernel: grown(memory.before.slab, memory.plateau.slab),
                server_max: options.server_bytes,
                generator_max: options.generator_bytes,
            }
        });
        let workload = format!("{} signed-in connections at rest", options.connections);
        let books = drivers.iter().map(|driver: &Crowd<'_>| &driver.book);
        let parts = Parts { weight, ..Parts::default() };
        let table = Table::new("idle", workload).with(run, measured, books);
        let bounded = |part| HeartbeatPart { burst_max: options.heartbeat_burst, ..part };
        Ok(Report { idle, parts, heartbeat: table.heartbeat.clone().map(bounded), ..table })
    })
}
