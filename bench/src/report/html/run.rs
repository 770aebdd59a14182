//! The page of one run: verdict, figures, pictures, tables. Knows a report and its pictures, no file.
use super::{picture, pictures, shell, table};
use crate::latency::Quantiles;
use crate::procstat::Usage;
use crate::report::chart::{latency, memory, time};
use crate::report::figures::ENOUGH;
use crate::report::verdict::{Grade, verdicts};
use crate::report::{MemoryAt, Report, units};
use maud::{Markup, html};

/// The page.
pub(in crate::report) fn page(report: &Report) -> String {
    let title = format!("{}: {}", report.scenario, report.workload);
    shell(
        &title,
        &html! {
            (head(report))
            (tiles(report))
            (latencies(report))
            (parts(report))
            (course(report))
            (sides(report))
            (memory_table(report))
            (trouble(report))
            (counters(report))
            (about(report))
        },
    )
}

fn head(report: &Report) -> Markup {
    html! {
        header {
            h1 { (report.scenario) }
            p { (report.workload) }
            p { (report.machine) @if report.started > 0.0 { " · " (when(report.started)) } }
        }
        @for verdict in verdicts(report) {
            @let class = match verdict.grade { Grade::Good => "verdict", Grade::Warning => "verdict warn", Grade::Bad => "verdict bad" };
            div class=(class) role="status" { b { (verdict.word) } " " (verdict.text) }
        }
    }
}

fn when(started: f64) -> String {
    let time = std::time::SystemTime::UNIX_EPOCH
        .checked_add(std::time::Duration::try_from_secs_f64(started).unwrap_or_default())
        .unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
}

fn tiles(report: &Report) -> Markup {
    let mut tiles: Vec<(&str, String)> = Vec::new();
    if let Some(us) = report.server_cpu_us_per_delivery {
        tiles.push(("CPU per delivery", units::time(us)));
    }
    if report.deliveries > 0 {
        tiles.push(("deliveries/s", units::short(report.deliveries_per_second)));
    }
    if let Some(q) = &report.latency_us {
        let each = [("latency p50", q.p50), ("p99", q.p99), ("p99.9", q.p999), ("max", q.max)];
        tiles.extend(each.map(|(name, us)| (name, units::time(us))));
    }
    let connections = report.course.moments.iter().map(|moment| moment.connected).max().unwrap_or(0);
    if connections > 0 {
        tiles.push(("connections", units::whole(connections)));
    }
    if let Some(idle) = &report.idle {
        tiles.push(("server bytes per connection", format!("{:.0}", idle.bytes_per_connection)));
        tiles.extend(idle.setup_cpu_us_per_connection.map(|us| ("CPU per sign-in", units::time(us))));
    }
    html! {
        @if !tiles.is_empty() {
            div class="tiles" { @for (name, value) in &tiles { div class="tile" { span { (name) } strong { (value) } } } }
        }
    }
}

/// A row of percentiles, the longest and the count behind them.
pub(super) fn quantile_row(name: &str, q: &Quantiles) -> Vec<String> {
    let times = [q.p50, q.p90, q.p99, q.p999, q.p9999, q.max].map(units::time);
    [name.to_owned()].into_iter().chain(times).chain([units::whole(q.count)]).collect()
}

fn latencies(report: &Report) -> Markup {
    let mut rows = Vec::new();
    if let Some(q) = &report.latency_us {
        rows.push(quantile_row("latency", q));
    }
    if let Some(q) = &report.lag_us {
        rows.push(quantile_row("of which generator's lag", q));
    }
    if let Some(d) = &report.disturbed {
        rows.push(quantile_row("without broadcasts", &d.without));
        rows.push(quantile_row("with broadcasts", &d.with));
    }
    let hint = if report.lag_us.is_some() {
        "Open loop: counted from the intended time of each message, however late it left."
    } else {
        "Closed loop: counted from when each message was sent. A server that stalls is sent less meanwhile, so these latencies \
         flatter it; they belong to capacity."
    };
    html! {
        @if rows.is_empty() {
            h2 { "Latency" }
            p class="hint" { "No message was timed in this run." }
        } @else {
            h2 { "Latency" }
            div class="card" {
                (table(&["", "p50", "p90", "p99", "p99.9", "p99.99", "max", "messages"], &rows))
                p class="hint" { (hint) }
            }
            div class="cards" style="margin-top:14px" {
                (picture(latency::by_percentile(&report.course).as_ref(), ""))
                (picture(latency::over_time(&report.course).as_ref(),
                    "The stronger the colour, the more messages took so long; its scale is logarithmic, so that the rare ones are seen."))
            }
        }
    }
}

