//! `longwire tune` judges every knob by what the machine's files say, and names the command that changes it.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

#[path = "common/machine.rs"]
mod machine;
#[path = "common/process.rs"]
mod process;

use Verdict::{CannotTell, Change, Consider, Ok as Fine};
use longwire::tune::{Goal, KNOBS, Page, Verdict};
use machine::{Machine, goal, row};
use std::collections::BTreeSet;

/// A knob, the files that differ from the good machine's, the verdict, and what the first command and the reason contain.
type Case = (&'static str, &'static [(&'static str, &'static str)], Verdict, &'static str);

const CASES: &[Case] = &[
    ("kernel", &[("proc/sys/kernel/osrelease", "5.15.0-91-generic")], Change, "6.1"),
    ("kernel", &[("proc/sys/kernel/osrelease", "10.0.1")], Fine, ""),
    (
        "kernel.io_uring_disabled",
        &[("proc/sys/kernel/io_uring_disabled", "2")],
        Change,
        "kernel.io_uring_disabled=1",
    ),
    ("kernel.io_uring_disabled", &[("proc/sys/kernel/io_uring_disabled", "1")], Consider, "io_uring_group"),
    ("seccomp", &[("proc/self/status", "Seccomp:\t2\nCpus_allowed_list:\t0-3")], CannotTell, "mode 2"),
    (
        "RLIMIT_MEMLOCK",
        &[("proc/self/limits", "Max locked memory   65536  65536  bytes")],
        Change,
        "LimitMEMLOCK=4194304",
    ),
    // Many rings hold what one cannot, and even they have an end: 255 rings of 1014 slots, 90 % full.
    (
        "RLIMIT_NOFILE",
        &[("proc/self/limits", "Max open files   1024  20000  files")],
        Consider,
        "14 rings a core",
    ),
    (
        "RLIMIT_NOFILE",
        &[("proc/self/limits", "Max open files   1024  1024  files")],
        Change,
        "255 rings a core hold 930,240",
    ),
    ("fs.nr_open", &[("proc/sys/fs/nr_open", "65536")], Change, "fs.nr_open='1048576'"),
    ("fs.file-max", &[("proc/sys/fs/file-max", "1000000")], Change, "fs.file-max='1100000'"),
    ("net.core.somaxconn", &[("proc/sys/net/core/somaxconn", "128")], Change, "net.core.somaxconn='65535'"),
    (
        "net.ipv4.tcp_max_syn_backlog",
        &[("proc/sys/net/ipv4/tcp_syncookies", "0")],
        Change,
        "net.ipv4.tcp_max_syn_backlog='65535'",
    ),
    (
        "net.ipv4.tcp_syncookies",
        &[("proc/sys/net/ipv4/tcp_syncookies", "0")],
        Change,
        "net.ipv4.tcp_syncookies='1'",
    ),
    ("memory", &[("proc/meminfo", "MemTotal: 4194304 kB")], Change, "631,612 connections fit"),
    ("memory", &[("proc/meminfo", "MemTotal: 8388608 kB")], Consider, "a page in flight"),
    // Whatever of the groups above it is lowest.
    ("memory.max", &[("sys/fs/cgroup/system.slice/memory.max", "1073741824")], Change, "MemoryMax="),
    (
        "memory.max",
        &[
            ("proc/self/cgroup", "4:memory:/a\n0::/"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712"),
        ],
        Fine,
        "no limit",
    ),
    (
        "memory.max",
        &[
            ("proc/self/cgroup", "4:memory:/a\n0::/"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576"),
        ],
        Change,
        "1 MiB",
    ),
    (
        "net.ipv4.tcp_mem",
        &[("proc/sys/net/ipv4/tcp_mem", "287898 383867 575796")],
        Change,
        "net.ipv4.tcp_mem='1000000 1500000 2000000'",
    ),
    (
        "net.ipv4.tcp_mem",
        &[("proc/sys/net/ipv4/tcp_mem", "1 2 3"), ("proc/meminfo", "MemTotal: 4194304 kB")],
        Consider,
        "net.ipv4.tcp_mem='393216 393216 524288'",
    ),
    (
        "net.ipv4.tcp_wmem",
        &[("proc/sys/net/ipv4/tcp_wmem", "4096 16384 4194304")],
        Consider,
        "net.ipv4.tcp_wmem='4096 16384 524288'",
    ),
    (
        "net.ipv4.tcp_rmem",
        &[("proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456")],
        Consider,
        "net.ipv4.tcp_rmem='4096 131072 524288'",
    ),
    (
        "thash_entries",
        &[("proc/sys/net/ipv4/tcp_ehash_entries", "-262144")],
        Consider,
        "thash_entries=1048576",
    ),
    (
        "vm.swappiness",
        &[("proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2")],
        Change,
        "vm.swappiness='1'",
    ),
    (
        "vm.min_free_kbytes",
        &[("proc/sys/vm/min_free_kbytes", "67584")],
        Consider,
        "vm.min_free_kbytes='671088'",
    ),
    ("vm.overcommit_memory", &[("proc/sys/vm/overcommit_memory", "2")], Change, "vm.overcommit_memory=0"),
    (
        "transparent_hugepage",
        &[("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")],
        Fine,
        "always",
    ),
    (
        "net.core.default_qdisc",
        &[("proc/sys/net/ipv4/tcp_congestion_control", "bbr")],
        Consider,
        "net.core.default_qdisc='fq'",
    ),
    ("net.ipv4.tcp_fin_timeout", &[("proc/sys/net/ipv4/tcp_fin_timeout", "120")], Consider, "='60'"),
    (
        "net.ipv4.ip_local_reserved_ports",
        &[
            ("proc/sys/net/ipv4/ip_local_port_range", "1024 65535"),
            ("proc/sys/net/ipv4/ip_local_reserved_ports", "80,90-99"),
        ],
        Change,
        "net.ipv4.ip_local_reserved_ports='80,90-99,9501'",
    ),
    (
        "net.ipv4.ip_local_reserved_ports",
        &[
            ("proc/sys/net/ipv4/ip_local_port_range", "1024 65535"),
            ("proc/sys/net/ipv4/ip_local_reserved_ports", "9500-9509"),
        ],
        Fine,
        "",
    ),
    ("net.ipv4.tcp_tw_reuse", &[("proc/sys/net/ipv4/tcp_tw_reuse", "0")], Consider, "='2'"),
    (
        "net.netfilter.nf_conntrack_max",
        &[("proc/sys/net/netfilter/nf_conntrack_max", "262144")],
        Change,
        "net.netfilter.nf_conntrack_max='1100000'",
    ),
    // Connections are open and none is in the table: no rule tracks them.
    (
        "net.netfilter.nf_conntrack_max",
        &[
            ("proc/sys/net/netfilter/nf_conntrack_max", "9"),
            ("proc/sys/net/netfilter/nf_conntrack_count", "0"),
        ],
        Fine,
        "no rule",
    ),
    (
        "net.netfilter.nf_conntrack_buckets",
        &[("proc/sys/net/netfilter/nf_conntrack_buckets", "65536")],
        Change,
        "='275000'",
    ),
    ("XPS", &[("sys/class/net/eth0/queues/tx-0/xps_cpus", "00000000,00000000")], Consider, "tx-0/xps_cpus"),
    ("irqbalance", &[("proc/77/comm", "irqbalance")], Consider, "systemctl disable --now irqbalance"),
    (
        "net.core.netdev_budget",
        &[("proc/net/softnet_stat", "000003e8 00000000 00000064 00")],
        Consider,
        "net.core.netdev_budget='600'",
    ),
    (
        "net.core.netdev_max_backlog",
        &[("proc/net/softnet_stat", "000003e8 0000000a 00000000 00")],
        Change,
        "net.core.netdev_max_backlog='10000'",
    ),
    ("net.core.busy_poll", &[("proc/sys/net/core/busy_poll", "50")], Consider, "net.core.busy_poll='0'"),
    ("net.core.busy_read", &[("proc/sys/net/core/busy_read", "50")], Consider, "net.core.busy_read='0'"),
    (
        "SMT",
        &[
            ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3"),
            ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3"),
        ],
        Consider,
        "4 shards on 3 physical",
    ),
    (
        "scaling_governor",
        &[("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave")],
        Change,
        "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    ),
    (
        "cpu_dma_latency",
        &[("sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "0")],
        Consider,
        "C6, 133 µs",
    ),
    (
        "clocksource",
        &[("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")],
        Change,
        "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    (
        "kernel.numa_balancing",
        &[("sys/devices/system/node/node0/cpulist", "0-1"), ("sys/devices/system/node/node1/cpulist", "2-3")],
        Change,
        "kernel.numa_balancing='0'",
    ),
    (
        "mitigations",
        &[("sys/devices/system/cpu/vulnerabilities/meltdown", "Vulnerable")],
        Fine,
        "1 mitigated, 1 vulnerable",
    ),
];

/// Everything that a row says, as one text.
fn said(row: &longwire::tune::Row) -> String {
    let finding = &row.finding;
    let commands: Vec<String> = finding.fixes.iter().map(longwire::tune::Fix::command).collect();
    format!("{} -> {}: {}; {}", finding.now, finding.want, finding.why, commands.join("; "))
}

#[test]
fn on_a_good_machine_nothing_is_to_be_changed() {
    let machine = Machine::good();
    for verdict in [Change, Consider, CannotTell] {
        let names = machine.knobs(verdict);
        assert!(names.is_empty(), "{verdict:?}: {names:?}\n{}", machine.page().text());
    }
}

#[test]
fn a_machine_that_tells_nothing_is_not_judged() {
    let machine = Machine::empty();
    // Without a table there is nothing that tracks connections.
    let judged = ["net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets"];
    assert_eq!(machine.knobs(Fine), judged);
    assert!(
        machine.knobs(Change).is_empty() && machine.knobs(Consider).is_empty(),
        "{}",
        machine.page().text()
    );
}

#[test]
fn each_knob_is_judged_by_what_the_files_say() {
    let machine = Machine::good();
    for (knob, files, verdict, part) in CASES {
        files.iter().for_each(|(path, text)| machine.write(path, text));
        let row = machine.row(knob);
        let said = said(&row);
        assert_eq!(row.finding.verdict, *verdict, "{knob} with {files:?}: {said}");
        assert!(said.contains(part), "{knob} with {files:?}: no `{part}` in: {said}");
        files.iter().for_each(|(path, _)| machine.restore(path));
    }
    assert!(machine.knobs(Change).is_empty(), "a case was not undone");
    // Those that have nothing to ask for, or are tested below.
    let others = [
        "net.ipv4.tcp_congestion_control",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.ip_local_port_range",
        "RSS",
        "RPS",
        "net.core.rps_sock_flow_entries",
        "IRQ",
        "isolcpus",
        "nohz_full",
        "rcu_nocbs",
    ];
    let tested: BTreeSet<&str> = CASES.iter().map(|case| case.0).chain(others).collect();
    assert_eq!(tested, KNOBS.iter().map(|knob| knob.name).collect());
}

#[test]
fn a_card_with_one_queue_passes_packets_on() {
    let machine = Machine::good();
    ["rx-1", "rx-2", "rx-3"]
        .iter()
        .for_each(|queue| machine.remove(&format!("sys/class/net/eth0/queues/{queue}")));
    assert_eq!(machine.knobs(Change), ["RPS", "net.core.rps_sock_flow_entries"]);
    assert!(said(&machine.row("RSS")).contains("ethtool -L eth0 combined 4"));
    let rps = said(&machine.row("RPS"));
    assert!(rps.contains("echo f > /sys/class/net/eth0/queues/rx-*/rps_cpus"), "{rps}");
    machine.write("sys/class/net/eth0/queues/rx-0/rps_cpus", "e");
    machine.write("sys/class/net/eth0/queues/rx-0/rps_flow_cnt", "32768");
    machine.write("proc/sys/net/core/rps_sock_flow_entries", "32768");
    assert!(machine.knobs(Change).is_empty(), "{}", machine.page().text());
}

#[test]
fn cores_left_over_take_the_rest_of_the_work() {
    let machine = Machine::good();
    machine.write("proc/cmdline", "quiet");
    machine.write("sys/devices/system/cpu/isolated", "");
    machine.write("sys/devices/system/cpu/nohz_full", "(null)");
    // A server that has every core leaves none to anything else.
    for knob in ["isolcpus", "nohz_full", "rcu_nocbs", "IRQ"] {
        assert_eq!(machine.row(knob).finding.verdict, Fine, "{knob}");
    }
    machine.remove("sys/class/net/eth0/queues/rx-3");
    machine.remove("sys/class/net/eth0/queues/rx-2");
    let goal = Goal { cores: Some(vec![1, 2, 3]), ..goal(1_000_000) };
    for (knob, part) in [
        ("isolcpus", "isolcpus=1-3"),
        ("nohz_full", "nohz_full=1-3"),
        ("rcu_nocbs", "rcu_nocbs=1-3"),
        ("IRQ", "echo 0 > /proc/irq/41/smp_affinity_list"),
    ] {
        let row = row(Page::new(&machine.facts(), &goal), knob);
        assert_eq!(row.finding.verdict, Consider, "{knob}");
        assert!(said(&row).contains(part), "{}", said(&row));
    }
}

#[test]
fn what_few_connections_need_is_less() {
    let machine = Machine::good();
    machine.write("proc/sys/net/core/somaxconn", "4096");
    machine.write("proc/sys/net/ipv4/tcp_mem", "95000 126000 190000");
    machine.write(
        "proc/self/limits",
        "Max open files 1024 20000 files\nMax locked memory 8388608 8388608 bytes",
    );
    machine.write("proc/sys/net/netfilter/nf_conntrack_max", "65536");
    machine.write("proc/meminfo", "MemTotal: 4194304 kB");
    assert!(!machine.knobs(Change).is_empty());
    let page = Page::new(&machine.facts(), &goal(50_000));
    assert_eq!(page.changes(), 0, "{}", page.text());
}

#[test]
fn the_real_machine_is_read_and_every_knob_named() {
    let output = process::longwire(&["tune", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let knobs = page["knobs"].as_array().unwrap();
    let names: Vec<&str> = knobs.iter().map(|knob| knob["name"].as_str().unwrap()).collect();
    assert_eq!(names, KNOBS.iter().map(|knob| knob.name).collect::<Vec<_>>());
    let counts = page["counts"].as_object().unwrap();
    assert_eq!(counts.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), names.len() as u64);
    // Whatever runs this test has read its own limits.
    assert_eq!(page["connections"], 1_000_000);
    assert_ne!(knobs[0]["verdict"], "cannot_tell", "{}", knobs[0]);
    for knob in knobs {
        assert!(!knob["why"].as_str().unwrap().is_empty(), "{knob}");
        let asks = knob["verdict"] == "change" || knob["verdict"] == "consider";
        assert!(asks || knob["fixes"].as_array().unwrap().is_empty(), "{knob}");
    }
    let text = process::longwire(&["tune", "--connections", "1000"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("longwire tune: 1,000 connections"), "{text}");
    KNOBS.iter().for_each(|knob| assert!(text.contains(knob.name), "{} in {text}", knob.name));
}
