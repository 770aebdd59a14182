//! A machine's `/proc` and `/sys` as a folder of files that a test may change.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test is a crate and uses its own part of it

use longwire::tune::{Facts, Goal, Page, Row, Verdict};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of a machine with four cores, 64 GiB and a card with four queues, on which nothing is to be changed for a million
/// connections.
const GOOD: &[(&str, &str)] = &[
    ("proc/cmdline", "root=/dev/sda1 quiet rcu_nocbs=0-3"),
    ("proc/meminfo", "MemTotal:       67108864 kB\nMemFree:        1 kB"),
    ("proc/net/netstat", "TcpExt: SyncookiesSent ListenOverflows TCPMemoryPressures\nTcpExt: 0 0 0"),
    ("proc/net/sockstat", "sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 5 mem 7"),
    ("proc/net/softnet_stat", "000f4240 00000000 00000001 00\n000f4240 00000000 00000000 00"),
    ("proc/self/cgroup", "0::/system.slice/longwire.service"),
    (
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n\
         Max open files            1024                 1048576              files\n\
         Max locked memory         8388608              unlimited            bytes",
    ),
    ("proc/self/status", "Name:\tlongwire\nSeccomp:\t0\nCpus_allowed_list:\t0-3"),
    ("proc/swaps", "Filename Type Size Used Priority"),
    ("proc/1/comm", "systemd"),
    ("proc/irq/40/smp_affinity_list", "0"),
    ("proc/irq/41/smp_affinity_list", "1"),
    ("proc/irq/42/smp_affinity_list", "2"),
    ("proc/irq/43/smp_affinity_list", "3"),
    ("proc/sys/fs/file-max", "9223372036854775807"),
    ("proc/sys/fs/nr_open", "1048576"),
    ("proc/sys/kernel/io_uring_disabled", "0"),
    ("proc/sys/kernel/numa_balancing", "1"),
    ("proc/sys/kernel/osrelease", "6.1.0-18-amd64"),
    ("proc/sys/net/core/busy_poll", "0"),
    ("proc/sys/net/core/busy_read", "0"),
    ("proc/sys/net/core/default_qdisc", "fq_codel"),
    ("proc/sys/net/core/netdev_budget", "300"),
    ("proc/sys/net/core/netdev_max_backlog", "1000"),
    ("proc/sys/net/core/rps_sock_flow_entries", "0"),
    ("proc/sys/net/core/somaxconn", "65535"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999"),
    ("proc/sys/net/ipv4/ip_local_reserved_ports", ""),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic"),
    ("proc/sys/net/ipv4/tcp_ehash_entries", "524288"),
    ("proc/sys/net/ipv4/tcp_fin_timeout", "60"),
    ("proc/sys/net/ipv4/tcp_keepalive_time", "7200"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "4096"),
    ("proc/sys/net/ipv4/tcp_mem", "1000000\t1500000\t2000000"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t524288"),
    ("proc/sys/net/ipv4/tcp_syncookies", "1"),
    ("proc/sys/net/ipv4/tcp_tw_reuse", "2"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t524288"),
    ("proc/sys/net/netfilter/nf_conntrack_buckets", "524288"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "5"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "2097152"),
    ("proc/sys/vm/min_free_kbytes", "524288"),
    ("proc/sys/vm/overcommit_memory", "0"),
    ("proc/sys/vm/swappiness", "60"),
    ("sys/class/net/eth0/device/msi_irqs/40", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/41", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/42", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/43", "msix"),
    ("sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-0/rps_flow_cnt", "0"),
    ("sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-2/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-3/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/tx-0/xps_cpus", "1"),
    ("sys/class/net/eth0/queues/tx-1/xps_cpus", "2"),
    ("sys/class/net/lo/queues/rx-0/rps_cpus", "0"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/disable", "0"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "2"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "C1"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "1"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "133"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C6"),
    ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1"),
    ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2"),
    ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3"),
    ("sys/devices/system/cpu/isolated", "0-3"),
    ("sys/devices/system/cpu/nohz_full", "0-3"),
    ("sys/devices/system/cpu/online", "0-3"),
    ("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected"),
    ("sys/devices/system/cpu/vulnerabilities/spectre_v1", "Mitigation: usercopy"),
    ("sys/devices/system/node/node0/cpulist", "0-3"),
    ("sys/fs/cgroup/cgroup.controllers", "cpu memory"),
    ("sys/fs/cgroup/system.slice/longwire.service/memory.max", "max"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
];

/// A machine of this test's own, removed when dropped.
pub struct Machine(PathBuf);

impl Machine {
    /// One on which nothing is to be changed.
    pub fn good() -> Self {
        let machine = Self::empty();
        GOOD.iter().for_each(|(path, text)| machine.write(path, text));
        machine
    }

    /// One that tells nothing.
    pub fn empty() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("longwire-machine-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    pub fn root(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn facts(&self) -> Facts {
        Facts::new(&self.0, "self")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap().trim().to_string()
    }

    pub fn remove(&self, path: &str) {
        let path = self.0.join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// Makes a file again what it is on a good machine.
    pub fn restore(&self, path: &str) {
        match GOOD.iter().find(|good| good.0 == path) {
            Some((_, text)) => self.write(path, text),
            None => {
                self.remove(path);
                // The folder too, if that was all that was in it.
                let _ = fs::remove_dir(self.0.join(path).parent().unwrap());
            }
        }
    }

    /// Every file and what it holds.
    pub fn all(&self) -> Vec<(PathBuf, String)> {
        fn walk(folder: PathBuf, found: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(path, found);
                } else {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((path, text));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.0.clone(), &mut found);
        found.sort();
        found
    }

    pub fn page(&self) -> Page {
        Page::new(&self.facts(), &goal(1_000_000))
    }

    pub fn row(&self, knob: &str) -> Row {
        row(self.page(), knob)
    }

    /// The names of the knobs with this verdict.
    pub fn knobs(&self, verdict: Verdict) -> Vec<&'static str> {
        let rows = self.page().knobs;
        rows.iter().filter(|row| row.finding.verdict == verdict).map(|row| row.knob.name).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn goal(connections: u64) -> Goal {
    Goal { connections, cores: None, listen: vec!["0.0.0.0:9501".parse().unwrap()] }
}

pub fn row(page: Page, knob: &str) -> Row {
    page.knobs.into_iter().find(|row| row.knob.name == knob).unwrap_or_else(|| panic!("no knob {knob}"))
}
