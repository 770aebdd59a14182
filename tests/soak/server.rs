//! The `longwire` binary under test, and what it says of itself. Knows no chat.

use crate::common::PATIENCE;
use crate::common::tls::{self, Made, Secure, TLS12, TLS13};
use crate::process::{Running, longwire};
use rustls::ClientConfig;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is kept on purpose is bounded low, so that it is full when the memory is looked at first.
const SETTINGS: &[(&str, &str)] = &[
    ("LONGWIRE_STORE_MEMORY_MAX_BYTES", "1MiB"),
    ("LONGWIRE_IDEMPOTENCY_MAX_BYTES", "1MiB"),
    // A machine that does other things may not read for a while; what a slow reader loses is for other tests.
    ("LONGWIRE_CLIENT_QUEUE_MAX_SIZE", "64MiB"),
    ("LONGWIRE_CLIENT_PING_INTERVAL", "1s"),
    ("LONGWIRE_CLIENT_AUTH_TIMEOUT", "1m"),
];
/// Levels that are 0 when nobody is connected.
const LEVELS: &[&str] = &[
    "longwire_connections_active",
    "longwire_sessions_active",
    "longwire_fanout_jobs",
    "longwire_mailbox_depth",
    "longwire_mailbox_spill_depth",
    "longwire_outbox_bytes",
    "longwire_sending_bytes",
    "longwire_assembly_bytes",
    "longwire_ring_slots_used",
    "longwire_recv_buffers_taken",
    "longwire_outboxes_used",
    "longwire_moves_active",
    "longwire_address_places",
];

/// How clients connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Tcp,
    Tls,
    Unix,
}

/// What a client reads and writes.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<Secure>),
    Unix(UnixStream),
}

impl Stream {
    /// How long a read may wait.
    pub(crate) fn set_read_timeout(&self, time: Duration) {
        let set = match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(time)),
            Self::Tls(stream) => stream.sock.set_read_timeout(Some(time)),
            Self::Unix(stream) => stream.set_read_timeout(Some(time)),
        };
        set.expect("a time-out");
    }

    /// Ends it by a reset, where there is such a thing.
    pub(crate) fn reset(self) {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.sock,
            Self::Unix(_) => return,
        };
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("no linger");
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush(),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }
}

/// Where clients connect.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    tcp: SocketAddr,
    tls: SocketAddr,
    /// Of TLS 1.3, which most speak, and of 1.2.
    terms: [Arc<ClientConfig>; 2],
    unix: PathBuf,
}

impl Address {
    /// A bare connection to where TLS is spoken.
    pub(crate) fn connect_to_tls(&self) -> TcpStream {
        tls::tcp(self.tls)
    }

    /// A new stream.
    pub(crate) fn connect(&self, way: Way) -> Stream {
        let stream = match way {
            Way::Tcp => Stream::Tcp(tls::tcp(self.tcp)),
            Way::Tls => {
                let bare = self.connect_to_tls();
                let odd = bare.local_addr().is_ok_and(|own| own.port() % 4 == 0);
                Stream::Tls(Box::new(tls::secure(&self.terms[usize::from(odd)], bare)))
            }
            Way::Unix => Stream::Unix(UnixStream::connect(&self.unix).expect("the server accepts")),
        };
        stream.set_read_timeout(PATIENCE);
        stream
    }
}

/// A running server with two shards.
pub(crate) struct Server {
    running: Running,
    admin: String,
    unix: PathBuf,
    made: Made,
}

impl Server {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let allowed = affinity::get_thread_affinity().expect("the cores of this process");
        let cores: Vec<_> = allowed.iter().take(2).map(usize::to_string).collect();
        let unix = std::env::temp_dir().join(format!("longwire-soak-{}.sock", std::process::id()));
        let listen = format!("unix:{}", unix.display());
        let mut command = longwire(&["serve", "--dev", "--listen", "127.0.0.1:0", "--listen", &listen]);
        let made = Made::new();
        command.args(["--listen", "wss://127.0.0.1:0", "--tls-certificate"]).arg(made.certificate());
        command.arg("--tls-key").arg(made.key());
        command.args(["--admin-listen", "127.0.0.1:0", "--connections", "4000"]);
        command.args(["--cores", &cores.join(",")]).envs(SETTINGS.iter().copied());
        let running = Running::spawn(command, &["try"]);
        let admin = running.address("http://");
        Self { running, admin, unix, made }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> Address {
        let at = |scheme| self.running.address(scheme).parse().expect("an address");
        let terms = [&TLS13, &TLS12].map(|version| Arc::new(self.made.client(version)));
        Address { tcp: at("ws://"), tls: at("wss://"), terms, unix: self.unix.clone() }
    }

    /// A family's sum over all shards and labels.
    pub(crate) fn sum(&self, family: &str) -> u64 {
        sum(&self.metrics(), family)
    }

    /// Waits until so many connections are left, and where there are none, nothing else of theirs.
    pub(crate) fn wait_for_connections(&self, left: u64) {
        let start = Instant::now();
        loop {
            let metrics = self.metrics();
            let levels: Vec<_> = LEVELS.iter().map(|level| (*level, sum(&metrics, level))).collect();
            if levels[0].1 == left && (left > 0 || levels.iter().all(|(_, level)| *level == 0)) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{left} connections should be left: {levels:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Memory of the process that is not a file's (bytes).
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.child.id()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Asks it to end, which it does in peace.
    pub(crate) fn stop(mut self) {
        self.running.signal("TERM");
        assert_eq!(self.running.exit_code(PATIENCE), Some(0));
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.admin).expect("the admin listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

fn sum(metrics: &str, family: &str) -> u64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(family));
    let lines = lines.filter(|rest| rest.starts_with(['{', ' ']));
    lines.map(|rest| rest.rsplit_once(' ').expect("a value").1.parse::<u64>().expect("a number")).sum()
}
