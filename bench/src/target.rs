//! The server under test: found by its URL, or started here, pinned, awaited and ended. Knows no workload.
use crate::interrupt;
use crate::procstat;
use crate::sources::{self, SourceRange};
use crate::tls::{Terms, Throwaway, TlsArgs};
use crate::tokens::TokenArgs;
use crate::wire::dialect::{Dialect, Encoding};
use anyhow::{Context, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Ports from here on are tried for a started server, and how many.
const PORTS_FROM: u16 = 10_000;
const PORT_TRIES: usize = 100;
/// How long a started server may take until it accepts.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(5);

/// Which server, and where both sides run.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// A running server, e.g. ws://127.0.0.1:9501/ or wss://chat.example.org/
    #[arg(long, conflicts_with = "spawn")]
    url: Option<String>,
    /// The running server's process, for its CPU time and memory, those of its children included
    #[arg(long, requires = "url")]
    server_pid: Option<u32>,
    /// Start this server: `{port}` and `{admin}` become free ports, `{bin}` the folder of this program; without `{port}` it
    /// has to print its ws:// or wss:// URL. With `{certificate}` and `{key}`, files with a certificate made for the run, it is
    /// spoken to by TLS
    #[arg(long, value_name = "CMD")]
    pub(crate) spawn: Option<String>,
    /// A folder of the server's disk: `{data}` in --spawn becomes a new one in it, gone when the server is, and raw `fdatasync` of
    /// appended 4 KiB is measured there, before the run and beside it [default with `{data}`: the present folder]
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// Cores of the started server, as `taskset -c` takes them; `any` does not pin
    #[arg(long, default_value = "0", value_name = "LIST")]
    server_core: String,
    /// Cores of the generator, separated by commas; `any` does not pin
    #[arg(long, default_value = "1", value_name = "LIST")]
    core: String,
    /// The server's Prometheus page, for what its counters grew by (follows from `{admin}` when it is started here)
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// What the server is told and answers: `longwire`, `tutorial` (the same messages, no answers waited for), `socketio`,
    /// `nchan`, `echo`, or a file of one's own, FILE.toml
    #[arg(long, default_value = "longwire", value_name = "NAME", value_parser = Dialect::named)]
    dialect: Arc<Dialect>,
    /// How messages are written, where the dialect is Longwire's own
    #[arg(long, value_enum, default_value = "json", value_name = "NAME")]
    encoding: Encoding,
    #[command(flatten)]
    pub(crate) tokens: TokenArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// Offer permessage-deflate, and fail with a server that does not grant it; messages that get smaller are sent compressed
    #[arg(long)]
    compress: bool,
    /// Bytes below which messages are sent as they are
    #[arg(long, default_value_t = 512, requires = "compress", value_name = "BYTES")]
    compress_min: usize,
    /// Addresses to connect from, as `127.0.1.1-127.0.1.128`; may be repeated. Connections are spread over them: each is
    /// good for some 12,000. More than that on loopback go from 127.0.1.1-127.0.1.128 by themselves
    #[arg(long, value_name = "IP[-IP]", value_delimiter = ',')]
    source: Vec<SourceRange>,
    /// Connections opened a second, all threads together; without it as fast as the server takes them
    #[arg(long, value_name = "RATE", value_parser = positive)]
    connect_rate: Option<f64>,
    /// Time for everyone to connect and sign in [default: 30 s, 1 s for each 1000 connections, and what the pace needs]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) patience: Option<Duration>,
    /// Say nothing on the way
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Generator threads
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
}

/// The server, reachable.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) pid: Option<u32>,
    /// Cores its process may use, where they are known.
    pub(crate) cores: Option<usize>,
    /// Its Prometheus page.
    pub(crate) metrics: Option<String>,
    /// How TLS is spoken to it, if it is.
    pub(crate) tls: Option<Terms>,
    /// Where its disk is looked at.
    pub(crate) disk: Option<PathBuf>,
    /// When it was started, or found.
    since: Instant,
    /// Ended when the target is dropped.
    server: Option<Spawned>,
    /// What it stored: gone after it.
    data: Option<Arc<Data>>,
}

