//! A server that finds too few descriptors, or too little memory that it may lock, says so and what to raise, and ends; it neither
//! hangs nor starts as half a server.

#[path = "common/process.rs"]
mod process;

use process::{BINARY, command};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

/// Ten times what a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// From too few for the check of the kernel to enough for two cores.
const FILES: std::ops::Range<u32> = 6..80;

/// How a start went.
#[derive(PartialEq, Eq, Debug)]
enum Start {
    Ready,
    Failed(String),
}

/// Starts a server of two cores in a shell that has set a limit first.
fn start(limit: &str) -> Start {
    let allowed = affinity::get_thread_affinity().expect("the cores of this process");
    let cores: Vec<String> = allowed.iter().take(2).map(ToString::to_string).collect();
    let cores = cores.join(",");
    let serve = format!(
        "{limit} exec $WRAP {BINARY} serve --dev --cores {cores} --connections 300 --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"
    );
    let mut shell = command("bash");
    shell.args(["-c", &serve]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell");
    let (tell, told) = mpsc::channel();
    let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        // Nobody waits for a server that took too long.
        let _ = tell.send(line);
    });
    let line = told.recv_timeout(PATIENCE);
    let running = matches!(&line, Ok(line) if line.ends_with("is ready\n"));
    if running || line.is_err() {
        child.kill().expect("it runs");
    }
    let status = child.wait().expect("it ends");
    let mut error = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut error).expect("text");
    assert!(line.is_ok(), "with {limit} it neither starts nor fails: {error}");
    if running {
        return Start::Ready;
    }
    assert_eq!(status.code(), Some(1), "{limit} {error}");
    assert!(!error.contains("panicked"), "{limit} {error}");
    Start::Failed(error)
}

#[test]
fn a_start_without_descriptors_says_what_to_raise() {
    let (mut failed, mut ready) = (0, 0);
    for files in FILES.step_by(2) {
        match start(&format!("ulimit -n {files};")) {
            Start::Ready => ready += 1,
            Start::Failed(error) => {
                assert!(error.contains("ulimit -n"), "with {files} open files: {error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0 && ready > 0, "{failed} starts failed, {ready} did not");
}

#[test]
fn a_start_without_locked_memory_says_what_to_raise() {
    // Root may lock what it likes; without that right it is like anybody.
    let anybody = "ulimit -l 64; WRAP=\"\"; [ $(id -u) = 0 ] && WRAP=\"setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock\";";
    match start(anybody) {
        Start::Failed(error) => assert!(error.contains("ulimit -l"), "{error}"),
        Start::Ready => panic!("it needs no locked memory, then"),
    }
}
