//! What a broadcast to many does to the latency of one private pair. Knows no socket.
use super::common::LoadArgs;
use super::crowd::{Crowd, Speaker};
use super::pairs::{Pairs, PairsArgs};
use super::rest::RestArgs;
use super::with_run;
use crate::control::Window;
use crate::engine::{ConnId, Driver, Io, Next};
use crate::latency::Latency;
use crate::report::{Disturbed, Report, Table};
use crate::target::TargetArgs;
use anyhow::ensure;
use clap::Args;
use std::time::Duration;

/// Options of `broadcast`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BroadcastArgs {
    /// Connections that receive the broadcasts
    #[arg(long, default_value_t = 15_000)]
    pub(crate) connections: usize,
    /// Time between two broadcasts
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) every: Duration,
    /// Turns of quiet and broadcasts that the duration is cut into, two slices each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) turns: u32,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// One thread measures the pair, the other holds the crowd.
#[allow(clippy::large_enum_variant)] // two of them exist
enum Part<'a> {
    Pair(Pairs<'a>),
    Crowd(Crowd<'a>),
}

/// Runs the workload.
pub(crate) fn run(args: &TargetArgs, options: &BroadcastArgs) -> anyhow::Result<Report> {
    let load = options.load.clone();
    ensure!(options.connections >= 2, "--connections must be 2 or more");
    let slice = load.window.duration / (2 * options.turns);
    ensure!(
        slice >= options.every,
        "each slice of the duration must hold a broadcast: {slice:?} is too short"
    );
    let window = Window { duration: slice * 2 * options.turns, ..load.window.window() };
    let payload = load.payload as usize;
    let pair = PairsArgs { users: 2, ids: false, rest: RestArgs { idle: 0 }, load };
    with_run(args, window, &[2, options.connections], |run| {
        let mut pairs = Pairs::new(run.control, &pair, (0, 1), 0, 2);
        let range = (2, options.connections);
        let speaker = Speaker::new(run.control, payload, nanos(options.every));
        let mut crowd = Crowd::new((run.control, 1), range).speaking(speaker);
        pairs.book.alternate(nanos(slice));
        crowd.book.alternate(nanos(slice));
        let (mut measured, parts) = run.drive(vec![Part::Pair(pairs), Part::Crowd(crowd)])?;
        let (mut without, mut with) = (Latency::default(), Latency::default());
        let mut spoken = (0, 0);
        for part in &parts {
            match part {
                Part::Pair(pairs) => {
                    pairs.close(&mut measured);
                    without.add(&pairs.book.latency);
                    with.add(&pairs.book.second);
                }
                Part::Crowd(crowd) => {
                    crowd.close(&mut measured.faults);
                    spoken = crowd.speaker().map_or((0, 0), |s| (u64::from(s.sent), s.delivered));
                }
            }
        }
        // A run that was ended early may have nothing in one of the two kinds of slices.
        let disturbed = without.quantiles().zip(with.quantiles()).map(|(without, with)| Disturbed {
            without,
            with,
            p99_difference_us: with.p99 - without.p99,
            broadcasts: spoken.0,
            broadcast_deliveries: spoken.1,
        });
        let (connections, rate) = (options.connections, pair.load.describe("pair"));
        let every = options.every;
        let workload = format!(
            "a pair beside {connections} connections, {rate}; a broadcast each {every:?} in every other {slice:?}"
        );
        let books = parts.iter().map(|part| match part {
            Part::Pair(pairs) => &pairs.book,
            Part::Crowd(crowd) => &crowd.book,
        });
        let table = Table::new("broadcast", workload).with(run, measured, books);
        // The two kinds of slices are told apart; together their latencies say nothing, and the cost is not the pair's.
        Ok(Report {
            disturbed,
            latency_us: None,
            bytes_sent_per_message: None,
            bytes_received_per_delivery: None,
            server_cpu_us_per_delivery: None,
            server_cpu_us_per_frame: None,
            generator_cpu_us_per_delivery: None,
            ..table
        })
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Driver for Part<'_> {
    fn path(&self, conn: ConnId) -> Option<String> {
        match self {
            Self::Pair(pairs) => pairs.path(conn),
            Self::Crowd(crowd) => crowd.path(conn),
        }
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        match self {
            Self::Pair(pairs) => pairs.user(conn),
            Self::Crowd(crowd) => crowd.user(conn),
        }
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        match self {
            Self::Pair(pairs) => pairs.opened(io, conn),
            Self::Crowd(crowd) => crowd.opened(io, conn),
        }
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        match self {
            Self::Pair(pairs) => pairs.message(io, conn, payload, now),
            Self::Crowd(crowd) => crowd.message(io, conn, payload, now),
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        match self {
            Self::Pair(pairs) => pairs.turn(io, now),
            Self::Crowd(crowd) => crowd.turn(io, now),
        }
    }
}
