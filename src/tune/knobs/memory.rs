//! What connections may take of the machine's memory. Knows what one costs.

use super::super::Fix;
use super::super::facts::after;
use super::super::goal::{BASE_BYTES, KERNEL_BYTES, PAGE, USER_BYTES, grouped, size};
use super::{Finding, Machine, UNREADABLE};

/// Connections in a chain of the kernel's table at which finding one costs more than it must (number).
const CHAIN: u64 = 2;
/// One connection in so many reads slowly, to size what queues for it.
const SLOW_READERS: u64 = 100;
/// The least upper bound of a socket's queue that is proposed (bytes).
const QUEUE_MIN: u64 = 256 << 10;
/// Reserve for interrupts: at most this much of the memory (parts of it; bytes).
const RESERVE: (u64, u64) = (100, 1 << 30);

pub(super) fn machine(machine: &Machine) -> Finding {
    let Some(now) = machine.facts.memory() else {
        return Finding::cannot_tell("/proc/meminfo cannot be read");
    };
    let (need, page_each) = (machine.goal.idle_bytes(), machine.goal.connections * PAGE);
    let cost = format!(
        "{USER_BYTES} bytes of the server's and {} of the kernel's for each connection, {} for the rest",
        grouped(KERNEL_BYTES),
        size(BASE_BYTES)
    );
    if now < need {
        let fit = now.saturating_sub(BASE_BYTES) / (USER_BYTES + KERNEL_BYTES);
        return Finding::change(size(now), size(need), format!("{cost}; {} connections fit", grouped(fit)))
            .fix(Fix::ByHand("more memory, or fewer connections".into()));
    }
    if now < need + page_each {
        return Finding::consider(
            size(now),
            size(need + page_each),
            format!("{cost}: enough for idle ones, not for a page in flight to each"),
        );
    }
    Finding::ok(size(now), cost)
}

pub(super) fn cgroup(machine: &Machine) -> Finding {
    let Some(groups) = machine.facts.of_process("cgroup") else {
        return Finding::cannot_tell("the process's cgroup cannot be read");
    };
    let need = machine.goal.idle_bytes();
    match lowest_limit(machine, &groups) {
        None => Finding::cannot_tell("no memory controller is mounted at /sys/fs/cgroup"),
        // Version 1 writes "no limit" as a number near 2^63.
        Some(now) if now >= 1 << 62 => {
            Finding::ok("no limit", "sockets are charged to the server's own cgroup")
        }
        Some(now) if now >= need => Finding::ok(size(now), "enough; sockets are charged to it as well"),
        Some(now) => Finding::change(
            size(now),
            size(need),
            "sockets are charged to the server's own cgroup: it would be killed, or starve",
        )
        .fix(Fix::Unit("MemoryMax=infinity".into())),
    }
}

/// The lowest limit of the process's cgroup and those above it, as far as this place shows them.
fn lowest_limit(machine: &Machine, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let above =
            std::iter::successors(Some(path.trim_end_matches('/')), |path| Some(path.rsplit_once('/')?.0));
        above
            .filter_map(|path| machine.facts.text(&format!("{mount}{path}/{file}")))
            .filter_map(|text| limit(&text))
            .min()
            .or_else(|| machine.facts.exists(&format!("{mount}/cgroup.controllers")).then_some(u64::MAX))
    });
    limits.min()
}

fn limit(text: &str) -> Option<u64> {
    if text == "max" { Some(u64::MAX) } else { text.parse().ok() }
}

pub(super) fn tcp_mem(machine: &Machine) -> Finding {
    const KEY: &str = "net.ipv4.tcp_mem";
    let Some([_, pressure, limit]) =
        machine.facts.numbers(KEY).and_then(|three| <[u64; 3]>::try_from(three).ok())
    else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let now = machine.facts.sysctl(KEY).unwrap_or_default();
    let sockstat = machine.facts.text("proc/net/sockstat");
    let used = sockstat.as_deref().and_then(|text| Some(after(text, "TCP:")?.last()?.to_string()));
    let pressures = machine.facts.netstat("TCPMemoryPressures").unwrap_or(0);
    let seen =
        format!("{} pages in use, pressure {pressures} times since the boot", used.as_deref().unwrap_or("?"));
    let all = machine.goal.connections;
    if pressure >= all {
        return Finding::ok(now, format!("a page in flight to each connection fits ({seen})"));
    }
    let half = machine.facts.memory().unwrap_or(u64::MAX) / PAGE / 2;
    let limit = limit.max(half.min(2 * all));
    let pressure = pressure.max(limit / 4 * 3);
    let value = format!("{} {pressure} {limit}", all.min(pressure));
    let why = format!(
        "pages queued in all sockets together: one message to everyone takes a page each, and above the second number all are throttled ({seen})"
    );
    if pressure < all {
        let why = format!("{why}; half of this machine's memory is not enough for that");
        return Finding::consider(now, value.clone(), why).sysctl(KEY, value);
    }
    Finding::change(now, value.clone(), why).sysctl(KEY, value)
}

pub(super) fn tcp_wmem(machine: &Machine) -> Finding {
    queue(machine, "net.ipv4.tcp_wmem", "what a slow reader leaves in its socket")
}

pub(super) fn tcp_rmem(machine: &Machine) -> Finding {
    queue(machine, "net.ipv4.tcp_rmem", "what a connection that is read no further may be sent")
}

