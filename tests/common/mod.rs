//! A server in this process and real clients of it (tungstenite's), for tests that keep one promise each.
#![allow(dead_code, unreachable_pub)] // each test is a crate and uses its own part of it

pub mod desk;
pub mod disguised;
pub mod proto;
pub mod raw;
pub mod slow;
pub mod tls;

use longwire::admin::Shards;
use longwire::auth::Verifier;
use longwire::ids::{GroupName, ShardId, UserName};
use longwire::metrics::{Counter, Counters, Gauge, Snapshot};
use longwire::net::endpoint::Endpoint;
use longwire::settings::Settings;
use longwire::shard::{AppKind, Control, Plan, Server, launch};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

/// Ten times what anything here takes on a busy machine: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a server holds for connections, and gives back when they have gone.
pub const OF_CONNECTIONS: [Gauge; 12] = [
    Gauge::Connections,
    Gauge::JsonSessions,
    Gauge::ProtoSessions,
    Gauge::RingSlots,
    Gauge::RecvBuffers,
    Gauge::Outboxes,
    Gauge::OutboxBytes,
    Gauge::SendingBytes,
    Gauge::AssemblyBytes,
    Gauge::Moves,
    Gauge::Places,
    Gauge::SpillDepth,
];

/// What a test's server is started with: an ephemeral port, and shards that share cores if they must.
pub fn plan(app: AppKind, shards: usize, settings: &[(&str, &str)]) -> Plan {
    let allowed = affinity::get_thread_affinity().expect("the cores of this process");
    Plan {
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        cores: (0..shards).map(|n| allowed[n % allowed.len()]).collect(),
        connections: 4000,
        settings: Arc::new(Settings::with(kept(settings)).expect("settings of a test")),
        verifier: None,
        tls: None,
        app,
    }
}

/// A test that does not speak of durability keeps its messages in memory.
fn kept<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("store.durability", "memory")], settings].concat()
}

/// A running server; it stops when dropped.
pub struct TestServer {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
}

impl TestServer {
    /// A chat server in dev mode with `shards` shards (more than one may share a core) and these settings.
    pub fn chat(shards: usize, settings: &[(&str, &str)]) -> Self {
        Self::start(AppKind::Chat, shards, &[&[("server.dev", "true")], settings].concat())
    }

    /// A chat server that keeps its messages in a folder.
    pub fn stored(shards: usize, folder: &Path) -> Self {
        let folder = folder.to_str().expect("a path of text");
        // Small files, wherever this runs.
        let sizes = [("store.segment_size", "2MiB"), ("store.min_free", "0B")];
        let place = [("store.durability", "fsync"), ("store.data_dir", folder)];
        Self::chat(shards, &[sizes, place].concat())
    }

    /// An echo server.
    pub fn echo(settings: &[(&str, &str)]) -> Self {
        Self::start(AppKind::Echo, 1, settings)
    }

    fn start(app: AppKind, shards: usize, settings: &[(&str, &str)]) -> Self {
        Self::launch(&plan(app, shards, settings))
    }

    /// A chat server with room for so many connections only.
    pub fn small(shards: usize, connections: usize) -> Self {
        Self::launch(&Plan { connections, ..plan(AppKind::Chat, shards, &[("server.dev", "true")]) })
    }

    /// A chat server that takes tokens only.
    pub fn with_tokens(shards: usize, verifier: Verifier) -> Self {
        Self::launch(&Plan { verifier: Some(Arc::new(verifier)), ..plan(AppKind::Chat, shards, &[]) })
    }

    /// A server by a plan of the test's own.
    pub fn launch(plan: &Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { server: Some(launch(plan).expect("the server starts")), runtime }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("running until dropped")
    }

    /// Where it listens, and where first of all on TCP.
    pub fn listens_on(&self) -> &[Endpoint] {
        self.server().listens_on()
    }

    pub fn address(&self) -> SocketAddr {
        self.listens_on().iter().find_map(Endpoint::address).expect("an address")
    }

    /// The handle that drains it.
    pub fn control(&self) -> Control {
        self.server().control()
    }

    /// Waits until it has ended, after a drain.
    pub fn join(mut self) {
        if let Some(server) = self.server.take() {
            server.join().expect("the shards end in peace");
        }
    }

    /// The `n`th group whose home is `shard`.
    pub fn group_on(&self, shard: u16, n: usize) -> String {
        let names = (0..).map(|i| format!("group{i}"));
        let at_home = |name: &String| {
            let group = GroupName::new(name).expect("a name");
            self.server().router().home_of_group(&group) == ShardId(shard)
        };
        names.filter(at_home).nth(n).expect("every shard is home to some")
    }

