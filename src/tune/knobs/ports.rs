//! Addresses and ports of connections, and what keeps track of them. Knows the listener's port.

use super::super::Fix;
use super::super::facts::{after, cores};
use super::super::goal::grouped;
use super::{Finding, Machine, UNREADABLE};

/// Entries of the tracking table for each of its buckets, as the kernel sizes it (number).
const ENTRIES_PER_BUCKET: u64 = 4;

pub(super) fn range(machine: &Machine) -> Finding {
    let Some([first, last]) =
        machine.facts.numbers("net.ipv4.ip_local_port_range").and_then(|two| <[u64; 2]>::try_from(two).ok())
    else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let width = last.saturating_sub(first) + 1;
    let sources = machine.goal.connections.div_ceil(width);
    let why = format!(
        "bounds outgoing connections only: a load generator or proxy here needs {sources} source addresses for {}",
        grouped(machine.goal.connections)
    );
    Finding::ok(format!("{first} {last}"), why)
}

pub(super) fn reserved(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.ip_local_reserved_ports";
    let (Some(now), Some(range)) =
        (machine.facts.sysctl(KEY), machine.facts.numbers("net.ipv4.ip_local_port_range"))
    else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let inside = |port: u16| matches!(range[..], [first, last] if (first..=last).contains(&u64::from(port)));
    let reserved = cores(&now);
    let ports = machine.goal.ports();
    let open = ports.iter().filter(|&&port| inside(port) && !reserved.contains(&usize::from(port)));
    let open = listed(&open.copied().collect::<Vec<_>>());
    if open.is_empty() {
        let why = match &ports[..] {
            [] => "the server listens on no port of its own choice".into(),
            ports => format!("no outgoing connection can take port {} by chance", listed(ports)),
        };
        return Finding::ok(now, why);
    }
    let want = if now.is_empty() { open.clone() } else { format!("{now},{open}") };
    Finding::change(
        now,
        want.clone(),
        format!("port {open} is one that outgoing connections may take: the server could not start then"),
    )
    .sysctl(KEY, want)
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn tw_reuse(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.tcp_tw_reuse";
    match machine.facts.number(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(0) => Finding::consider(0, 2, "bounds outgoing connections only: a generator or proxy here must wait 60 s before it uses a port again").sysctl(KEY, 2),
        Some(now) => Finding::ok(now, "bounds outgoing connections only (1 everywhere, 2 on loopback)"),
    }
}

/// Whether connections go through the tracking table: none if there is no table, or it stays empty.
fn tracked(machine: &Machine) -> Result<(), Finding> {
    if !machine.facts.exists("proc/sys/net/netfilter/nf_conntrack_max") {
        return Err(Finding::ok("not loaded", "nothing tracks connections here"));
    }
    let sockstat = machine.facts.text("proc/net/sockstat").unwrap_or_default();
    let open: u64 = after(&sockstat, "TCP:").and_then(|words| words.get(1)?.parse().ok()).unwrap_or(0);
    let count = machine.facts.number("net.netfilter.nf_conntrack_count").unwrap_or(0);
    if count == 0 && open > 0 {
        return Err(Finding::ok(
            "empty",
            format!("no rule tracks connections: none of {open} is in the table"),
        ));
    }
    Ok(())
}

pub(super) fn conntrack(machine: &Machine) -> Finding {
    if let Err(finding) = tracked(machine) {
        return finding;
    }
    let ports = machine.goal.ports();
    let port = match &ports[..] {
        [port] => port.to_string(),
        several => format!("{{ {} }}", listed(several)),
    };
    let finding = machine.at_least(
        "net.netfilter.nf_conntrack_max",
        machine.goal.connections / 10 * 11,
        "room for every connection, if any rule tracks them",
        "with a rule that tracks connections, those beyond it are dropped; each takes some 300 bytes more, or do not track this port",
    );
    if finding.fixes.is_empty() || ports.is_empty() {
        return finding;
    }
    finding.fix(Fix::ByHand(format!(
        "instead: nft 'table inet longwire {{ chain in {{ type filter hook prerouting priority raw; tcp dport {port} notrack; }}; \
         chain out {{ type filter hook output priority raw; tcp sport {port} notrack; }}; }}'"
    )))
}

pub(super) fn conntrack_buckets(machine: &Machine) -> Finding {
    if let Err(finding) = tracked(machine) {
        return finding;
    }
    machine.at_least(
        "net.netfilter.nf_conntrack_buckets",
        (machine.goal.connections / 10 * 11).div_ceil(ENTRIES_PER_BUCKET),
        "the tracking table's chains are short",
        "each packet walks a long chain of the tracking table",
    )
}
