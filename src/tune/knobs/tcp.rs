//! How TCP behaves towards a chat's small messages. Knows no memory.

use super::{Finding, Machine, UNREADABLE};

pub(super) fn congestion(machine: &Machine) -> Finding {
    match machine.facts.sysctl("net.ipv4.tcp_congestion_control") {
        None => Finding::cannot_tell(UNREADABLE),
        Some(now) if now == "bbr" => Finding::ok(
            now,
            "good on lossy networks; it paces each send, which costs CPU time where no qdisc does it",
        ),
        Some(now) => Finding::ok(
            now,
            "chat sends too little at a time for it to matter, except on lossy networks (bbr)",
        ),
    }
}

pub(super) fn qdisc(machine: &Machine) -> Finding {
    const KEY: &str = "net.core.default_qdisc";
    let paced = machine.facts.sysctl("net.ipv4.tcp_congestion_control").is_some_and(|name| name == "bbr");
    match machine.facts.sysctl(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(now) if paced && now != "fq" => {
            Finding::consider(now, "fq", "with bbr, fq paces on the card's behalf; else each socket needs a timer of its own (for cards that come up later)").sysctl(KEY, "fq")
        }
        Some(now) => Finding::ok(now, "fits the congestion control"),
    }
}

pub(super) fn fin_timeout(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.tcp_fin_timeout";
    match machine.facts.number(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(now) if now <= 60 => {
            Finding::ok(now, "a closed connection whose peer is silent holds a small record only")
        }
        Some(now) => Finding::consider(
            now,
            60,
            "above 60 s the kernel keeps the whole socket of a closed connection whose peer is silent",
        )
        .sysctl(KEY, 60),
    }
}

pub(super) fn keepalive(machine: &Machine) -> Finding {
    match machine.facts.number("net.ipv4.tcp_keepalive_time") {
        None => Finding::cannot_tell(UNREADABLE),
        Some(now) => Finding::ok(
            now,
            "bounds nothing: the server has a heartbeat of its own and asks for no TCP keepalive",
        ),
    }
}
