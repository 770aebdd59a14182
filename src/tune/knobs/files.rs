//! Open files: a ring's table of connections is no larger than their limit. Knows how a server plans its rings.

use super::super::Fix;
use super::super::goal::grouped;
use super::{Finding, Machine};
use crate::limits::RING_SLOTS_MAX;
use crate::net::capacity::Capacity;

fn plan(machine: &Machine, limit: u64) -> Capacity {
    let wanted = usize::try_from(machine.goal.connections).unwrap_or(usize::MAX);
    Capacity::plan(wanted, machine.cores.len(), limit)
}

pub(super) fn limit(machine: &Machine) -> Finding {
    let Some(now) = machine.facts.hard_limit("Max open files") else {
        return Finding::cannot_tell("the process's limits cannot be read");
    };
    let (here, best) = (plan(machine, now), plan(machine, u64::from(RING_SLOTS_MAX)));
    let rings = here.rings_per_core;
    if here.connections < here.wanted {
        let why = format!(
            "a ring's table is no larger, and {rings} rings a core hold {}",
            grouped(here.connections as u64)
        );
        return raise(Finding::change(now, RING_SLOTS_MAX, why));
    }
    if rings > best.rings_per_core {
        let why = format!(
            "enough, in {rings} rings a core, which cost some 10 % more CPU a message; {} would do with a higher limit",
            best.rings_per_core
        );
        return raise(Finding::consider(now, RING_SLOTS_MAX, why));
    }
    let rings = if rings == 1 { "one ring".into() } else { format!("{rings} rings") };
    Finding::ok(now, format!("the connections fit {rings} a core; the server raises its soft limit itself"))
}

fn raise(finding: Finding) -> Finding {
    let shell = format!(
        "for a shell: `* hard nofile {RING_SLOTS_MAX}` in /etc/security/limits.d/90-longwire.conf, then log in again"
    );
    finding.fix(Fix::Unit(format!("LimitNOFILE={RING_SLOTS_MAX}"))).fix(Fix::ByHand(shell))
}

pub(super) fn nr_open(machine: &Machine) -> Finding {
    machine.at_least(
        "fs.nr_open",
        u64::from(RING_SLOTS_MAX),
        "the limit on open files can be as high as a ring's largest table",
        "no limit on open files can be higher, so a ring's table stays smaller than it could be",
    )
}

pub(super) fn file_max(machine: &Machine) -> Finding {
    machine.at_least(
        "fs.file-max",
        machine.goal.connections / 10 * 11,
        "room for every connection; those in rings count as well",
        "all open files of the machine, connections in rings included, must fit, with 10 % to spare",
    )
}
