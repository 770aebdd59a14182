//! The figures by which runs are compared. Knows a report, not what it is compared with.
use super::Report;

/// A figure of a run.
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) of: fn(&Report) -> Option<f64>,
}

const fn figure(what: &'static str, of: fn(&Report) -> Option<f64>) -> Figure {
    Figure { what, of }
}

/// All of them, the ones to quote first at the top.
pub(crate) const FIGURES: [Figure; 22] = [
    figure("server CPU µs per delivery", |report| report.server_cpu_us_per_delivery),
    figure("server CPU µs per frame out", |report| {
        report.server_cpu_us_per_frame.filter(|_| report.acks > 0)
    }),
    figure("% of a core waited for", |report| {
        report.server.map(|usage| usage.wanted_percent() - usage.cpu_percent())
    }),
    figure("deliveries/s", |report| Some(report.deliveries_per_second).filter(|_| report.deliveries > 0)),
    figure("bytes sent per message", |report| report.bytes_sent_per_message),
    figure("bytes received per delivery", |report| report.bytes_received_per_delivery),
    figure("latency p50 µs", |report| report.latency_us.map(|latency| latency.p50)),
    figure("latency p90 µs", |report| report.latency_us.map(|latency| latency.p90)),
    figure("latency p99 µs", |report| report.latency_us.map(|latency| latency.p99)),
    figure("latency p99.9 µs", |report| report.latency_us.map(|latency| latency.p999)),
    figure("latency p99.99 µs", |report| report.latency_us.map(|latency| latency.p9999)),
    figure("latency max µs", |report| report.latency_us.map(|latency| latency.max)),
    figure("generator's lag p99 µs", |report| report.lag_us.map(|lag| lag.p99)),
    figure("server resident MB", |report| report.server.map(|usage| usage.rss as f64 / 1e6)),
    figure("server bytes per connection", |report| {
        report
            .idle
            .map(|idle| idle.bytes_per_connection)
            .or_else(|| per_connection(report, |at| at.server_rss))
    }),
    figure("slab bytes per connection", |report| per_connection(report, |at| Some(at.slab))),
    figure("CPU µs per sign-in", |report| {
        let churn = || report.parts.churn.as_ref()?.server_cpu_us_per_connection;
        report.idle.and_then(|idle| idle.setup_cpu_us_per_connection).or_else(churn)
    }),
    figure("heartbeats: % of a core", |report| report.heartbeat.as_ref()?.server_cpu),
    figure("heartbeats: busiest second / mean", |report| report.heartbeat.as_ref()?.burst),
    figure("p99 moved by broadcast, µs", |report| {
        report.disturbed.map(|disturbed| disturbed.p99_difference_us)
    }),
    figure("messages lost or wrong", |report| {
        let faults = &report.faults;
        let count =
            faults.lost + faults.duplicated + faults.reordered + faults.misdelivered + faults.corrupted;
        Some(count as f64).filter(|_| count > 0)
    }),
    figure("failed connections", |report| {
        Some(report.failed_connections as f64).filter(|_| report.failed_connections > 0)
    }),
];

/// From so many connections on, what each of them added is told from noise.
pub(super) const ENOUGH: u64 = 1000;

fn per_connection(report: &Report, of: fn(&super::MemoryAt) -> Option<u64>) -> Option<f64> {
    let memory = report.course.memory?;
    let more =
        memory.plateau.connections.checked_sub(memory.before.connections).filter(|more| *more >= ENOUGH)?;
    Some((of(&memory.plateau)? as f64 - of(&memory.before)? as f64) / more as f64)
}