impl TargetArgs {
    /// What the server is told and answers, in the encoding that was asked for.
    pub(crate) fn dialect(&self) -> anyhow::Result<Arc<Dialect>> {
        self.dialect.encoded(self.encoding)
    }

    /// How messages are written.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How messages go, in a report's words.
    pub(crate) fn describe(&self) -> String {
        let encoding = if self.encoding == Encoding::Proto { ", in Protobuf" } else { "" };
        let compressed = self.compress().map(|min| format!(", compressed from {min} B on"));
        format!("{encoding}{}", compressed.unwrap_or_default())
    }

    /// From how many bytes on messages are compressed, if they are.
    pub(crate) fn compress(&self) -> Option<usize> {
        self.compress.then_some(self.compress_min)
    }

    /// Finds or starts the server.
    pub(crate) fn open(&self) -> anyhow::Result<Target> {
        // What nobody can speak is refused before anything is started.
        self.dialect()?.check_tokens(self.tokens.place())?;
        match (&self.url, &self.spawn) {
            (_, Some(command)) => self.start(command, None),
            (Some(url), None) => {
                let Place { address, path, secure } = parse_url(url)?;
                let tls = secure.map(|host| self.tls.terms(&host, None)).transpose()?;
                let (metrics, cores) = (self.metrics.clone(), self.server_pid.and_then(procstat::cores));
                let (pid, disk) = (self.server_pid, self.disk.clone());
                let since = Instant::now();
                Ok(Target { address, path, pid, cores, metrics, tls, disk, since, server: None, data: None })
            }
            (None, None) => bail!("which server? --url ws://… (or wss://…), or --spawn \"CMD\""),
        }
    }

    /// Starts the server again, on what it had stored.
    pub(crate) fn start_again(&self, data: &Arc<Data>) -> anyhow::Result<Target> {
        self.start(self.spawn.as_deref().context("--spawn \"CMD\" is started again")?, Some(data))
    }

    fn start(&self, command: &str, data: Option<&Arc<Data>>) -> anyhow::Result<Target> {
        let port = free_port()?;
        let admin = free_port()?;
        let named = command.contains("{port}");
        let line = command.replace("{port}", &port.to_string()).replace("{admin}", &admin.to_string());
        let line = line.replace("{bin}", &own_folder()?);
        let stores = line.contains("{data}");
        let disk = self.disk.clone().or_else(|| stores.then(|| PathBuf::from(".")));
        let data = match (data, &disk) {
            (Some(data), _) => Some(Arc::clone(data)),
            (None, Some(disk)) if stores => Some(Arc::new(Data::make(disk)?)),
            _ => None,
        };
        let line = data.as_ref().map_or(line.clone(), |data| line.replace("{data}", &word(data.folder())));
        let made = line.contains("{certificate}").then(Throwaway::make).transpose()?;
        let line = match &made {
            Some(made) => {
                line.replace("{certificate}", &word(&made.certificate())).replace("{key}", &word(&made.key()))
            }
            None => line,
        };
        let since = Instant::now();
        let (mut server, urls) = Spawned::start(&line, &self.server_core)?;
        let Place { address, path, secure } = if named {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            server.wait_for_port(address)?;
            let secure = made.is_some().then(|| address.ip().to_string());
            Place { address, path: "/".to_owned(), secure }
        } else {
            parse_url(&server.wait_for_url(&urls)?)?
        };
        let tls = secure.map(|host| self.tls.terms(&host, made.as_ref())).transpose()?;
        server.made = made;
        let pid = server.child().id();
        let follows = command.contains("{admin}").then(|| format!("http://127.0.0.1:{admin}/metrics"));
        Ok(Target {
            address,
            path,
            pid: Some(pid),
            cores: procstat::cores(pid),
            metrics: self.metrics.clone().or(follows),
            tls,
            disk,
            since,
            server: Some(server),
            data,
        })
    }

    /// The addresses that so many connections to `server` come from.
    pub(crate) fn sources(&self, server: IpAddr, connections: usize) -> Vec<IpAddr> {
        sources::of_run(&self.source, server, connections)
    }

