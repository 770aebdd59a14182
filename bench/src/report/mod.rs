//! What a run says at its end: the numbers here, how they are shown in the files beside this one. Knows no workload.
mod chart;
pub(crate) mod compare;
mod data;
mod disk;
pub(crate) mod figures;
mod files;
mod heartbeat;
mod hgrm;
mod hlog;
mod html;
mod parts;
#[cfg(test)]
mod sample;
mod spread;
mod summary;
mod text;
mod units;
mod verdict;

use crate::late::Evidence;
use crate::latency::{Latency, Quantiles};
use crate::ledger::Faults;
use crate::procstat::{self, Usage};
use crate::scenario::common::Book;
use crate::scenario::{Measured, Run};
pub(crate) use data::{Centre, Course, CurvePoint, Heat, Memory, MemoryAt, Moment, Slice};
pub(crate) use disk::DiskPart;
pub(crate) use files::{Out, OutArgs};
pub(crate) use heartbeat::HeartbeatPart;
pub(crate) use parts::{
    ChurnPart, MixedPart, Parts, RampupPart, RampupStep, RecoverPart, Recovery, StormPart, StormRound,
    WeightPart,
};
use serde::{Deserialize, Serialize};
pub(crate) use spread::Spread;
use std::collections::BTreeMap;

/// From this share of its cores on a side counts as saturated, in percent of what it has.
const SATURATED: f64 = 95.0;

/// What `summary.json` looks like; grows by one when a reader of the old one would misread the new one.
pub(crate) const FORMAT: u32 = 1;

/// Which side was the bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Saturated {
    Neither,
    Server,
    Generator,
    Both,
    /// The server's process was not given.
    Unknown,
}

/// Memory and rest of idle connections.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct IdlePart {
    pub(crate) connections: usize,
    pub(crate) rss_before: u64,
    pub(crate) rss_after: u64,
    pub(crate) bytes_per_connection: f64,
    /// Of those opened after about half of them: without what the first ones made the server set up.
    pub(crate) bytes_per_connection_second_half: Option<f64>,
    /// Nothing where the server could not be looked at.
    pub(crate) setup_cpu_us_per_connection: Option<f64>,
    /// That is of accept, upgrade and sign-in alone: nobody sent anything else.
    #[serde(default)]
    pub(crate) sign_in_only: bool,
}

/// A pair's latency beside what disturbs it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Disturbed {
    pub(crate) without: Quantiles,
    pub(crate) with: Quantiles,
    pub(crate) p99_difference_us: f64,
    pub(crate) broadcasts: u64,
    pub(crate) broadcast_deliveries: u64,
}

