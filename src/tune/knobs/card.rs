//! Where packets are handled: a card's queues, their interrupts, and the cores they land on. Knows no connection.

use super::super::Fix;
use super::super::facts::{cores, list, mask};
use super::{Finding, Machine, UNREADABLE};
use std::collections::BTreeSet;

/// Packets among which one turn that ran out of budget means nothing.
const SQUEEZED: u64 = 1000;
/// Entries of the flow table: each connection that is active at a time wants one; the kernel's bound (number).
const FLOWS: (u64, u64) = (32_768, 1 << 20);
const NO_CARD: &str = "no network card is to be seen here";

/// The queues of a card whose names begin so, as paths.
fn queues_of(machine: &Machine, card: &str, kind: &str) -> Vec<String> {
    let folder = format!("sys/class/net/{card}/queues");
    machine
        .facts
        .names(&folder)
        .into_iter()
        .filter(|name| name.starts_with(kind))
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

/// Receive queues of all cards with fewer of them than there are shards.
fn few_queues(machine: &Machine) -> Vec<(String, Vec<String>)> {
    let queues = machine.facts.cards().into_iter().map(|card| {
        let queues = queues_of(machine, &card, "rx-");
        (card, queues)
    });
    queues.filter(|(_, queues)| !queues.is_empty() && queues.len() < machine.cores.len()).collect()
}

pub(super) fn queues(machine: &Machine) -> Finding {
    let shards = machine.cores.len();
    let cards = machine.facts.cards();
    if cards.is_empty() {
        return Finding::cannot_tell(NO_CARD);
    }
    let each = |card: &String| format!("{card}: {}", queues_of(machine, card, "rx-").len());
    let now = cards.iter().map(each).collect::<Vec<_>>().join(", ");
    let few = few_queues(machine);
    if few.is_empty() {
        return Finding::ok(now, "a receive queue for each shard");
    }
    let finding = Finding::consider(
        now,
        shards,
        "fewer receive queues than shards: some cores handle packets for others (the card may have no more)",
    );
    few.into_iter().fold(finding, |finding, (card, _)| {
        finding.fix(Fix::ByHand(format!("ethtool -l {card}; ethtool -L {card} combined {shards}")))
    })
}

pub(super) fn rps(machine: &Machine) -> Finding {
    if machine.facts.cards().is_empty() {
        return Finding::cannot_tell(NO_CARD);
    }
    let few = few_queues(machine);
    if few.is_empty() {
        return Finding::ok("", "each shard has a receive queue: nothing needs to be passed on");
    }
    let want = mask(&machine.cores);
    let all: Vec<String> =
        few.iter().flat_map(|(_, queues)| queues).map(|queue| format!("{queue}/rps_cpus")).collect();
    let now: BTreeSet<String> = all.iter().map(|path| machine.facts.text(path).unwrap_or_default()).collect();
    let shown = now.iter().cloned().collect::<Vec<_>>().join(" ");
    if now.iter().all(|mask| !mask.trim_matches(['0', ',']).is_empty()) {
        return Finding::ok(shown, "packets are passed on to several cores");
    }
    let finding = Finding::change(
        shown,
        &want,
        "all packets of a queue are handled by the core of its interrupt, which is a shard's as well",
    );
    few.into_iter().fold(finding, |finding, (card, queues)| {
        finding.fix(Fix::Write {
            glob: format!("/sys/class/net/{card}/queues/rx-*/rps_cpus"),
            paths: queues.iter().map(|queue| format!("{queue}/rps_cpus")).collect(),
            value: want.clone(),
        })
    })
}

pub(super) fn rfs(machine: &Machine) -> Finding {
    const KEY: &str = "net.core.rps_sock_flow_entries";
    let Some(now) = machine.facts.number(KEY) else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let few = few_queues(machine);
    if few.is_empty() {
        return Finding::ok(now, "needed only where packets are passed on between cores");
    }
    let want = machine.goal.connections.clamp(FLOWS.0, FLOWS.1).next_power_of_two();
    let flows =
        |queue: &String| machine.facts.text(&format!("{queue}/rps_flow_cnt")).is_some_and(|text| text != "0");
    if now > 0 && few.iter().all(|(_, queues)| queues.iter().all(flows)) {
        return Finding::ok(now, "packets go to the core of the shard that reads them");
    }
    let finding = Finding::change(
        now,
        want.max(now),
        "packets that are passed on should go to the core of the shard that reads them",
    )
    .sysctl(KEY, want.max(now));
    few.into_iter().fold(finding, |finding, (card, queues)| {
        let each = (want / queues.len() as u64).next_power_of_two();
        finding.fix(Fix::Write {
            glob: format!("/sys/class/net/{card}/queues/rx-*/rps_flow_cnt"),
            paths: queues.iter().map(|queue| format!("{queue}/rps_flow_cnt")).collect(),
            value: each.to_string(),
        })
    })
}

pub(super) fn xps(machine: &Machine) -> Finding {
    let cards = machine.facts.cards();
    let several: Vec<&String> =
        cards.iter().filter(|card| queues_of(machine, card, "tx-").len() > 1).collect();
    if cards.is_empty() {
        return Finding::cannot_tell(NO_CARD);
    }
    if several.is_empty() {
        return Finding::ok("", "one transmit queue: nothing to choose");
    }
    let queues: Vec<String> = several.iter().flat_map(|card| queues_of(machine, card, "tx-")).collect();
    let masks: Vec<Option<String>> =
        queues.iter().map(|queue| machine.facts.text(&format!("{queue}/xps_cpus"))).collect();
    if masks.iter().all(Option::is_none) {
        return Finding::cannot_tell("xps_cpus cannot be read");
    }
    let set =
        |mask: &Option<String>| mask.as_ref().is_none_or(|mask| !mask.trim_matches(['0', ',']).is_empty());
    if masks.iter().all(set) {
        return Finding::ok("", "each transmit queue has its cores");
    }
    let finding = Finding::consider(
        "",
        "one core a queue",
        "several cores may take the same transmit queue, and wait for its lock",
    );
    queues.iter().zip(machine.cores.iter().cycle()).fold(finding, |finding, (queue, core)| {
        let path = format!("{queue}/xps_cpus");
        finding.fix(Fix::Write { glob: format!("/{path}"), paths: vec![path], value: mask(&[*core]) })
    })
}

/// The interrupts of a card, and the cores each may land on.
fn interrupts_of(machine: &Machine, card: &str) -> Vec<(String, Vec<usize>)> {
    let places = ["device/msi_irqs", "device/../msi_irqs"];
    let numbers = places
        .iter()
        .map(|place| machine.facts.names(&format!("sys/class/net/{card}/{place}")))
        .find(|names| !names.is_empty());
    let where_to = |number: String| {
        let file = |name: &str| {
            machine.facts.text(&format!("proc/irq/{number}/{name}")).filter(|text| !text.is_empty())
        };
        let found = file("effective_affinity_list").or_else(|| file("smp_affinity_list"))?;
        Some((number, cores(&found)))
    };
    numbers.unwrap_or_default().into_iter().filter_map(where_to).collect()
}

pub(super) fn interrupts(machine: &Machine) -> Finding {
    let all: Vec<(String, Vec<usize>)> =
        machine.facts.cards().iter().flat_map(|card| interrupts_of(machine, card)).collect();
    if all.is_empty() {
        return Finding::cannot_tell(
            "no card's interrupts are to be seen here (/proc/interrupts may name them)",
        );
    }
    let used: BTreeSet<usize> = all.iter().flat_map(|(_, cores)| cores.iter().copied()).collect();
    let used: Vec<usize> = used.into_iter().collect();
    let now = format!("cores {}", list(&used));
    let on_shards: Vec<&String> = all
        .iter()
        .filter(|(_, at)| at.iter().any(|core| machine.cores.contains(core)))
        .map(|(number, _)| number)
        .collect();
    if on_shards.is_empty() {
        return Finding::ok(now, "interrupts stay off the server's cores");
    }
    if machine.spare.is_empty() || few_queues(machine).is_empty() {
        return Finding::ok(
            now,
            "with a queue for each shard, or no core left over, the server's cores are where interrupts belong",
        );
    }
    let spare = list(&machine.spare);
    let finding = Finding::consider(
        now,
        format!("cores {spare}"),
        "with fewer queues than shards, interrupts belong on the cores left over",
    );
    on_shards.into_iter().fold(finding, |finding, number| {
        let path = format!("proc/irq/{number}/smp_affinity_list");
        finding.fix(Fix::Write { glob: format!("/{path}"), paths: vec![path], value: spare.clone() })
    })
}

pub(super) fn irqbalance(machine: &Machine) -> Finding {
    let processes = machine.facts.names("proc");
    let mut numbers =
        processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).peekable();
    if numbers.peek().is_none() {
        return Finding::cannot_tell("no process is to be seen here");
    }
    let runs = numbers.any(|number| {
        machine.facts.text(&format!("proc/{number}/comm")).is_some_and(|name| name == "irqbalance")
    });
    if !runs {
        return Finding::ok("not running", "interrupts stay where they are put");
    }
    let cores = list(&machine.cores);
    Finding::consider(
        "running",
        "not running",
        format!("it moves interrupts onto the server's cores ({cores}) and undoes what is set by hand"),
    )
    .fix(Fix::ByHand("systemctl disable --now irqbalance".into()))
    .fix(Fix::ByHand(format!(
        "or keep it off them: IRQBALANCE_BANNED_CPULIST={cores} in /etc/default/irqbalance"
    )))
}

