//! The table of knobs, and what judges them. Knows how to read facts, not how to change them.

mod accepting;
mod card;
mod cores;
mod files;
mod kernel;
mod memory;
mod ports;
mod tcp;

use super::{Facts, Finding, Goal};
use crate::ids::PARTITIONS;
use serde::Serialize;

/// Why nothing is said of a file that is not there.
const UNREADABLE: &str = "it cannot be read here (in a container it may be the host's)";

/// What a knob belongs to; a section of tuning.md has this name.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
pub enum Group {
    /// Whether the server starts at all.
    #[serde(rename = "Kernel and io_uring")]
    Kernel,
    /// How many connections the kernel lets it hold.
    #[serde(rename = "Open files and rings")]
    Files,
    /// How many may arrive at once.
    #[serde(rename = "Accepting")]
    Accepting,
    /// What they may take.
    #[serde(rename = "Memory of the kernel")]
    Memory,
    /// How TCP behaves.
    #[serde(rename = "TCP")]
    Tcp,
    /// Addresses, ports, and what tracks them.
    #[serde(rename = "Ports and connection tracking")]
    Ports,
    /// Where packets are handled.
    #[serde(rename = "The network card")]
    Card,
    /// Where the shards run.
    #[serde(rename = "Cores")]
    Cores,
}

impl Group {
    /// The section of tuning.md.
    pub fn title(self) -> &'static str {
        match self {
            Self::Kernel => "Kernel and io_uring",
            Self::Files => "Open files and rings",
            Self::Accepting => "Accepting",
            Self::Memory => "Memory of the kernel",
            Self::Tcp => "TCP",
            Self::Ports => "Ports and connection tracking",
            Self::Card => "The network card",
            Self::Cores => "Cores",
        }
    }
}

/// One knob of the machine.
#[derive(Debug)]
pub struct Knob {
    /// Its name: a sysctl's, a boot parameter's, or a short one.
    pub name: &'static str,
    /// Where it belongs.
    pub group: Group,
    judge: fn(&Machine) -> Finding,
}

impl Knob {
    /// How it stands.
    pub fn judge(&self, machine: &Machine) -> Finding {
        (self.judge)(machine)
    }
}

/// A machine and what it is to carry.
#[derive(Debug)]
pub struct Machine<'a> {
    /// What its kernel tells.
    pub facts: &'a Facts,
    /// What is asked of it.
    pub goal: &'a Goal,
    /// The server's cores.
    pub cores: Vec<usize>,
    /// The cores that are left to everything else.
    pub spare: Vec<usize>,
}

impl<'a> Machine<'a> {
    /// Sorts out which cores are the server's.
    pub fn new(facts: &'a Facts, goal: &'a Goal) -> Self {
        let online = facts.text("sys/devices/system/cpu/online");
        let online = online.map(|list| super::facts::cores(&list)).unwrap_or_default();
        let allowed = facts.allowed_cores().filter(|cores| !cores.is_empty());
        let mut allowed = allowed.unwrap_or_else(|| if online.is_empty() { vec![0] } else { online.clone() });
        // A server takes no more by itself.
        allowed.truncate(usize::from(PARTITIONS));
        let cores = goal.cores.clone().filter(|cores| !cores.is_empty()).unwrap_or(allowed);
        let spare = online.into_iter().filter(|core| !cores.contains(core)).collect();
        Self { facts, goal, cores, spare }
    }

    /// A sysctl that must be at least `want`.
    fn at_least(&self, key: &'static str, want: u64, ok: &str, change: &str) -> Finding {
        match self.facts.number(key) {
            None => Finding::cannot_tell(UNREADABLE),
            Some(now) if now >= want => Finding::ok(now, ok),
            Some(now) => Finding::change(now, want, change).sysctl(key, want),
        }
    }
}

macro_rules! knobs {
    ($($group:ident { $($name:literal => $judge:path,)+ })+) => {
        /// Every knob, in the order of tuning.md.
        pub static KNOBS: &[Knob] =
            &[$($(Knob { name: $name, group: Group::$group, judge: $judge },)+)+];
    };
}

knobs! {
    Kernel {
        "kernel" => kernel::version,
        "kernel.io_uring_disabled" => kernel::io_uring,
        "seccomp" => kernel::seccomp,
        "RLIMIT_MEMLOCK" => kernel::memlock,
    }
    Files {
        "RLIMIT_NOFILE" => files::limit,
        "fs.nr_open" => files::nr_open,
        "fs.file-max" => files::file_max,
    }
    Accepting {
        "net.core.somaxconn" => accepting::somaxconn,
        "net.ipv4.tcp_max_syn_backlog" => accepting::syn_backlog,
        "net.ipv4.tcp_syncookies" => accepting::syncookies,
    }
    Memory {
        "memory" => memory::machine,
        "memory.max" => memory::cgroup,
        "net.ipv4.tcp_mem" => memory::tcp_mem,
        "net.ipv4.tcp_wmem" => memory::tcp_wmem,
        "net.ipv4.tcp_rmem" => memory::tcp_rmem,
        "thash_entries" => memory::hash,
        "vm.swappiness" => memory::swap,
        "vm.min_free_kbytes" => memory::min_free,
        "vm.overcommit_memory" => memory::overcommit,
        "transparent_hugepage" => memory::huge_pages,
    }
    Tcp {
        "net.ipv4.tcp_congestion_control" => tcp::congestion,
        "net.core.default_qdisc" => tcp::qdisc,
        "net.ipv4.tcp_fin_timeout" => tcp::fin_timeout,
        "net.ipv4.tcp_keepalive_time" => tcp::keepalive,
    }
    Ports {
        "net.ipv4.ip_local_port_range" => ports::range,
        "net.ipv4.ip_local_reserved_ports" => ports::reserved,
        "net.ipv4.tcp_tw_reuse" => ports::tw_reuse,
        "net.netfilter.nf_conntrack_max" => ports::conntrack,
        "net.netfilter.nf_conntrack_buckets" => ports::conntrack_buckets,
    }
    Card {
        "RSS" => card::queues,
        "RPS" => card::rps,
        "net.core.rps_sock_flow_entries" => card::rfs,
        "XPS" => card::xps,
        "IRQ" => card::interrupts,
        "irqbalance" => card::irqbalance,
        "net.core.netdev_budget" => card::budget,
        "net.core.netdev_max_backlog" => card::backlog,
        "net.core.busy_poll" => card::busy_poll,
        "net.core.busy_read" => card::busy_read,
    }
    Cores {
        "isolcpus" => cores::isolated,
        "nohz_full" => cores::tickless,
        "rcu_nocbs" => cores::callbacks,
        "SMT" => cores::siblings,
        "scaling_governor" => cores::governor,
        "cpu_dma_latency" => cores::idle_states,
        "clocksource" => cores::clocksource,
        "kernel.numa_balancing" => cores::numa,
        "mitigations" => cores::mitigations,
    }
}
