//! A report as the terminal shows it: workload and machine first, then who was saturated, then numbers. Writes no file.
use super::Report;
use super::verdict::{Grade, verdicts};
use crate::latency::Quantiles;
use crate::procstat::Usage;
use std::fmt;

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

pub(super) fn quantiles(f: &mut fmt::Formatter<'_>, name: &str, q: &Quantiles) -> fmt::Result {
    writeln!(
        f,
        "  {name:<10} p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  p99.99 {:.1}  max {:.1} µs  ({} messages)",
        q.p50, q.p90, q.p99, q.p999, q.p9999, q.max, q.count
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.workload)?;
        // `{:#}` is in colour.
        for verdict in verdicts(self).iter().filter(|verdict| verdict.grade != Grade::Good) {
            let red = if f.alternate() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            writeln!(f, "  {}{:<10} {}{}", red.0, verdict.word, verdict.text, red.1)?;
        }
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
        write!(
            f,
            "  {:<10} {} messages sent, {} delivered, {} acked in {:.2} s: {rate:.0} deliveries/s",
            "counted", self.sent, self.deliveries, self.acks, self.seconds
        )?;
        match self.heartbeats {
            0 => writeln!(f)?,
            count => writeln!(f, "; {count} heartbeats answered in the whole run")?,
        }
        if let Some((sent, received)) = self.bytes_sent_per_message.zip(self.bytes_received_per_delivery) {
            write!(
                f,
                "  {:<10} {sent:.1} bytes sent per message, {received:.1} received per delivery: all frames, headers included",
                "wire"
            )?;
            if self.packed + self.unpacked > 0 {
                write!(f, "; {} left compressed, {} came so", self.packed, self.unpacked)?;
            }
            writeln!(f)?;
        }
        self.came_in(f)?;
        if let Some(usage) = &self.server {
            side(f, "server", usage, None)?;
        }
        if let Some(usage) = &self.generator {
            side(f, "generator", usage, self.generator_cpu_us_per_delivery)?;
        }
        if let Some(q) = &self.latency_us {
            quantiles(f, "latency", q)?;
        }
        if let Some(q) = &self.ack_us {
            quantiles(f, "acks", q)?;
        }
        self.disk.iter().try_for_each(|disk| disk.write(f, self.ack_us.as_ref(), self.ack_gap_us))?;
        if let Some(q) = &self.lag_us {
            quantiles(f, "lag", q)?;
        }
        self.special(f)?;
        self.heartbeat.iter().try_for_each(|heartbeat| heartbeat.fmt(f))?;
        write!(f, "{}", self.parts)?;
        for (kind, count) in &self.failures {
            writeln!(f, "  {:<10} {count} connections: {kind}", "failed")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {:<10} {note}", "note"))
    }
}

impl Report {
    /// How connections came in, where that was not as usual.
    fn came_in(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.handshakes > 0 {
            let (all, resumed) = (self.handshakes, self.resumed);
            writeln!(
                f,
                "  {:<10} {all} handshakes in the whole run, {resumed} of them resumed a session",
                "TLS"
            )?;
        }
        if self.told_to_wait > 0 {
            let times = self.told_to_wait;
            writeln!(f, "  {:<10} {times} times a connection was told to wait, and came again", "waited")?;
        }
        Ok(())
    }

    fn special(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(idle) = &self.idle {
            let half = idle.bytes_per_connection_second_half;
            let half = half.map_or_else(String::new, |bytes| format!(" ({bytes:.0} in the second half)"));
            let setup = idle.setup_cpu_us_per_connection.map_or_else(String::new, |us| {
                let did = if idle.sign_in_only {
                    "upgrade and sign in"
                } else {
                    "upgrade, sign in and answer once"
                };
                format!("; {us:.1} µs CPU to accept, {did}")
            });
            writeln!(
                f,
                "  {:<10} server resident {:.2} MB before, {:.2} MB with {} connections: {:.0} bytes each{half}{setup}",
                "memory",
                idle.rss_before as f64 / 1e6,
                idle.rss_after as f64 / 1e6,
                idle.connections,
                idle.bytes_per_connection,
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