    /// Connections that each of `threads` may open a second.
    pub(crate) fn pace(&self, threads: usize) -> Option<f64> {
        self.connect_rate.map(|rate| rate / threads.max(1) as f64)
    }

    /// How many cores the generator may use: those it is pinned to, or the process's own.
    pub(crate) fn cores(&self) -> usize {
        let own = || std::thread::available_parallelism().map_or(1, usize::from);
        core_list(&self.core).map_or_else(own, |cores| cores.len())
    }

    /// Pins the calling thread to the generator's cores.
    pub(crate) fn pin(&self) {
        let Some(cores) = core_list(&self.core) else { return };
        if let Err(error) = affinity::set_thread_affinity(cores) {
            eprintln!("generator not pinned to core {}: {error}", self.core);
        }
    }
}

impl Target {
    /// How it is spoken to, in a report's words.
    pub(crate) fn describe(&self) -> &'static str {
        if self.tls.is_some() { ", over TLS" } else { "" }
    }

    /// What it stores, where that is in a folder made here.
    pub(crate) fn data(&self) -> Option<Arc<Data>> {
        self.data.clone()
    }

    /// How long ago it was started here.
    pub(crate) fn since_start(&self) -> Duration {
        self.since.elapsed()
    }

    /// Ends the server with this signal, and waits for its end.
    pub(crate) fn end(&self, signal: Signal) {
        self.server.iter().for_each(|server| server.end(signal));
    }

    /// How the server ended, if it was started here and has ended by itself.
    pub(crate) fn ended(&self) -> Option<String> {
        self.server.as_ref()?.ended()
    }
}

/// A server started here.
#[derive(Debug)]
struct Spawned {
    child: Mutex<Child>,
    /// Its certificate's files, which it may read again as long as it runs.
    made: Option<Throwaway>,
}

impl Spawned {
    fn start(line: &str, cores: &str) -> anyhow::Result<(Self, Receiver<String>)> {
        let words = shell_words::split(line).context("the server's command")?;
        ensure!(!words.is_empty(), "the server's command is empty");
        // Each of these becomes the next, so the process id stays: `setpriv` lets no server outlive a generator that was
        // killed, `env` takes the assignments before the program.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if core_list(cores).is_some() {
            command.args(["taskset", "-c", cores]);
        }
        command.arg("env");
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C goes to the group of the terminal: the server is still to be measured then.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting {line}"))?;
        let (found, urls) = channel();
        watch(child.stdout.take(), found.clone());
        watch(child.stderr.take(), found);
        Ok((Self { child: Mutex::new(child), made: None }, urls))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn ended(&self) -> Option<String> {
        self.child().try_wait().ok().flatten().map(|status| status.to_string())
    }

