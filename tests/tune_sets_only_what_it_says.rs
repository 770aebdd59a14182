//! `longwire tune --apply` sets what takes effect at once, says so for each file, and touches no other. (On a tree of files of
//! its own: no test changes the machine it runs on.)
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

#[path = "common/machine.rs"]
mod machine;
#[path = "common/process.rs"]
mod process;

use longwire::tune::{Outcome, Verdict, apply, keep};
use machine::Machine;

const SOMAXCONN: &str = "proc/sys/net/core/somaxconn";
const GOVERNOR: &str = "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor";
const LIMITS: &str = "proc/self/limits";

/// A machine with one knob of each kind to change, and one to consider.
fn poor() -> Machine {
    let machine = Machine::good();
    machine.write(SOMAXCONN, "128");
    machine.write(GOVERNOR, "powersave");
    machine.write(LIMITS, "Max open files 1024 1024 files\nMax locked memory 8388608 8388608 bytes");
    machine.write("proc/sys/net/core/busy_poll", "50");
    machine
}

fn run(machine: &Machine, more: &[&str]) -> (i32, String, String) {
    let arguments = [&["tune", "--root", machine.root()], more].concat();
    let output = process::longwire(&arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_is_to_be_changed_is_set_and_nothing_else() {
    let machine = poor();
    let before = machine.all();
    let applied = apply(&machine.facts(), &machine.page().knobs, false);
    let outcomes: Vec<_> = applied.iter().map(|change| (change.knob, &change.outcome)).collect();
    let expected = [
        ("RLIMIT_NOFILE", &Outcome::Waits("restart")),
        ("RLIMIT_NOFILE", &Outcome::Waits("by hand")),
        ("net.core.somaxconn", &Outcome::Set),
        ("scaling_governor", &Outcome::Set),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(applied[2].before.as_deref(), Some("128"));
    assert_eq!(machine.read(SOMAXCONN), "65535");
    assert_eq!(machine.read(GOVERNOR), "performance");
    machine.write(SOMAXCONN, "128");
    machine.write(GOVERNOR, "powersave");
    assert_eq!(machine.all(), before, "something else was touched");
}

#[test]
fn a_rehearsal_touches_nothing() {
    let machine = poor();
    let before = machine.all();
    let (code, out, _) = run(&machine, &["--apply", "--dry-run"]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("would set  net.core.somaxconn: sysctl -w net.core.somaxconn='65535'   (was 128)"),
        "{out}"
    );
    assert_eq!(machine.all(), before);
}

#[test]
fn a_refusal_is_told_and_the_rest_is_done() {
    let machine = poor();
    machine.remove(SOMAXCONN);
    // A folder in its place cannot be written, not even by root.
    machine.write(&format!("{SOMAXCONN}/x"), "");
    let rows = poor().page().knobs;
    let applied = apply(&machine.facts(), &rows, false);
    assert!(matches!(&applied[2].outcome, Outcome::Refused(why) if why.contains(SOMAXCONN)), "{applied:?}");
    assert_eq!(applied[3].outcome, Outcome::Set);
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let machine = poor();
    let rows = machine.page().knobs;
    machine.remove(SOMAXCONN);
    let applied = apply(&machine.facts(), &rows, false);
    assert!(matches!(applied[2].outcome, Outcome::Refused(_)), "{applied:?}");
    assert!(!machine.facts().exists(SOMAXCONN));
}

#[test]
fn what_was_set_stays_in_files_of_its_own() {
    let machine = poor();
    machine.write("etc/sysctl.d/90-longwire.conf", "vm.swappiness = 1\nnet.core.somaxconn = 1024");
    let applied = apply(&machine.facts(), &machine.page().knobs, false);
    let files = keep(&machine.facts(), &applied).unwrap();
    assert_eq!(files, ["/etc/sysctl.d/90-longwire.conf", "/etc/tmpfiles.d/90-longwire.conf"]);
    let sysctls = machine.read("etc/sysctl.d/90-longwire.conf");
    assert!(sysctls.ends_with("vm.swappiness = 1\nnet.core.somaxconn = 65535"), "{sysctls}");
    let others = machine.read("etc/tmpfiles.d/90-longwire.conf");
    assert!(
        others.ends_with("w /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor - - - - performance"),
        "{others}"
    );
    assert!(keep(&machine.facts(), &[]).unwrap().is_empty());
}

#[test]
fn exit_codes_say_what_is_left() {
    let machine = poor();
    assert_eq!(run(&machine, &[]).0, 0);
    let (code, _, error) = run(&machine, &["--check"]);
    assert!(code == 1 && error.contains("3 to change"), "{error}");
    let (code, out, error) = run(&machine, &["--apply", "--keep", "--check"]);
    assert!(code == 1 && error.contains("1 to change"), "{out}{error}");
    assert!(out.contains("at restart RLIMIT_NOFILE") && out.contains("stays by   /etc/sysctl.d"), "{out}");
    machine.write(LIMITS, "Max open files 1024 1048576 files\nMax locked memory 8388608 8388608 bytes");
    assert_eq!(run(&machine, &["--check"]).0, 0);
    assert_eq!(run(&machine, &["--apply"]).1, "nothing is to be changed\n");
    for wrong in
        [&["--keep"][..], &["--dry-run"], &["--apply", "--dry-run", "--keep"], &["--connections", "0"]]
    {
        assert_eq!(run(&machine, wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn json_tells_what_was_applied() {
    let machine = poor();
    let (code, out, _) = run(&machine, &["--apply", "--json"]);
    assert_eq!(code, 0);
    let page: serde_json::Value = serde_json::from_str(&out).unwrap();
    let applied = page["applied"].as_array().unwrap();
    assert_eq!(applied[0]["outcome"]["waits"], "restart", "{out}");
    assert_eq!(
        (&applied[2]["knob"], &applied[2]["outcome"]),
        (&"net.core.somaxconn".into(), &"set".into()),
        "{out}"
    );
    assert_eq!(applied[2]["fix"]["stays_in"], "/etc/sysctl.d/90-longwire.conf");
    assert_eq!(page["counts"]["change"], 1, "the page tells how it is now");
}

#[test]
fn a_limit_of_settings_is_what_is_tuned_for() {
    let machine = Machine::good();
    machine.write("longwire.toml", "[server]\nconnection_limit = 2000000\nlisten = \"0.0.0.0:40000\"");
    let config = format!("{}/longwire.toml", machine.root());
    let (_, out, _) = run(&machine, &["--config", &config]);
    assert!(out.starts_with("longwire tune: 2,000,000 connections on cores 0-3, 0.0.0.0:40000"), "{out}");
    assert!(out.contains("ip_local_reserved_ports='40000'"), "{out}");
    let (_, out, _) = run(&machine, &["--config", &config, "--connections", "100000"]);
    assert!(out.starts_with("longwire tune: 100,000 connections"), "{out}");
    assert_eq!(machine.row("memory").finding.verdict, Verdict::Ok);
}
