//! What the kernel says about a process and its children: CPU time, waiting, switches, memory. Knows no workload.
//!
//! A server may be a master that rests and workers that serve: what is said of it is the sum over the tree of its processes,
//! children of children too. Of a process that ends between two looks the CPU time is kept, by its parent; its switches and
//! its waiting are not.
use crate::limits::{GENERATIONS_MAX, PROCESSES_MAX};
use crate::target::core_list;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One look at a process, or at several.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    at: Instant,
    /// Sum over the threads alive, exact to the last switch or tick.
    tasks_cpu_ns: u64,
    /// The whole process, exited threads and children included, in clock ticks.
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
    /// Looks at a process and its children; `None` when it is gone or not ours to see.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::of_all(&tree(pid))
    }

    /// Looks at this process alone: a server that it started is its child.
    pub(crate) fn own() -> Option<Self> {
        Self::of_all(&[std::process::id()])
    }

    /// Looks at a process and its children and counts their memory page by page: exact, and too slow to do often where there
    /// is much of it.
    pub(crate) fn exact(pid: u32) -> Option<Self> {
        let pids = tree(pid);
        let sample = Self::of_all(&pids)?;
        Some(Self { rss: resident(&pids).unwrap_or(sample.rss), ..sample })
    }

    /// The first of `pids` has to be there; the others may have ended since they were listed.
    fn of_all(pids: &[u32]) -> Option<Self> {
        let mut sample = Self {
            at: Instant::now(),
            tasks_cpu_ns: 0,
            stat_cpu_ns: 0,
            wait_ns: 0,
            switches: 0,
            tasks: HashSet::new(),
            rss: 0,
        };
        let (first, children) = pids.split_first()?;
        sample.add(*first)?;
        for &pid in children {
            let _ = sample.add(pid);
        }
        Some(sample)
    }

    fn add(&mut self, pid: u32) -> Option<()> {
        self.stat_cpu_ns += stat_cpu_ns(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        self.rss += field(&format!("/proc/{pid}/status"), "VmRSS:")?;
        for (task, path) in tasks(pid) {
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(path.join("schedstat")) else { continue };
            let mut fields = schedstat.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0));
            self.tasks_cpu_ns += fields.next().unwrap_or(0);
            self.wait_ns += fields.next().unwrap_or(0);
            self.switches += fs::read_to_string(path.join("status")).map_or(0, |text| switches(&text));
            self.tasks.insert(task);
        }
        Some(())
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

/// A process and its children, theirs too, up to a bound: the first one first.
fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut generation = 0..1;
    for _ in 0..GENERATIONS_MAX {
        for at in generation.clone() {
            pids.extend(tasks(pids[at]).flat_map(|(_, path)| children(&path)));
        }
        pids.truncate(PROCESSES_MAX);
        generation = generation.end..pids.len();
    }
    pids
}

/// The processes that a thread started.
fn children(task: &Path) -> Vec<u32> {
    let list = fs::read_to_string(task.join("children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The threads of a process, with their folders.
fn tasks(pid: u32) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// How many cores the threads of a process and its children may run on, all together: each may be pinned to another.
pub(crate) fn cores(pid: u32) -> Option<usize> {
    let mut cores = BTreeSet::new();
    for (_, path) in tree(pid).into_iter().flat_map(tasks) {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        cores.extend(list.and_then(|list| core_list(list.trim())).unwrap_or_default());
    }
    Some(cores.len()).filter(|&count| count > 0)
}

/// utime, stime, and those of children that have ended; the name before them may hold anything, blanks and brackets too.
fn stat_cpu_ns(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks: u64 = fields.get(11..15)?.iter().map_while(|field| field.parse::<u64>().ok()).sum();
    Some(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

fn switches(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

/// Resident bytes of a process and its children, page by page.
pub(crate) fn rss(pid: u32) -> Option<u64> {
    resident(&tree(pid))
}

/// Resident bytes of this process alone.
pub(crate) fn own_rss() -> Option<u64> {
    resident(&[std::process::id()])
}

/// Resident bytes: page by page where the kernel offers it, since its running count may be off by some hundred kB. Where there
/// are several processes, a page that they share counts once.
fn resident(pids: &[u32]) -> Option<u64> {
    let name = if pids.len() > 1 { "Pss:" } else { "Rss:" };
    let of = |pid: &u32| {
        field(&format!("/proc/{pid}/smaps_rollup"), name)
            .or_else(|| field(&format!("/proc/{pid}/status"), "VmRSS:"))
    };
    let first = of(pids.first()?)?;
    Some(first + pids[1..].iter().filter_map(of).sum::<u64>())
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
    use rustix::process::{Pid, Signal, kill_process};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn cpu_time_is_read_past_a_strange_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 7 3 20 0 1 0 1 1 1";
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(stat_cpu_ns(stat), Some(310 * tick));
        assert_eq!(switches("x: 1\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n"), 7);
    }

    #[test]
    fn sizes_are_read_from_lines_in_kilobytes() {
        let meminfo = "MemTotal:       24576 kB\nSlab:              12 kB\nSReclaimable:      7 kB\n";
        assert_eq!(kilobytes(meminfo, "Slab:"), Some(12 << 10));
        assert_eq!(kilobytes(meminfo, "Rss:"), None);
        assert!(slab().unwrap() > 0 && own_rss().unwrap() > 0);
    }

    #[test]
    fn work_done_here_is_seen() {
        let before = Sample::own().unwrap();
        let mut after = before.clone();
        let mut sum = 0_u64;
        while after.since(&before).cpu < 0.02 {
            sum = (0..1_000_000_u64).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
            // Test threads beside this one come and go: the coarser clock serves then, and goes on as well.
            after = Sample::own().unwrap();
        }
        let usage = after.since(&before);
        assert!(usage.seconds > 0.0 && usage.rss > 0, "{usage:?} {sum}");
    }

    /// A shell that waits for a shell that waits for one that works.
    #[test]
    fn what_children_do_is_their_parents() {
        let work = "timeout 60 sh -c 'while :; do :; done' & wait";
        let mut parent = Command::new("sh").args(["-c", work]).spawn().unwrap();
        let before = Sample::of(parent.id()).unwrap();
        let since = Instant::now();
        let mut usage = Usage::default();
        while usage.cpu < 0.05 && since.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5));
            usage = Sample::of(parent.id()).unwrap().since(&before);
        }
        let all = tree(parent.id());
        let (alone, sum) = (resident(&all[..1]).unwrap(), Sample::of(parent.id()).unwrap().rss);
        // The children first: the parent waits for them.
        for pid in all.iter().rev().filter_map(|&pid| Pid::from_raw(i32::try_from(pid).unwrap())) {
            let _ = kill_process(pid, Signal::KILL);
        }
        parent.wait().unwrap();
        assert!(usage.cpu >= 0.05, "{usage:?}");
        assert!(all.len() == 3 && sum > alone, "{all:?}: {sum} and {alone}");
        assert!(cores(std::process::id()).unwrap() > 0);
    }
}