/// One run; `summary.json` is this, and is read back by `compare`, which takes no notice of fields that it does not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`FORMAT`] when it was written.
    pub(crate) format: u32,
    pub(crate) scenario: String,
    pub(crate) workload: String,
    pub(crate) machine: String,
    /// The command line that repeats it.
    pub(crate) command: String,
    /// When it began, in seconds since 1970.
    pub(crate) started: f64,
    /// Of the generator.
    pub(crate) version: String,
    /// Ended before its time: what it has is here.
    pub(crate) interrupted: bool,
    /// Why it could not be what was asked for, if it could not.
    #[serde(default)]
    pub(crate) called_off: Option<String>,
    /// Why the generator itself was too slow for the latencies to be the server's, if it was.
    pub(crate) late: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    /// Of an open loop's messages meant for the measured time, those that left within it.
    #[serde(default)]
    pub(crate) in_time: Option<u64>,
    pub(crate) deliveries: u64,
    pub(crate) acks: u64,
    /// Bytes of all frames in the measured time, headers included; of those sent for each message, of those received for
    /// each delivery, which acks and signs of life are counted in with.
    #[serde(default)]
    pub(crate) bytes_sent: u64,
    #[serde(default)]
    pub(crate) bytes_received: u64,
    #[serde(default)]
    pub(crate) bytes_sent_per_message: Option<f64>,
    #[serde(default)]
    pub(crate) bytes_received_per_delivery: Option<f64>,
    /// Frames of messages that left compressed in the measured time, and that came so.
    #[serde(default)]
    pub(crate) packed: u64,
    #[serde(default)]
    pub(crate) unpacked: u64,
    pub(crate) deliveries_per_second: f64,
    pub(crate) server_cpu_us_per_delivery: Option<f64>,
    /// Deliveries and acks together.
    pub(crate) server_cpu_us_per_frame: Option<f64>,
    pub(crate) generator_cpu_us_per_delivery: Option<f64>,
    pub(crate) saturated: Saturated,
    pub(crate) server: Option<Usage>,
    pub(crate) generator: Option<Usage>,
    pub(crate) ring_enters_per_delivery: Option<f64>,
    pub(crate) latency_us: Option<Quantiles>,
    /// From when each message was meant to leave until its ack came, where acks are asked for; and the longest time without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_us: Option<Quantiles>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_gap_us: Option<f64>,
    /// What the server's disk took, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<DiskPart>,
    /// How late the generator sent, in an open loop.
    pub(crate) lag_us: Option<Quantiles>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idle: Option<IdlePart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disturbed: Option<Disturbed>,
    /// Heartbeats of the measured time, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat: Option<HeartbeatPart>,
    #[serde(flatten)]
    pub(crate) parts: Parts,
    pub(crate) faults: Faults,
    pub(crate) failed_connections: u64,
    /// How many connections ended in which way that nobody asked for.
    #[serde(default)]
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) server_errors: u64,
    /// Heartbeats that the server asked for and got, in the whole run.
    #[serde(default)]
    pub(crate) heartbeats: u64,
    /// TLS handshakes in the whole run, and those of them that resumed a session.
    #[serde(default)]
    pub(crate) handshakes: u64,
    #[serde(default)]
    pub(crate) resumed: u64,
    /// How often a connection was told to come later (HTTP 503 with `Retry-After`) in the whole run, and did.
    #[serde(default)]
    pub(crate) told_to_wait: u64,
    pub(crate) notes: Vec<String>,
    /// The run moment by moment, and its curves.
    pub(crate) course: Course,
}

/// A report's heading, before its numbers are known.
pub(crate) struct Table {
    scenario: &'static str,
    workload: String,
}

impl Table {
    pub(crate) fn new(scenario: &'static str, workload: String) -> Self {
        Self { scenario, workload }
    }