/// What single workloads say besides, as the terminal has it.
fn parts(report: &Report) -> Markup {
    let text = report.parts.to_string();
    html! {
        @if !text.is_empty() {
            h2 { "What this workload is about" }
            div class="card scroll" { pre style="white-space:pre" { (text) } }
        }
    }
}

fn course(report: &Report) -> Markup {
    let course = &report.course;
    html! {
        @if !course.moments.is_empty() {
            h2 { "The run over time" }
            p class="hint" { "The load begins at 0; before it connections are opened and signed in." }
        }
        (pictures(&[
            (time::throughput(course), ""),
            (time::connected(course), ""),
            (time::cpu(course), ""),
            (latency::lag_over_time(course), ""),
            (memory::resident(course), ""),
            (memory::slab(course), ""),
        ]))
    }
}

fn sides(report: &Report) -> Markup {
    let row = |name: &str, usage: &Usage, per: Option<f64>| {
        let switches = usage.switches as f64 / usage.seconds.max(1e-9);
        let per = per.map_or_else(|| "–".to_owned(), units::time);
        let waited = format!("{:.1} %", usage.wanted_percent() - usage.cpu_percent());
        let cpu = format!("{:.1} %", usage.cpu_percent());
        vec![name.to_owned(), cpu, waited, per, units::bytes(usage.rss as f64), units::short(switches)]
    };
    let mut rows = Vec::new();
    if let Some(usage) = &report.server {
        rows.push(row("server", usage, report.server_cpu_us_per_delivery));
    }
    if let Some(usage) = &report.generator {
        rows.push(row("generator", usage, report.generator_cpu_us_per_delivery));
    }
    let heading = ["", "CPU", "waiting for a core", "CPU per delivery", "resident", "context switches/s"];
    let counted = format!(
        "In the measured {}: {} messages sent, {} delivered, {} acked.",
        units::clock(report.seconds),
        units::whole(report.sent),
        units::whole(report.deliveries),
        units::whole(report.acks)
    );
    html! {
        h2 { "Both sides" }
        div class="card" {
            @if !rows.is_empty() { (table(&heading, &rows)) }
            p class="hint" {
                (counted) " Saturated: " (format!("{:?}", report.saturated).to_lowercase()) "."
                @if report.heartbeats > 0 {
                    " In the whole run " (units::whole(report.heartbeats)) " heartbeats were answered."
                }
                @if let Some(heartbeat) = &report.heartbeat { " " (heartbeat.told()) "." }
                @if report.handshakes > 0 {
                    " TLS handshakes in the whole run: " (units::whole(report.handshakes)) ", "
                    (units::whole(report.resumed)) " of them resumed a session."
                }
                @if report.told_to_wait > 0 {
                    " Connections were told to wait, and came again, " (units::whole(report.told_to_wait)) " times."
                }
                @if let Some(us) = report.server_cpu_us_per_frame.filter(|_| report.acks > 0) {
                    " Server CPU per frame out, deliveries and acks: " (units::time(us)) "."
                }
                @if let Some((sent, received)) =
                    report.bytes_sent_per_message.zip(report.bytes_received_per_delivery)
                {
                    " All frames, headers included: " (format!("{sent:.1}")) " bytes sent per message, "
                    (format!("{received:.1}")) " received per delivery."
                }
                @if report.packed + report.unpacked > 0 {
                    " " (units::whole(report.packed)) " messages left compressed, " (units::whole(report.unpacked)) " came so."
                }
                @if let Some(enters) = report.ring_enters_per_delivery {
                    " " (format!("{enters:.3}")) " ring enters per delivery."
                }
            }
        }
    }
}

