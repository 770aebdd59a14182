//! What the kernel says about a process: CPU time, waiting, switches, memory. Knows no workload.
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::time::Instant;

/// One look at a process.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    at: Instant,
    /// Sum over the threads alive, exact to the last switch or tick.
    tasks_cpu_ns: u64,
    /// The whole process, exited threads included, in clock ticks.
    stat_cpu_ns: u64,
    wait_ns: u64,
    switches: u64,
    tasks: HashSet<u32>,
    /// Resident bytes, by the kernel's running count.
    pub(crate) rss: u64,
}

/// What a process used between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// Seconds in which it could have run and had no core.
    pub(crate) waited: f64,
    /// Context switches.
    pub(crate) switches: u64,
    /// Resident bytes at the end.
    pub(crate) rss: u64,
}

impl Sample {
    /// Looks at a process; `None` when it is gone or not ours to see.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let mut sample = Self {
            at: Instant::now(),
            tasks_cpu_ns: 0,
            stat_cpu_ns: stat_cpu_ns(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
            wait_ns: 0,
            switches: 0,
            tasks: HashSet::new(),
            rss: field(&format!("/proc/{pid}/status"), "VmRSS:")?,
        };
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let Some(task) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let path = entry.path();
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(path.join("schedstat")) else { continue };
            let mut fields = schedstat.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0));
            sample.tasks_cpu_ns += fields.next().unwrap_or(0);
            sample.wait_ns += fields.next().unwrap_or(0);
            sample.switches += fs::read_to_string(path.join("status")).map_or(0, |text| switches(&text));
            sample.tasks.insert(task);
        }
        Some(sample)
    }

    /// Looks at a process and counts its memory page by page: exact, and too slow to do often where there is much of it.
    pub(crate) fn exact(pid: u32) -> Option<Self> {
        let sample = Self::of(pid)?;
        Some(Self { rss: rss(pid).unwrap_or(sample.rss), ..sample })
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        // The sum over threads is the finer one, as long as no thread took its share with it.
        let cpu_ns = if earlier.tasks.is_subset(&self.tasks) {
            self.tasks_cpu_ns.saturating_sub(earlier.tasks_cpu_ns)
        } else {
            self.stat_cpu_ns.saturating_sub(earlier.stat_cpu_ns)
        };
        Usage {
            seconds: self.at.duration_since(earlier.at).as_secs_f64(),
            cpu: seconds(cpu_ns),
            waited: seconds(self.wait_ns.saturating_sub(earlier.wait_ns)),
            switches: self.switches.saturating_sub(earlier.switches),
            rss: self.rss,
        }
    }
}

impl Usage {
    /// Share of one core, in percent.
    pub(crate) fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu / self.seconds.max(1e-9)
    }

    /// Share of the time in which it ran or wanted to, in percent of one core.
    pub(crate) fn wanted_percent(&self) -> f64 {
        100.0 * (self.cpu + self.waited) / self.seconds.max(1e-9)
    }
}

/// The machine, as a report names it.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} × {}, Linux {}", model.unwrap_or("unknown CPU").trim(), kernel.trim())
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of a run are far below 2^53
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// utime + stime; the name before them may hold anything, blanks and brackets too.
fn stat_cpu_ns(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

fn switches(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

/// Resident bytes: page by page where the kernel offers it, since its running count may be off by some hundred kB.
pub(crate) fn rss(pid: u32) -> Option<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Rss:")
        .or_else(|| field(&format!("/proc/{pid}/status"), "VmRSS:"))
}

/// Bytes of the kernel's slabs on the whole machine: sockets are most of them.
pub(crate) fn slab() -> Option<u64> {
    field("/proc/meminfo", "Slab:")
}

fn field(path: &str, name: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string(path).ok()?, name)
}

/// The bytes that a line `Name:   5 kB` says.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_strange_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(stat_cpu_ns(stat), Some(300 * tick));
        assert_eq!(switches("x: 1\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n"), 7);
    }

    #[test]
    fn sizes_are_read_from_lines_in_kilobytes() {
        let meminfo = "MemTotal:       24576 kB\nSlab:              12 kB\nSReclaimable:      7 kB\n";
        assert_eq!(kilobytes(meminfo, "Slab:"), Some(12 << 10));
        assert_eq!(kilobytes(meminfo, "Rss:"), None);
        assert!(slab().unwrap() > 0 && rss(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn work_done_here_is_seen() {
        let before = Sample::of(std::process::id()).unwrap();
        let mut after = before.clone();
        let mut sum = 0_u64;
        while after.since(&before).cpu < 0.02 {
            sum = (0..1_000_000_u64).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
            // Test threads beside this one come and go: the coarser clock serves then, and goes on as well.
            after = Sample::of(std::process::id()).unwrap();
        }
        let usage = after.since(&before);
        assert!(usage.seconds > 0.0 && usage.rss > 0, "{usage:?} {sum}");
    }
}