    fn wait_for_port(&self, address: SocketAddr) -> anyhow::Result<()> {
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            self.still_there()?;
            ensure!(since.elapsed() < START, "the server does not accept on {address}");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn wait_for_url(&self, urls: &Receiver<String>) -> anyhow::Result<String> {
        let since = Instant::now();
        loop {
            if let Ok(url) = urls.recv_timeout(Duration::from_millis(50)) {
                return Ok(url);
            }
            self.still_there()?;
            ensure!(since.elapsed() < START, "the server printed no ws:// or wss:// URL");
        }
    }

    fn still_there(&self) -> anyhow::Result<()> {
        ensure!(!interrupt::requested(), "interrupted before the server was there");
        self.ended().map_or(Ok(()), |how| bail!("the server ended: {how}"))
    }
}

impl Spawned {
    fn end(&self, signal: Signal) {
        let mut child = self.child();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Errors here mean that it is gone already.
        let _ = pid.filter(|_| matches!(child.try_wait(), Ok(None))).map(|pid| kill_process(pid, signal));
        let since = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if since.elapsed() > STOP {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

/// A folder for what a started server stores; gone with this.
#[derive(Debug)]
pub(crate) struct Data(PathBuf);

impl Data {
    fn make(disk: &Path) -> anyhow::Result<Self> {
        let folder = disk.join(format!("longwire-bench-data-{:08x}", fastrand::u32(..)));
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder.canonicalize()?))
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Whatever is left is told by its name.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Passes the server's output on to stderr and picks the URL out of it.
fn watch(output: Option<impl Read + Send + 'static>, found: Sender<String>) {
    let Some(output) = output else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            eprintln!("  server: {line}");
            if let Some(at) = line.find("wss://").or_else(|| line.find("ws://")) {
                let end = line[at..]
                    .find(|c: char| c.is_whitespace() || c == ',')
                    .map_or(line.len(), |end| at + end);
                // Nobody listens once the first URL was taken.
                let _ = found.send(line[at..end].to_owned());
            }
        }
    });
}

/// A rate: above zero and finite.
pub(crate) fn positive(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    ensure!(rate > 0.0 && rate.is_finite(), "must be above 0");
    Ok(rate)
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    address: SocketAddr,
    path: String,
    /// The name that the server's certificate has to have, where TLS is spoken.
    secure: Option<String>,
}

fn parse_url(url: &str) -> anyhow::Result<Place> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    ensure!(
        ["ws", "wss", "tcp"].contains(&scheme),
        "{url} is no ws:// or wss:// URL (nor a tcp:// one, for `echo --tcp`)"
    );
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    // Only with TLS there is a port that goes without saying.
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let (name, whole) = match name {
        Some((name, _)) => (name, host.to_owned()),
        None if scheme == "wss" => (host, format!("{host}:443")),
        None => (host, host.to_owned()),
    };
    let address = whole.to_socket_addrs().with_context(|| format!("the address in {url}"))?.next();
    let address = address.with_context(|| format!("{host} has no address"))?;
    let secure = (scheme == "wss").then(|| name.to_owned());
    Ok(Place { address, path: path.to_owned(), secure })
}

/// A path as a word of a command.
fn word(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

/// `0,2-3` as numbers; `None` for `any` and what is no list.
pub(crate) fn core_list(list: &str) -> Option<Vec<usize>> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse().ok()?)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    Some(ranges?.into_iter().flatten().collect()).filter(|cores: &Vec<usize>| !cores.is_empty())
}

/// Where this program lies: the server that was built with it lies beside it.
fn own_folder() -> anyhow::Result<String> {
    let path = std::env::current_exe().context("finding this program's own path")?;
    let folder = path.parent().and_then(std::path::Path::to_str).context("this program's path")?;
    Ok(shell_words::quote(folder).into_owned())
}

/// A port that nobody listens on, below those from which the kernel chooses for connections that go out: among a million
/// of them one would take the server's own before it has started.
fn free_port() -> anyhow::Result<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_ascii_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    let free = |&port: &u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let below = (0..PORT_TRIES).map(|_| fastrand::u16(PORTS_FROM..first.max(PORTS_FROM + 1)));
    match below.into_iter().find(free) {
        Some(port) => Ok(port),
        None => Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_core_lists_are_read() {
        let place = |url: &str| {
            let Place { address, path, secure } = parse_url(url).unwrap();
            (address.port(), path, secure)
        };
        assert_eq!(place("ws://127.0.0.1:9501"), (9501, "/".into(), None));
        assert_eq!(place("ws://127.0.0.1:1/ws?x"), (1, "/ws?x".into(), None));
        assert_eq!(place("wss://127.0.0.1:9/"), (9, "/".into(), Some("127.0.0.1".into())));
        assert_eq!(place("wss://127.0.0.1/ws"), (443, "/ws".into(), Some("127.0.0.1".into())));
        assert_eq!(place("wss://[::1]:9/"), (9, "/".into(), Some("[::1]".into())));
        assert_eq!(place("wss://[::1]"), (443, "/".into(), Some("[::1]".into())));
        assert!(parse_url("http://127.0.0.1:1/").is_err());
        assert_eq!(core_list("0,2-3"), Some(vec![0, 2, 3]));
        assert_eq!(core_list("any"), None);
    }
}