/// The third number bounds one socket's queue; one connection in [`SLOW_READERS`] may fill it.
fn queue(machine: &Machine, key: &'static str, what: &str) -> Finding {
    let three = machine.facts.numbers(key).and_then(|three| <[u64; 3]>::try_from(three).ok());
    let memory = machine.facts.numbers("net.ipv4.tcp_mem").and_then(|three| three.get(2).copied());
    let Some([least, first, most]) = three else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let Some(all) = memory else {
        let why = format!("{what}: whether that is much depends on tcp_mem, which cannot be read here");
        return Finding { now: format!("{least} {first} {most}"), ..Finding::cannot_tell(why) };
    };
    let now = format!("{least} {first} {most}");
    let slow = (machine.goal.connections / SLOW_READERS).max(1);
    if slow * most <= all * PAGE {
        return Finding::ok(
            now,
            format!(
                "{what}: one connection in {SLOW_READERS} may fill its queue within tcp_mem; an empty one costs nothing"
            ),
        );
    }
    let want = (all * PAGE / slow).max(QUEUE_MIN).next_power_of_two() >> 1;
    let want = format!("{least} {first} {}", want.clamp(QUEUE_MIN.max(first), most.max(QUEUE_MIN)));
    if want == now {
        return Finding::ok(now, format!("{what}: no less is worth having"));
    }
    let why = format!(
        "{what}: if one in {SLOW_READERS} fills its queue, that is {}, and tcp_mem allows {}",
        size(slow * most),
        size(all * PAGE)
    );
    Finding::consider(now, want.clone(), why).sysctl(key, want)
}

pub(super) fn hash(machine: &Machine) -> Finding {
    // Negative: a network namespace that shares the first one's table.
    let entries = machine
        .facts
        .sysctl("net.ipv4.tcp_ehash_entries")
        .and_then(|text| text.trim_start_matches('-').parse::<u64>().ok());
    let entries = entries.filter(|entries| *entries > 0);
    let Some(entries) = entries.or_else(|| machine.facts.boot_parameter("thash_entries")?.parse().ok())
    else {
        return Finding::cannot_tell("this kernel does not tell (`dmesg | grep 'TCP established'` may)");
    };
    let chain = machine.goal.connections.div_ceil(entries);
    let now = format!("{entries} buckets");
    if chain <= CHAIN {
        return Finding::ok(now, "the kernel finds a connection in one or two steps");
    }
    let want = machine.goal.connections.next_power_of_two();
    let why = format!("about {chain} connections share a bucket, and each packet walks past them");
    let namespace = format!(
        "without a reboot, for a network namespace that is made after it: sysctl -w net.ipv4.tcp_child_ehash_entries={want}"
    );
    Finding::consider(now, format!("{want} buckets"), why)
        .fix(Fix::Boot(format!("thash_entries={want}")))
        .fix(Fix::ByHand(namespace))
}

pub(super) fn swap(machine: &Machine) -> Finding {
    const KEY: &str = "vm.swappiness";
    let Some(swaps) = machine.facts.text("proc/swaps") else {
        return Finding::cannot_tell("/proc/swaps cannot be read");
    };
    match machine.facts.number(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(now) if swaps.lines().count() < 2 => Finding::ok(now, "no swap is on"),
        Some(now) if now <= 1 => Finding::ok(now, "swap is on, and used only when nothing else is left"),
        Some(now) => Finding::change(
            now,
            1,
            "swap is on: an idle connection's memory would go there, and its next message wait for the disk",
        )
        .sysctl(KEY, 1),
    }
}

pub(super) fn min_free(machine: &Machine) -> Finding {
    const KEY: &str = "vm.min_free_kbytes";
    let (Some(now), Some(memory)) = (machine.facts.number(KEY), machine.facts.memory()) else {
        return Finding::cannot_tell(UNREADABLE);
    };
    let want = (memory / RESERVE.0).min(RESERVE.1) >> 10;
    if now >= want / 2 {
        return Finding::ok(now, "packets that arrive while memory is short find some");
    }
    Finding::consider(
        now,
        want,
        "packets that arrive in an interrupt can wait for no memory: about 1 % of it should be kept free",
    )
    .sysctl(KEY, want)
}

pub(super) fn overcommit(machine: &Machine) -> Finding {
    const KEY: &str = "vm.overcommit_memory";
    match machine.facts.number(KEY) {
        None => Finding::cannot_tell(UNREADABLE),
        Some(2) => Finding::change(
            2,
            0,
            "memory that the server reserves and does not touch counts in full: its start may fail",
        )
        // Somebody decided that: `--apply` must not undo it.
        .fix(Fix::ByHand("if this machine's policy allows it: sysctl -w vm.overcommit_memory=0".into())),
        Some(now) => Finding::ok(now, "memory counts when it is touched"),
    }
}

pub(super) fn huge_pages(machine: &Machine) -> Finding {
    let text = machine.facts.text("sys/kernel/mm/transparent_hugepage/enabled");
    match text.as_deref().and_then(|text| text.split(['[', ']']).nth(1)) {
        None => Finding::cannot_tell("this kernel has none, or does not tell"),
        Some(now) => Finding::ok(
            now,
            "the server asks for none, and neither its memory nor its speed changed with them",
        ),
    }
}
