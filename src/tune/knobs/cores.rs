//! The cores that shards run on: who else may, how fast they are, how deep they sleep. Knows no shard's work.

use super::super::Fix;
use super::super::facts::{cores, list};
use super::{Finding, Machine, UNREADABLE};
use std::collections::BTreeSet;

/// Waking a core from an idle state should not take longer (µs).
const WAKE_MAX: u64 = 50;
/// Clocks that are read without a system call.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];
const CPU: &str = "sys/devices/system/cpu";

pub(super) fn isolated(machine: &Machine) -> Finding {
    let now = machine.facts.text(&format!("{CPU}/isolated"));
    quiet(
        machine,
        "isolcpus",
        now,
        "the scheduler moves other work onto the server's cores; a server on isolated ones must be started on them (CPUAffinity= in its unit, or taskset)",
    )
}

pub(super) fn tickless(machine: &Machine) -> Finding {
    let now = machine.facts.text(&format!("{CPU}/nohz_full")).map(|text| text.replace("(null)", ""));
    quiet(
        machine,
        "nohz_full",
        now,
        "a timer interrupts each of the server's cores up to 1000 times a second",
    )
}

pub(super) fn callbacks(machine: &Machine) -> Finding {
    let now = machine
        .facts
        .text("proc/cmdline")
        .map(|_| machine.facts.boot_parameter("rcu_nocbs").unwrap_or_default());
    quiet(
        machine,
        "rcu_nocbs",
        now,
        "the kernel frees memory, closed sockets' among it, on the core that let go of it",
    )
}

/// A boot parameter that lists cores which the kernel leaves alone.
fn quiet(machine: &Machine, name: &str, now: Option<String>, why: &str) -> Finding {
    let Some(now) = now else {
        return Finding::cannot_tell("this kernel has no such thing, or does not tell");
    };
    let listed = cores(&now);
    if machine.cores.iter().all(|core| listed.contains(core)) {
        return Finding::ok(now, "the server's cores are left alone");
    }
    let now = if now.is_empty() { "none".to_string() } else { now };
    if machine.spare.is_empty() {
        return Finding::ok(now, "the server has every core; something must run the rest");
    }
    let want = list(&machine.cores);
    Finding::consider(now, &want, why).fix(Fix::Boot(format!("{name}={want}")))
}

pub(super) fn siblings(machine: &Machine) -> Finding {
    let of = |core: &usize| machine.facts.text(&format!("{CPU}/cpu{core}/topology/thread_siblings_list"));
    let groups: Option<Vec<String>> = machine.cores.iter().map(of).collect();
    let Some(groups) = groups else {
        return Finding::cannot_tell("the cores' topology cannot be read");
    };
    let physical = groups.iter().collect::<BTreeSet<_>>().len();
    let now = format!("{} shards on {physical} physical cores", machine.cores.len());
    if physical == machine.cores.len() {
        return Finding::ok(now, "no two shards share one");
    }
    Finding::consider(
        now,
        "",
        "two shards on the threads of one physical core share it: list one of each pair first (`lscpu -e`)",
    )
    .fix(Fix::ByHand("choose with `--cores`".into()))
}

pub(super) fn governor(machine: &Machine) -> Finding {
    let paths: Vec<String> =
        machine.cores.iter().map(|core| format!("{CPU}/cpu{core}/cpufreq/scaling_governor")).collect();
    let now: Option<BTreeSet<String>> = paths.iter().map(|path| machine.facts.text(path)).collect();
    let Some(now) = now else {
        return Finding::cannot_tell("no frequency to choose here (a virtual machine's is its host's)");
    };
    let shown = now.iter().cloned().collect::<Vec<_>>().join(" ");
    if now.iter().all(|governor| governor == "performance") {
        return Finding::ok(shown, "cores run at full speed at once");
    }
    let finding = Finding::change(
        shown,
        "performance",
        "cores that slow down between messages add their speeding up to the latency",
    );
    let write = |glob: String, paths| Fix::Write { glob, paths, value: "performance".into() };
    if machine.spare.is_empty() {
        return finding.fix(write(format!("/{CPU}/cpu*/cpufreq/scaling_governor"), paths));
    }
    paths.into_iter().fold(finding, |finding, path| finding.fix(write(format!("/{path}"), vec![path])))
}

