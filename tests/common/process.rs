//! The `longwire` binary as a child process, for tests of what a person at a terminal sees.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test is a crate and uses its own part of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_longwire");

/// A command without input, and without this process's settings of a server: one that is not told otherwise keeps its messages in
/// memory.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LONGWIRE_")) {
        command.env_remove(name);
    }
    command.env("LONGWIRE_STORE_DURABILITY", "memory");
    command
}

/// The binary with these arguments.
pub fn longwire(arguments: &[&str]) -> Command {
    let mut command = command(BINARY);
    command.args(arguments);
    command
}

/// A server in dev mode that keeps its messages in a folder, on free ports.
pub fn stored(folder: &Path, more: &[&str]) -> Command {
    let mut command =
        longwire(&["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--connections", "1000", "--data-dir"]).arg(folder).args(more);
    // Small files, wherever this runs.
    let kept = [("DURABILITY", "fsync"), ("SEGMENT_SIZE", "2MiB"), ("MIN_FREE", "0B")];
    command.envs(kept.map(|(name, value)| (format!("LONGWIRE_STORE_{name}"), value)));
    command
}

/// What a server's admin side answers.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A server that is up; killed when dropped.
pub struct Running {
    pub child: Child,
    pub banner: String,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts the binary and reads its banner up to the line that begins with `last_line`.
    pub fn start(arguments: &[&str], last_line: &str) -> Self {
        Self::spawn(longwire(arguments), &[last_line])
    }

    /// The same with a command of the test's own, and several lines that may be the last.
    pub fn spawn(mut command: Command, last_lines: &[&str]) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        let is_last = |line: &str| last_lines.iter().any(|last| line.trim_start().starts_with(last));
        while !banner.lines().any(is_last) {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let mut error = String::new();
                child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                panic!("no banner: {banner}{error}");
            }
        }
        Self { child, banner, _stdout: stdout }
    }

    /// The `ADDR:PORT` behind `scheme://` in the banner.
    pub fn address(&self, scheme: &str) -> String {
        let rest = self.banner.split_once(scheme).unwrap_or_else(|| panic!("{}", self.banner)).1;
        rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
    }

    /// A sample of `/metrics`, by its name with labels.
    pub fn metric(&self, name: &str) -> f64 {
        let page = get(&self.address("http://"), "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    /// Asks it to end, which it does well.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.exit_code(Duration::from_secs(60)), Some(0), "{}", self.banner);
    }

    pub fn signal(&self, name: &str) {
        let kill =
            Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status().unwrap();
        assert!(kill.success());
    }

    pub fn exit_code(&mut self, within: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
