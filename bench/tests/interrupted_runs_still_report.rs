//! A run that is interrupted ends early and says what it has; the server that it started is not interrupted with it.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Kind, Server, finish, raw, start, upgraded};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn under_load() {
    let server = Server::of(Kind::Tutorial).start();
    let load = ["--rate=500", "--warmup=0s", "--duration=10m", "--url", server.url()];
    let child = start(&[&["pairs", "--users=4", "--dialect=tutorial"] as &[&str], &load].concat());
    server.wait_for(200);
    signal(&child, Signal::INT);
    let outcome = finish(child);
    assert_eq!((outcome.code, &outcome.report["interrupted"]), (130, &true.into()), "{outcome:?}");
    assert!(outcome.count("latency_us.count") >= 190 && outcome.faults().is_empty(), "{outcome:?}");
    assert!(outcome.number("seconds") < 300.0, "{outcome:?}");
    let moments = outcome.report["course"]["moments"].as_array().unwrap();
    let sent: u64 = moments.iter().map(|moment| moment["sent"].as_u64().unwrap()).sum();
    assert!(sent >= 200, "{outcome:?}");
}

#[test]
fn while_connections_are_set_up() {
    let (came, connections) = channel();
    // Nobody is ever answered.
    let url = raw(move |_, stream| {
        came.send(stream).unwrap();
    });
    let child = start(&["idle", "--connections=3", "--url", &url]);
    let _held: Vec<_> = (0..3).map(|_| connections.recv().unwrap()).collect();
    signal(&child, Signal::TERM);
    let outcome = finish(child);
    assert_eq!((outcome.code, &outcome.report["interrupted"]), (130, &true.into()), "{outcome:?}");
    assert_eq!((outcome.count("sent"), outcome.count("failed_connections")), (0, 0), "{outcome:?}");
}

#[test]
fn and_a_second_signal_ends_at_once() {
    // What is sent never comes back, so that the end of the run waits for it.
    let (came, connected) = channel();
    let url = raw(move |_, mut stream| {
        upgraded(&mut stream, b"");
        // The first message of the load.
        stream.read_exact(&mut [0; 36]).unwrap();
        came.send(()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let load = ["--rate=100", "--warmup=0s", "--duration=10m", "--drain=90s", "--url", &url];
    let mut child = start(&[&["echo", "--connections=1"] as &[&str], &load].concat());
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let (mut line, mut out) = (String::new(), String::new());
    connected.recv().unwrap();
    signal(&child, Signal::INT);
    while !line.starts_with("interrupted") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it never said that it was interrupted");
    }
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out, "", "a report that nobody waits for");
}

/// A server started by the run is in nobody's terminal: Ctrl-C there reaches the run alone, and the server is asked to end
/// when all is measured.
#[test]
fn and_the_server_outlives_the_last_look_at_it() {
    let server = Server::of(Kind::Tutorial).start();
    let folder = std::env::temp_dir().join(format!("longwire-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let log = folder.join("signals");
    let script = format!(
        "trap 'echo INT >> {log}' INT; trap 'echo TERM >> {log}; exit' TERM; echo {url}; while :; do sleep 0.05; done",
        log = log.display(),
        url = server.url()
    );
    let spawn = format!("bash -c \"{script}\"");
    let child = Command::new(env!("CARGO_BIN_EXE_longwire-bench"))
        .args(["pairs", "--users=2", "--rate=500", "--warmup=0s", "--duration=10m", "--core=any", "--json"])
        .args(["--server-core=any", "--dialect=tutorial", "--spawn", &spawn])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    server.wait_for(100);
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    let outcome = finish(child);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.count("course.memory.after.server_rss") > 0, "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "TERM\n", "{outcome:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