pub(super) fn budget(machine: &Machine) -> Finding {
    const KEY: &str = "net.core.netdev_budget";
    let (Some(now), Some(packets), Some(squeezed)) =
        (machine.facts.number(KEY), machine.facts.softnet(0), machine.facts.softnet(2))
    else {
        return Finding::cannot_tell("it, or /proc/net/softnet_stat, cannot be read");
    };
    let seen = format!("it ran out {squeezed} times in {packets} packets since the boot");
    if squeezed <= packets / SQUEEZED {
        return Finding::ok(now, seen);
    }
    let want = now.max(300) * 2;
    Finding::consider(now, want, format!("packets that one turn may handle: {seen}")).sysctl(KEY, want)
}

pub(super) fn backlog(machine: &Machine) -> Finding {
    const KEY: &str = "net.core.netdev_max_backlog";
    let (Some(now), Some(dropped)) = (machine.facts.number(KEY), machine.facts.softnet(1)) else {
        return Finding::cannot_tell("it, or /proc/net/softnet_stat, cannot be read");
    };
    if dropped == 0 {
        return Finding::ok(now, "no packet was dropped between cores since the boot");
    }
    let want = (now * 10).clamp(10_000, 100_000).max(now);
    if want == now {
        return Finding::ok(
            now,
            format!("{dropped} packets were dropped between cores since the boot, but it is high already"),
        );
    }
    Finding::change(now, want, format!("packets that wait for a core (loopback, and what RPS passes on): {dropped} were dropped since the boot")).sysctl(KEY, want)
}

pub(super) fn busy_poll(machine: &Machine) -> Finding {
    busy(machine, "net.core.busy_poll")
}

pub(super) fn busy_read(machine: &Machine) -> Finding {
    busy(machine, "net.core.busy_read")
}

fn busy(machine: &Machine, key: &'static str) -> Finding {
    match machine.facts.number(key) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(0) => Finding::ok(
            0,
            "off: a shard that has work never waits for the card, and one without should sleep",
        ),
        Some(now) => Finding::consider(
            now,
            0,
            "each empty receive asks the card first, for every connection, on the shard's core",
        )
        .sysctl(key, 0),
    }
}
