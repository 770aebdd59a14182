//! The `longwire` binary with a data directory, started again and again.

use crate::process::{Running, longwire};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crowd is not to be slowed down, and segments are filled quickly.
const SETTINGS: &[(&str, &str)] = &[
    ("LONGWIRE_STORE_SEGMENT_SIZE", "4MiB"),
    ("LONGWIRE_STORE_CACHE_SIZE", "16MiB"),
    ("LONGWIRE_STORE_MIN_FREE", "1MiB"),
    ("LONGWIRE_RATE_CONNECTION_MESSAGES", "0"),
    ("LONGWIRE_RATE_CONNECTION_BYTES", "0B"),
    ("LONGWIRE_RATE_USER_MESSAGES", "0"),
    ("LONGWIRE_RATE_USER_BYTES", "0B"),
    ("LONGWIRE_RATE_USER_NEW", "0"),
    ("LONGWIRE_CLIENT_QUEUE_MAX_SIZE", "64MiB"),
    ("LONGWIRE_CLIENT_PING_INTERVAL", "1m"),
];

/// How one is started.
#[derive(Clone, Debug)]
pub struct Durable {
    pub data_dir: PathBuf,
    pub durability: &'static str,
    pub settings: Vec<(&'static str, String)>,
}

impl Durable {
    pub fn new(data_dir: &Path, durability: &'static str) -> Self {
        Self { data_dir: data_dir.into(), durability, settings: Vec::new() }
    }

    /// The command, with two shards.
    pub fn command(&self) -> Command {
        let allowed = affinity::get_thread_affinity().expect("the cores of this process");
        let cores: Vec<_> = allowed.iter().take(2).map(usize::to_string).collect();
        let mut command = longwire(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
        command.args(["--admin-listen", "127.0.0.1:0", "--connections", "1000", "--cores", &cores.join(",")]);
        command.arg("--data-dir").arg(&self.data_dir).args(["--durability", self.durability]);
        command.envs(SETTINGS.iter().copied());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn start(&self) -> Running {
        Running::spawn(self.command(), &["try"])
    }
}

/// Where clients connect.
pub fn address(running: &Running) -> SocketAddr {
    running.address("ws://").parse().expect("an address")
}

/// The status of a page of the admin listener, and the page.
pub fn admin(running: &Running, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(running.address("http://")).expect("the admin listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
    (status, answer)
}
