//! Whether io_uring works here, and as the server needs it. Knows no connection.

use super::super::Fix;
use super::super::facts::after;
use super::super::goal::size;
use super::{Finding, Machine};

/// The oldest kernel that has every operation.
const KERNEL_MIN: (u32, u32) = (6, 1);
/// What a core's executor registers and locks, twice (bytes).
const LOCKED_PER_CORE: u64 = 1 << 20;

pub(super) fn version(machine: &Machine) -> Finding {
    let Some(release) = machine.facts.text("proc/sys/kernel/osrelease") else {
        return Finding::cannot_tell("/proc/sys/kernel/osrelease cannot be read");
    };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= KERNEL_MIN {
        return Finding::ok(release, "has every operation that the server needs");
    }
    let why =
        "the server does not start: multishot accept and receive and passing descriptors need Linux 6.1";
    Finding::change(release, "6.1 or newer", why)
        .fix(Fix::ByHand("install a newer kernel, then reboot".into()))
}

pub(super) fn io_uring(machine: &Machine) -> Finding {
    const KEY: &str = "kernel.io_uring_disabled";
    match machine.facts.number(KEY) {
        None if machine.facts.exists("proc/sys/kernel") => {
            Finding::ok("", "this kernel has no such switch (it came with 6.6)")
        }
        None => Finding::cannot_tell("/proc/sys/kernel cannot be read"),
        Some(0) => Finding::ok(0, "everyone may use io_uring"),
        Some(1) => Finding::consider(
            1,
            0,
            "only the group kernel.io_uring_group and root may use io_uring: the server must be one of them",
        )
        .sysctl(KEY, 0),
        // Somebody decided that: `--apply` must not undo it.
        Some(now) => Finding::change(now, 1, "nobody may use io_uring: the server does not start").fix(
            Fix::ByHand(
                "if this machine's policy allows it: sysctl -w kernel.io_uring_disabled=1, and kernel.io_uring_group to a \
                 group of the server's user"
                    .into(),
            ),
        ),
    }
}

pub(super) fn seccomp(machine: &Machine) -> Finding {
    let status = machine.facts.of_process("status");
    match status.as_deref().and_then(|text| after(text, "Seccomp:")?.first().copied()) {
        Some("0") => Finding::ok("none", "no filter can refuse io_uring"),
        Some(mode) => Finding {
            now: format!("mode {mode}"),
            ..Finding::cannot_tell(
                "a filter is on, and containers' default ones refuse io_uring: `longwire serve` tries it and tells",
            )
        },
        None => Finding::cannot_tell("the process's status cannot be read"),
    }
}

pub(super) fn memlock(machine: &Machine) -> Finding {
    let want = machine.cores.len() as u64 * LOCKED_PER_CORE;
    match machine.facts.hard_limit("Max locked memory") {
        None => Finding::cannot_tell("the process's limits cannot be read"),
        Some(u64::MAX) => Finding::ok("unlimited", "each core locks up to 1 MiB of buffers"),
        Some(now) if now >= want => Finding::ok(size(now), "each core locks up to 1 MiB of buffers"),
        Some(now) => Finding::change(
            size(now),
            size(want),
            "each core locks up to 1 MiB of buffers; without it the start fails",
        )
        .fix(Fix::Unit(format!("LimitMEMLOCK={want}"))),
    }
}