pub(super) fn idle_states(machine: &Machine) -> Finding {
    let core = machine.cores.first().copied().unwrap_or(0);
    let folder = format!("{CPU}/cpu{core}/cpuidle");
    let state = |name: &String| {
        let read = |file: &str| machine.facts.text(&format!("{folder}/{name}/{file}"));
        let wake: u64 = read("latency")?.parse().ok()?;
        (read("disable").as_deref() != Some("1")).then_some((wake, read("name")?))
    };
    let Some((wake, name)) = machine.facts.names(&folder).iter().filter_map(state).max() else {
        return Finding::cannot_tell("no idle states to be seen here (a virtual machine's are its host's)");
    };
    let now = format!("{name}, {wake} µs to wake");
    if wake <= WAKE_MAX {
        return Finding::ok(now, "a core wakes quickly from its deepest sleep");
    }
    Finding::consider(now, format!("{WAKE_MAX} µs"), "the first message after a pause waits until the core has woken")
        .fix(Fix::ByHand(format!("cpupower idle-set -D {WAKE_MAX}   # or a program that keeps /dev/cpu_dma_latency open (tuned, profile network-latency)")))
}

pub(super) fn clocksource(machine: &Machine) -> Finding {
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    let Some(now) = machine.facts.text(&format!("{FOLDER}/current_clocksource")) else {
        return Finding::cannot_tell(UNREADABLE);
    };
    if FAST_CLOCKS.contains(&now.as_str()) {
        return Finding::ok(now, "read without a system call");
    }
    let path = format!("{FOLDER}/current_clocksource");
    let available = machine.facts.text(&format!("{FOLDER}/available_clocksource")).unwrap_or_default();
    let finding = Finding::change(
        now,
        "tsc",
        "every look at the clock is a slow read or a system call, and each turn of a shard looks",
    );
    if available.split_whitespace().any(|name| name == "tsc") {
        return finding.fix(Fix::Write { glob: format!("/{path}"), paths: vec![path], value: "tsc".into() });
    }
    finding.fix(Fix::Boot("tsc=reliable".into()))
}

pub(super) fn numa(machine: &Machine) -> Finding {
    const KEY: &str = "kernel.numa_balancing";
    let is_node =
        |name: &String| name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok());
    let nodes: Vec<String> =
        machine.facts.names("sys/devices/system/node").into_iter().filter(is_node).collect();
    let on = |node: &&String| {
        let all = machine.facts.text(&format!("sys/devices/system/node/{node}/cpulist")).unwrap_or_default();
        cores(&all).iter().any(|core| machine.cores.contains(core))
    };
    let used = nodes.iter().filter(on).count();
    match machine.facts.number(KEY) {
        _ if nodes.is_empty() => Finding::cannot_tell("the memory's nodes cannot be read"),
        _ if nodes.len() == 1 => Finding::ok("one node", "all memory is equally near"),
        Some(now) if now > 0 => {
            let why = "the kernel unmaps pages to learn who uses them; shards are pinned, and touch their own";
            Finding::change(now, 0, why).sysctl(KEY, 0)
        }
        _ if used > 1 => Finding::consider(
            format!("shards on {used} of {} nodes", nodes.len()),
            "",
            "mail between shards of different nodes costs more; a card's interrupts and the server on one node cost least",
        )
        .fix(Fix::ByHand("choose cores of one node with `--cores` (`lscpu -e`; /sys/class/net/*/device/numa_node)".into())),
        _ => Finding::ok(format!("shards on one of {} nodes", nodes.len()), "a shard's memory comes from its own node"),
    }
}

pub(super) fn mitigations(machine: &Machine) -> Finding {
    let folder = format!("{CPU}/vulnerabilities");
    let states: Vec<String> = machine
        .facts
        .names(&folder)
        .iter()
        .filter_map(|name| machine.facts.text(&format!("{folder}/{name}")))
        .collect();
    if states.is_empty() {
        return Finding::cannot_tell("this kernel does not tell");
    }
    let count = |start: &str| states.iter().filter(|state| state.starts_with(start)).count();
    let now = format!("{} mitigated, {} vulnerable", count("Mitigation"), count("Vulnerable"));
    Finding::ok(
        now,
        "they cost each system call something; whether to do without is no question of speed alone",
    )
}