    /// The `n`th user whose home is `shard`.
    pub fn user_on(&self, shard: u16, n: usize) -> String {
        let names = (0..).map(|i| format!("user{i}"));
        let at_home = |name: &String| {
            let user = UserName::new(name).expect("a name");
            self.server().router().home_of_user(&user) == ShardId(shard)
        };
        names.filter(at_home).nth(n).expect("every shard is home to some")
    }

    /// The shard that is a user's home.
    pub fn home_of(&self, user: &str) -> u16 {
        self.server().router().home_of_user(&UserName::new(user).expect("a name")).0
    }

    /// A plain TCP connection.
    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    /// An upgraded connection that nobody signed in on.
    pub fn connect(&self) -> Client {
        let (socket, _) =
            tungstenite::client(format!("ws://{}/", self.address()), self.tcp()).expect("the upgrade");
        Client { socket }
    }

    /// A user signed in by name.
    pub fn sign_in(&self, user: &str) -> Client {
        self.sign_in_with(&json!({"type": "auth", "username": user}))
    }

    /// A user signed in by an `auth` message of the test's own.
    pub fn sign_in_with(&self, auth: &Value) -> Client {
        let mut client = self.connect();
        client.send(auth);
        client.expect("authenticated");
        client
    }

    /// All shards' numbers.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let control = self.server().control();
        let shards = (0..Shards::shards(&control)).map(ShardId);
        self.runtime.block_on(async {
            let mut all = Vec::new();
            for shard in shards {
                all.push(control.ask(shard).await.expect("a running shard answers"));
            }
            all
        })
    }

    /// A counter over all shards.
    pub fn count(&self, counter: Counter) -> u64 {
        let mut sum = Counters::default();
        self.snapshots().iter().for_each(|snapshot| sum.merge(&snapshot.counters));
        sum.get(counter)
    }

    /// A level over all shards.
    pub fn level(&self, gauge: Gauge) -> u64 {
        self.snapshots().iter().map(|snapshot| snapshot.gauges.get(gauge)).sum()
    }

    /// Signed-in sessions of all encodings, over all shards.
    pub fn sessions(&self) -> u64 {
        [Gauge::JsonSessions, Gauge::ProtoSessions].into_iter().map(|gauge| self.level(gauge)).sum()
    }

    /// Waits until the server holds nothing for any connection: no slot, buffer, queue, move or place.
    pub fn wait_until_nothing_is_held(&self) {
        let start = Instant::now();
        loop {
            let held: Vec<_> = OF_CONNECTIONS.iter().map(|gauge| (gauge, self.level(*gauge))).collect();
            if held.iter().all(|(_, level)| *level == 0) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "something is left: {held:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until a condition holds; the server is asked again and again, which gives its shards time.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::yield_now();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.control().drain(Duration::from_millis(500));
            let end = server.join();
            if !std::thread::panicking() {
                end.expect("the shards end in peace");
            }
        }
    }
}

/// A client of the server's.
pub struct Client<S = TcpStream> {
    /// The WebSocket, for what a test does on its own.
    pub socket: WebSocket<S>,
}

impl<S: Read + Write> Client<S> {
    /// A user signed in over a stream of the test's own.
    pub fn over(stream: S, user: &str) -> Self {
        let Ok((socket, _)) = tungstenite::client("ws://localhost/", stream) else { panic!("no upgrade") };
        let mut client = Self { socket };
        client.ask(&json!({"type": "auth", "username": user}), "authenticated");
        client
    }

    /// Sends one command.
    pub fn send(&mut self, command: &Value) {
        self.socket.send(Message::text(command.to_string())).expect("the connection takes a command");
    }

    /// The next message, whatever it is; pings are answered on the way.
    pub fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message arrives") {
                Message::Text(text) => return serde_json::from_str(&text).expect("events are JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// The next message, which must be of this type.
    pub fn expect(&mut self, event: &str) -> Value {
        let next = self.next();
        assert_eq!(next["type"], event, "{next}");
        next
    }

    /// Sends a command and returns the answer, which must be of this type.
    pub fn ask(&mut self, command: &Value, answer: &str) -> Value {
        self.send(command);
        self.expect(answer)
    }

    /// Asserts that nothing has arrived but what comes before the answer to a ping sent now.
    pub fn expect_nothing(&mut self) {
        self.ask(&json!({"type": "ping"}), "pong");
    }

    /// Reads until the server closes, and returns its code.
    pub fn expect_close(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map_or(1005, |frame| u16::from(frame.code)),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return u16::from(CloseCode::Normal),
                Err(error) => panic!("expected a close frame, got {error}"),
            }
        }
    }
}
