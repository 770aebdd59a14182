//! What a run says at its end, as text and as JSON: workload and machine first, then who was saturated, then numbers.
mod data;

use crate::latency::{Latency, Quantiles};
use crate::ledger::Faults;
use crate::procstat::{self, Usage};
use crate::scenario::common::Book;
use crate::scenario::{Measured, Run};
pub(crate) use data::{Course, CurvePoint, Heat, Memory, MemoryAt, Moment, Slice};
use serde::Serialize;
use std::fmt;

/// From this share of its cores on a side counts as saturated, in percent of what it has.
const SATURATED: f64 = 95.0;

/// Which side was the bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct IdlePart {
    pub(crate) connections: usize,
    pub(crate) rss_before: u64,
    pub(crate) rss_after: u64,
    pub(crate) bytes_per_connection: f64,
    /// Of those opened after about half of them: without what the first ones made the server set up.
    pub(crate) bytes_per_connection_second_half: Option<f64>,
    pub(crate) setup_cpu_us_per_connection: f64,
}

/// A pair's latency beside what disturbs it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Disturbed {
    pub(crate) without: Quantiles,
    pub(crate) with: Quantiles,
    pub(crate) p99_difference_us: f64,
    pub(crate) broadcasts: u64,
    pub(crate) broadcast_deliveries: u64,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) workload: String,
    pub(crate) machine: String,
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) deliveries: u64,
    pub(crate) acks: u64,
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
    /// How late the generator sent, in an open loop.
    pub(crate) lag_us: Option<Quantiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle: Option<IdlePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disturbed: Option<Disturbed>,
    pub(crate) faults: Faults,
    pub(crate) failed_connections: usize,
    pub(crate) server_errors: u64,
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
        let (mut latency, mut lag) = (Latency::default(), Latency::default());
        for book in books {
            latency.add(&book.latency);
            lag.add(&book.lag);
        }
        let per = |usage: Option<Usage>, count: u64| {
            usage.filter(|_| count > 0).map(|usage| usage.cpu * 1e6 / count as f64)
        };
        let frames = measured.deliveries + measured.acks;
        let enters = measured.ring_enters.filter(|_| measured.deliveries > 0);
        Report {
            scenario: self.scenario,
            workload: self.workload,
            machine: procstat::machine(),
            seconds: measured.seconds,
            sent: measured.sent,
            deliveries: measured.deliveries,
            acks: measured.acks,
            deliveries_per_second: measured.deliveries as f64 / measured.seconds.max(1e-9),
            server_cpu_us_per_delivery: per(measured.server, measured.deliveries),
            server_cpu_us_per_frame: per(measured.server, frames),
            generator_cpu_us_per_delivery: per(measured.generator, measured.deliveries),
            saturated: saturated(&measured, run.target.cores.unwrap_or(1), run.shares.len()),
            server: measured.server,
            generator: measured.generator,
            ring_enters_per_delivery: enters.map(|enters| enters as f64 / measured.deliveries as f64),
            latency_us: latency.quantiles(),
            lag_us: lag.quantiles(),
            idle: None,
            disturbed: None,
            faults: measured.faults,
            failed_connections: measured.failed,
            server_errors: measured.errors,
            notes: measured.notes,
            course: measured.course,
        }
    }
}

fn saturated(measured: &Measured, server_cores: usize, threads: usize) -> Saturated {
    let full = |usage: Usage, cores: usize| usage.wanted_percent() >= SATURATED * cores as f64;
    let generator = measured.generator.is_some_and(|usage| full(usage, threads));
    match (measured.server.map(|usage| full(usage, server_cores)), generator) {
        (None, _) => Saturated::Unknown,
        (Some(true), true) => Saturated::Both,
        (Some(true), false) => Saturated::Server,
        (Some(false), true) => Saturated::Generator,
        (Some(false), false) => Saturated::Neither,
    }
}

