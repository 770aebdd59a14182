//! `versus` measures all targets in each round, with the options that each of them has, and lets no failure of one hide another.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, bench, serve};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const SHORT: [&str; 8] = [
    "--",
    "pairs",
    "--users=4",
    "--in-flight=1",
    "--core=any",
    "--warmup=20ms",
    "--duration=500ms",
    "--drain=2s",
];

fn versus(options: &[&str]) -> (i32, Value, String) {
    bench(&[&["versus", "--json"], options, &SHORT].concat())
}

fn target(name: &str, kind: Kind, fault: Fault) -> String {
    format!("--target={name}={},pid={}", serve(kind, fault), std::process::id())
}

#[test]
fn each_round_measures_every_target_with_its_own_options() {
    let plain = target("plain", Kind::Tutorial, Fault::None);
    let acked = target("acked", Kind::Longwire, Fault::None);
    let (code, all, said) = versus(&[&plain, &acked, "--rounds=2", "--with=acked=--ids --dialect longwire"]);
    assert_eq!(code, 0, "{said}");
    let one = &all[0];
    let turns: Vec<(u64, u64)> = one["runs"].as_array().unwrap().iter().map(turn).collect();
    assert_eq!(turns, [(1, 0), (1, 1), (2, 0), (2, 1)]);
    for run in one["runs"].as_array().unwrap() {
        let workload = run["report"]["workload"].as_str().unwrap();
        assert_eq!(workload.contains("acked"), run["target"] == 1, "{workload}");
    }
    let frames = figure(one, "CPU µs per frame out");
    // Only one of them acks: the other's deliveries are all its frames.
    assert!(frames["values"].as_array().unwrap().iter().all(|value| value["median"].as_f64().unwrap() > 0.0));
    let ratios = &figure(one, "deliveries/s")["ratios"];
    assert_eq!(ratios[0]["median"], 1.0);
    assert!(ratios[1]["min"].as_f64().unwrap() > 0.0, "{one}");
}

fn turn(run: &Value) -> (u64, u64) {
    (run["round"].as_u64().unwrap(), run["target"].as_u64().unwrap())
}

fn figure<'a>(comparison: &'a Value, what: &str) -> &'a Value {
    let figures = comparison["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["what"] == what).unwrap_or_else(|| panic!("{what}: {comparison}"))
}

#[test]
fn who_fails_is_named_and_the_others_are_measured() {
    let good = target("good", Kind::Tutorial, Fault::None);
    let liar = target("liar", Kind::Tutorial, Fault::Drop);
    let nobody = "--target=nobody=ws://127.0.0.1:9/";
    let (code, all, said) = versus(&[nobody, &liar, &good, "--rounds=1"]);
    assert_eq!(code, 1, "{said}");
    let runs = all[0]["runs"].as_array().unwrap();
    assert!(runs[0]["report"].is_null() || runs[0]["report"]["failed_connections"] != 0, "{}", runs[0]);
    assert_eq!(runs[1]["report"]["faults"]["lost"], 1, "{}", runs[1]);
    assert!(runs[2]["report"]["deliveries"].as_u64().unwrap() > 0, "{}", runs[2]);
    assert!(said.contains("nobody: ") && said.contains("WRONG"), "{said}");
}

#[test]
fn the_table_is_text_or_markdown_and_goes_to_a_folder() {
    let (one, two) = (target("one", Kind::Tutorial, Fault::None), target("two", Kind::Tutorial, Fault::None));
    let table = |options: &[&str]| {
        let words = [&["versus", &one, &two, "--rounds=1"], options, &SHORT].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_longwire-bench")).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = table(&[]);
    assert!(text.contains("CPU µs per delivery") && text.contains("(1.000–1.000)"), "{text}");
    let markdown = table(&["--markdown"]);
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    let columns: Vec<usize> = rows.iter().map(|row| row.matches('|').count()).collect();
    assert_eq!(rows.len(), 4, "{markdown}");
    assert!(columns.iter().all(|count| *count == columns[0]), "{markdown}");
    assert!(rows[0].contains("| × one |") && rows[3].starts_with("| two |"), "{markdown}");

    let folder = std::env::temp_dir().join(format!("versus-{}", std::process::id()));
    table(&["--out", folder.to_str().unwrap()]);
    let written = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(written("versus.md").contains("| × one |"));
    let all: Value = serde_json::from_str(&written("versus.json")).unwrap();
    assert_eq!(all[0]["targets"][1]["name"], "two");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn interrupted_it_says_what_it_has() {
    let one = target("one", Kind::Tutorial, Fault::None);
    let words = [&["versus", "--json", &one, "--rounds=1000"], &SHORT as &[&str]].concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_longwire-bench"))
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.starts_with("round 2 of 1000")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    said.for_each(drop);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let all: Value = serde_json::from_str(&out).unwrap();
    let runs = all[0]["runs"].as_array().unwrap();
    assert!((2..1000).contains(&runs.len()), "{}", runs.len());
    assert!(runs.iter().all(|run| run["report"]["interrupted"] == false), "{out}");
}
