//! How many connections may arrive at once. Knows how the kernel queues them.

use super::{Finding, Machine, UNREADABLE};
use crate::limits::ACCEPT_BACKLOG;

const BACKLOG: u64 = ACCEPT_BACKLOG as u64;
/// Connections above which many may come back at once (number).
const MANY: u64 = 50_000;

fn wanted(machine: &Machine) -> u64 {
    if machine.goal.connections > MANY { BACKLOG } else { 4096 }
}

pub(super) fn somaxconn(machine: &Machine) -> Finding {
    let dropped = machine.facts.netstat("ListenOverflows").unwrap_or(0);
    let seen = if dropped > 0 { format!(" ({dropped} were dropped since the boot)") } else { String::new() };
    machine.at_least(
        "net.core.somaxconn",
        wanted(machine),
        &format!("each core's listener holds as many; the server asks for {BACKLOG}{seen}"),
        &format!(
            "when all clients come back at once, those beyond it are dropped and try again after 1 s{seen}"
        ),
    )
}

pub(super) fn syn_backlog(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.tcp_max_syn_backlog";
    let Some(now) = machine.facts.number(KEY) else {
        return Finding::cannot_tell(UNREADABLE);
    };
    if machine.facts.number("net.ipv4.tcp_syncookies") != Some(0) {
        return Finding::ok(
            now,
            "bounds nothing while SYN cookies are on: half-open connections are bounded by the listener's backlog",
        );
    }
    machine.at_least(
        KEY,
        wanted(machine),
        "room for half-open connections",
        "without SYN cookies, connections beyond three quarters of it are dropped before they are complete",
    )
}

pub(super) fn syncookies(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.tcp_syncookies";
    match machine.facts.number(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(1) => Finding::ok(1, "a full backlog is answered with cookies, not with silence"),
        Some(now) => {
            let why = if now == 0 {
                "a full backlog drops connections"
            } else {
                "every connection costs a cookie and loses its options"
            };
            Finding::change(now, 1, why).sysctl(KEY, 1)
        }
    }
}