impl Report {
    /// Whether every message arrived once, in order, on connections that lived.
    pub(crate) fn clean(&self) -> bool {
        self.faults.none() && self.failed_connections == 0 && self.server_errors == 0
    }
}

fn side(f: &mut fmt::Formatter<'_>, name: &str, usage: &Usage, per: Option<f64>) -> fmt::Result {
    write!(
        f,
        "  {name:<10} {:5.1} % CPU (+ {:.1} % waiting for a core)",
        usage.cpu_percent(),
        usage.wanted_percent() - usage.cpu_percent()
    )?;
    if let Some(us) = per {
        write!(f, ", {us:.2} µs per delivery")?;
    }
    let switches = usage.switches as f64 / usage.seconds.max(1e-9);
    writeln!(f, ", {:.1} MB resident, {switches:.0} context switches/s", usage.rss as f64 / 1e6)
}

fn quantiles(f: &mut fmt::Formatter<'_>, name: &str, q: &Quantiles) -> fmt::Result {
    writeln!(
        f,
        "  {name:<10} p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  p99.99 {:.1}  max {:.1} µs  ({} messages)",
        q.p50, q.p90, q.p99, q.p999, q.p9999, q.max, q.count
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.workload)?;
        writeln!(f, "  {:<10} {}; saturated: {:?}", "machine", self.machine, self.saturated)?;
        if let Some(us) = self.server_cpu_us_per_delivery {
            write!(f, "  {:<10} {us:.2} µs server CPU per delivery", "cost")?;
            if let (Some(us), true) = (self.server_cpu_us_per_frame, self.acks > 0) {
                write!(f, ", {us:.2} µs per frame out (deliveries and acks)")?;
            }
            if let Some(enters) = self.ring_enters_per_delivery {
                write!(f, ", {enters:.3} ring enters per delivery")?;
            }
            writeln!(f)?;
        }
        let rate = self.deliveries_per_second;
        writeln!(
            f,
            "  {:<10} {} messages sent, {} delivered, {} acked in {:.2} s: {rate:.0} deliveries/s",
            "counted", self.sent, self.deliveries, self.acks, self.seconds
        )?;
        if let Some(usage) = &self.server {
            side(f, "server", usage, None)?;
        }
        if let Some(usage) = &self.generator {
            side(f, "generator", usage, self.generator_cpu_us_per_delivery)?;
        }
        if let Some(q) = &self.latency_us {
            quantiles(f, "latency", q)?;
        }
        if let Some(q) = &self.lag_us {
            quantiles(f, "lag", q)?;
        }
        self.special(f)?;
        if !self.clean() {
            writeln!(
                f,
                "  {:<10} {:?}, {} failed connections, {} error answers",
                "WRONG", self.faults, self.failed_connections, self.server_errors
            )?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {:<10} {note}", "note"))
    }
}

impl Report {
    fn special(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(idle) = &self.idle {
            let half = idle.bytes_per_connection_second_half;
            let half = half.map_or_else(String::new, |bytes| format!(" ({bytes:.0} in the second half)"));
            writeln!(
                f,
                "  {:<10} server resident {:.2} MB before, {:.2} MB with {} connections: {:.0} bytes each{half}; \
                 {:.1} µs CPU to accept, upgrade, sign in and answer once",
                "memory",
                idle.rss_before as f64 / 1e6,
                idle.rss_after as f64 / 1e6,
                idle.connections,
                idle.bytes_per_connection,
                idle.setup_cpu_us_per_connection
            )?;
        }
        if let Some(d) = &self.disturbed {
            quantiles(f, "without", &d.without)?;
            quantiles(f, "with", &d.with)?;
            writeln!(
                f,
                "  {:<10} p99 moved by {:.3} ms; {} broadcasts, {} deliveries of them",
                "broadcast",
                d.p99_difference_us / 1e3,
                d.broadcasts,
                d.broadcast_deliveries
            )?;
        }
        Ok(())
    }
}