fn memory_table(report: &Report) -> Markup {
    let Some(memory) = report.course.memory else { return html! {} };
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), |bytes| units::bytes(bytes as f64));
    let row = |name: &str, at: &MemoryAt| {
        let (server, generator, slab) =
            (size(at.server_rss), size(Some(at.generator_rss)), size(Some(at.slab)));
        vec![name.to_owned(), units::whole(at.connections), server, generator, slab]
    };
    let (before, plateau) = (memory.before, memory.plateau);
    let more = plateau.connections.saturating_sub(before.connections);
    let each = |now: Option<u64>, start: Option<u64>| {
        let grown = now.zip(start).map(|(now, start)| now as f64 - start as f64);
        grown.map_or_else(|| "–".to_owned(), |grown| units::bytes(grown / more as f64))
    };
    let mut rows = vec![row("before", &before), row("all connected", &plateau), row("after", &memory.after)];
    if more >= ENOUGH {
        rows.push(vec![
            "each added".to_owned(),
            String::new(),
            each(plateau.server_rss, before.server_rss),
            each(Some(plateau.generator_rss), Some(before.generator_rss)),
            each(Some(plateau.slab), Some(before.slab)),
        ]);
    }
    html! {
        h2 { "Memory" }
        div class="cards two" {
            div class="card" {
                (table(&["", "connections", "server", "generator", "slabs"], &rows))
                p class="hint" { "Slabs are the whole machine's: the sockets of both sides, when both are on it." }
            }
            (picture(memory::over_connections(&report.course).as_ref(), "Growth since before the first connection."))
        }
    }
}

fn trouble(report: &Report) -> Markup {
    let faults = &report.faults;
    let counts = [
        ("lost", faults.lost),
        ("duplicated", faults.duplicated),
        ("reordered", faults.reordered),
        ("misdelivered", faults.misdelivered),
        ("corrupted", faults.corrupted),
        ("unacked", faults.unacked),
        ("error answers", report.server_errors),
        ("failed connections", report.failed_connections),
    ];
    html! {
        h2 { "What went wrong" }
        div class="cards fit" {
            div class="card" { table { tbody { @for (name, count) in counts {
                tr class=[(count > 0).then_some("bad")] { th { (name) } td { (units::whole(count)) } }
            } } } }
            @if !report.failures.is_empty() {
                div class="card" {
                    h3 { "Connections that ended, by kind" }
                    table { tbody { @for (kind, count) in &report.failures {
                        tr { th style="white-space:normal" { (kind) } td { (units::whole(*count)) } }
                    } } }
                }
            }
            @if !report.notes.is_empty() {
                div class="card" {
                    h3 { "Notes" }
                    ul class="notes" { @for note in &report.notes { li { (note) } } }
                }
            }
        }
    }
}

fn counters(report: &Report) -> Markup {
    let counters = &report.course.server_counters;
    html! {
        @if !counters.is_empty() {
            h2 { "The server's own counters" }
            div class="card" { details {
                summary { (counters.len()) " counters moved in the measured time" }
                table { tbody { @for (name, grown) in counters {
                    tr { th style="white-space:normal;overflow-wrap:anywhere" { code { (name) } } td { (number(*grown)) } }
                } } }
            } }
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counters are whole and positive
fn number(value: f64) -> String {
    let whole = value >= 0.0 && value.fract() == 0.0 && value < 1e15;
    if whole { units::whole(value as u64) } else { format!("{value:.3}") }
}

fn about(report: &Report) -> Markup {
    html! {
        h2 { "How to repeat it" }
        div class="card" {
            pre { (report.command) }
            p class="hint" {
                "longwire-bench " (report.version) " on " (report.machine) ". Figures of one run depend on the machine and its mood: \
                compare only runs made in turn."
            }
        }
    }
}