    /// Fills in what was measured.
    pub(crate) fn with<'b, 'c: 'b>(
        self,
        run: &Run<'_>,
        measured: Measured,
        books: impl Iterator<Item = &'b Book<'c>>,
    ) -> Report {
        let Booked { latency, lag, in_time, acks, ack_gap } = Booked::of(books);
        let each = |bytes: u64, count: u64| (count > 0).then(|| bytes as f64 / count as f64);
        let frames = measured.deliveries + measured.acks;
        let saturated = saturated(&measured, run.target.cores.unwrap_or(1), run.shares.len());
        let evidence = Evidence {
            latency: latency.quantiles(),
            lag: lag.quantiles(),
            in_time,
            saturated: generator_full(&measured, run.shares.len()),
        };
        let heartbeat = HeartbeatPart::measured(&measured);
        let disk = DiskPart::measured(&measured);
        Report {
            format: FORMAT,
            scenario: self.scenario.to_owned(),
            workload: format!("{}{}{}", self.workload, run.args.describe(), run.target.describe()),
            machine: procstat::machine(),
            command: shell_words::join(std::env::args()),
            started: measured.started,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interrupted: measured.interrupted,
            called_off: measured.called_off,
            late: evidence.late(),
            seconds: measured.seconds,
            sent: measured.sent,
            in_time: lag.quantiles().map(|_| in_time),
            deliveries: measured.deliveries,
            acks: measured.acks,
            bytes_sent: measured.bytes_sent,
            bytes_received: measured.bytes_received,
            bytes_sent_per_message: each(measured.bytes_sent, measured.sent),
            bytes_received_per_delivery: each(measured.bytes_received, measured.deliveries),
            packed: measured.packed,
            unpacked: measured.unpacked,
            deliveries_per_second: measured.deliveries as f64 / measured.seconds.max(1e-9),
            server_cpu_us_per_delivery: per(measured.server, measured.deliveries),
            server_cpu_us_per_frame: per(measured.server, frames),
            generator_cpu_us_per_delivery: per(measured.generator, measured.deliveries),
            saturated,
            server: measured.server,
            generator: measured.generator,
            ring_enters_per_delivery: measured.ring_enters_per_delivery,
            latency_us: latency.quantiles(),
            ack_us: acks.quantiles(),
            ack_gap_us: acks.quantiles().map(|_| ack_gap as f64 / 1e3),
            disk,
            lag_us: lag.quantiles(),
            idle: None,
            disturbed: None,
            heartbeat,
            parts: Parts::default(),
            faults: measured.faults,
            failed_connections: measured.failed,
            failures: measured.failures,
            server_errors: measured.errors,
            heartbeats: measured.heartbeats,
            handshakes: measured.handshakes,
            resumed: measured.resumed,
            told_to_wait: measured.told_to_wait,
            notes: measured.notes,
            course: Course {
                latency: latency.curve(),
                lag: lag.curve(),
                latency_centre: latency.centre(),
                lag_centre: lag.centre(),
                ..measured.course
            },
        }
    }
}

/// What all books of a run say together.
#[derive(Default)]
struct Booked {
    latency: Latency,
    lag: Latency,
    in_time: u64,
    acks: Latency,
    /// The longest time without an ack, in nanoseconds.
    ack_gap: u64,
}

impl Booked {
    fn of<'b, 'c: 'b>(books: impl Iterator<Item = &'b Book<'c>>) -> Self {
        let mut all = Self::default();
        for book in books {
            all.latency.add(&book.latency);
            all.lag.add(&book.lag);
            all.in_time += book.in_time;
            all.acks.add(book.ack_latency());
            all.ack_gap = all.ack_gap.max(book.ack_gap());
        }
        all
    }
}

/// CPU µs for each of so many.
fn per(usage: Option<Usage>, count: u64) -> Option<f64> {
    usage.filter(|_| count > 0).map(|usage| usage.cpu * 1e6 / count as f64)
}

fn full(usage: Usage, cores: usize) -> bool {
    usage.wanted_percent() >= SATURATED * cores as f64
}

fn generator_full(measured: &Measured, threads: usize) -> bool {
    // One that spins is busy whatever there is to do; whether it keeps up is seen by its lag alone.
    !measured.spun && measured.generator.is_some_and(|usage| full(usage, threads))
}

fn saturated(measured: &Measured, server_cores: usize, threads: usize) -> Saturated {
    match (measured.server.map(|usage| full(usage, server_cores)), generator_full(measured, threads)) {
        (None, _) => Saturated::Unknown,
        (Some(true), true) => Saturated::Both,
        (Some(true), false) => Saturated::Server,
        (Some(false), true) => Saturated::Generator,
        (Some(false), false) => Saturated::Neither,
    }
}

impl Report {
    /// Whether there was a measured time, however short.
    pub(crate) fn measured(&self) -> bool {
        self.course.measured.is_some_and(|(from, to)| to > from)
    }

    /// Whether every message arrived once, in order, on connections that lived.
    pub(crate) fn clean(&self) -> bool {
        let whole = self.failed_connections == 0 && self.server_errors == 0 && self.called_off.is_none();
        self.faults.none() && whole && self.parts.clean() && self.heartbeat.iter().all(HeartbeatPart::clean)
    }
}
