//! Whatever a client sends, and however it behaves, it gets the code for it and costs only itself: two honest users chat
//! beside each attack and lose nothing, and afterwards the server holds what it held before.
//!
//! How the honest users' latency fares is for a quiet machine to say; this prints it, each attack again and again for so
//! many seconds: `ATTACK_SECONDS=5 cargo test --release --test an_attack_costs_only_its_sender -- --nocapture`

#[path = "common/attacks/mod.rs"]
mod attacks;
mod common;

use attacks::{Attack, Meets};
use common::tls::TlsServer;
use common::{Client, PATIENCE};
use longwire::metrics::Gauge;
use longwire::settings::{ROWS, Settings, row};
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SHARDS: u16 = 2;
/// What the honest users say at least beside each attack (messages).
const BESIDE: u64 = 20;
/// What the attackers' connections may make the server hold for them (bytes), by its settings below.
const HELD: u64 = 8 << 20;
/// What the process may have grown by after all (bytes): its heap does not shrink by itself.
const GROWTH: u64 = 128 << 20;

/// A server for strangers: what may be done in a second is little, and nobody is waited for long.
const SETTINGS: &[(&str, &str)] = &[
    ("client.head_timeout", "300ms"),
    ("client.auth_timeout", "700ms"),
    ("client.ping_interval", "800ms"),
    ("client.user_connection_limit", "4"),
    // Holds what one user may send at once, who is then no burden to whom it is sent to.
    ("client.queue_max_size", "512KiB"),
    ("client.queues_max_size", "4MiB"),
    ("websocket.message_size_limit", "16KiB"),
    ("message.size_limit", "8KiB"),
    ("rate.connection_messages", "600"),
    ("rate.user_messages", "600"),
    ("rate.user_new", "100"),
    ("store.memory_max_bytes", "8MiB"),
];

/// What the server holds for the honest pair at most.
const AFTERWARDS: &[(Gauge, u64)] = &[
    (Gauge::Connections, 2),
    (Gauge::TlsConnections, 0),
    (Gauge::JsonSessions, 2),
    (Gauge::ProtoSessions, 0),
    (Gauge::RingSlots, 2),
    (Gauge::Outboxes, 2),
    (Gauge::OutboxBytes, 4096),
    (Gauge::SendingBytes, 4096),
    (Gauge::AssemblyBytes, 0),
    (Gauge::RecvBuffers, 0),
    (Gauge::Moves, 0),
    (Gauge::SpillDepth, 0),
    (Gauge::FanOutJobs, 0),
];

/// What the honest pair tells while it chats.
#[derive(Default)]
struct Told {
    messages: AtomicU64,
    took: Mutex<Vec<Duration>>,
    stop: AtomicBool,
}

/// Two users on different shards who write to each other in turn.
struct Pair {
    users: [String; 2],
    clients: [Client; 2],
    last: u64,
}

impl Pair {
    fn new(wss: &TlsServer) -> Self {
        let server = &wss.server;
        let users = [0, 1].map(|shard| {
            (0..).map(|n| format!("honest{n}")).find(|user| server.home_of(user) == shard).expect("a name")
        });
        let clients = [0, 1].map(|who: usize| Client::over(wss.plain(), &users[who]));
        Self { users, clients, last: 0 }
    }

    /// The next event of the two's own conversation: others may write to them as well.
    fn next(&mut self, who: usize, event: &str) -> Value {
        loop {
            let next = self.clients[who].next();
            let from = next["from"].as_str();
            if next["type"] == event && from.is_none_or(|from| self.users.iter().any(|user| user == from)) {
                return next;
            }
            assert_ne!(next["type"], "error", "{next}");
        }
    }

    /// One message, its ack, and its arrival: each with the number after the last one's.
    fn say(&mut self, from: usize) -> Duration {
        let to = 1 - from;
        let start = Instant::now();
        let message = json!({"type": "message", "to": self.users[to], "message": "hello", "id": "x".to_string() + &self.last.to_string()});
        self.clients[from].send(&message);
        let arrived = self.next(to, "message");
        let took = start.elapsed();
        let ack = self.next(from, "ack");
        assert_eq!((&arrived["prev"], &arrived["seq"]), (&json!(self.last), &ack["seq"]), "nothing is lost");
        self.last = ack["seq"].as_u64().expect("a number");
        took
    }

    fn chat(mut self, told: &Told) {
        while !told.stop.load(Ordering::Relaxed) {
            for from in [0, 1] {
                let took = self.say(from);
                told.took.lock().expect("a list").push(took);
                told.messages.fetch_add(1, Ordering::Relaxed);
            }
            // Honest users keep to the rate.
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

struct Arena {
    wss: TlsServer,
    told: Arc<Told>,
    pair: Option<JoinHandle<()>>,
    users: u64,
    descriptors: usize,
}

impl Arena {
    fn new() -> Self {
        let wss = TlsServer::chat(usize::from(SHARDS), SETTINGS);
        let (told, pair) = (Arc::new(Told::default()), Pair::new(&wss));
        let tells = Arc::clone(&told);
        let pair = Some(std::thread::spawn(move || pair.chat(&tells)));
        Self { wss, told, pair, users: 0, descriptors: descriptors() }
    }

    /// Waits until the two have said so much more.
    fn hear_the_pair(&self, since: u64) {
        let start = Instant::now();
        while self.told.messages.load(Ordering::Relaxed) < since + BESIDE {
            assert!(!self.pair.as_ref().is_some_and(JoinHandle::is_finished), "the honest pair has failed");
            assert!(start.elapsed() < PATIENCE, "the honest pair is not served");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn endure(&mut self, attack: &Attack, seconds: u64) {
        let (start, mut times) = (Instant::now(), 0);
        self.told.took.lock().expect("a list").clear();
        while times == 0 || start.elapsed() < Duration::from_secs(seconds) {
            times += 1;
            let heard = self.told.messages.load(Ordering::Relaxed);
            let counted = self.wss.server.count(attack.counts);
            let (mut users, first) = ((self.users..).map(|n| format!("eve{n}")), attack.connections as u64);
            self.users += first;
            let open = attack.carry_out(&self.wss, &mut users);
            let counted = self.wss.server.count(attack.counts) - counted;
            assert!(counted >= first, "{}: {:?} moved by {counted}", attack.name, attack.counts);
            let held = [Gauge::OutboxBytes, Gauge::SendingBytes, Gauge::AssemblyBytes];
            let held: u64 = held.into_iter().map(|gauge| self.wss.server.level(gauge)).sum();
            assert!(held <= HELD, "{}: the server holds {held} bytes", attack.name);
            self.hear_the_pair(heard);
            drop(open);
            self.is_as_before(attack);
        }
        let mut took = std::mem::take(&mut *self.told.took.lock().expect("a list"));
        took.sort_unstable();
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        println!(
            "{:<55} {:>5} ms, {times} times; the honest pair's {:>5} messages: p50 {:>8.0?} p99 {:>8.0?} max {:>8.0?}",
            attack.name,
            start.elapsed().as_millis(),
            took.len(),
            at(50),
            at(99),
            at(100)
        );
    }

    /// Nothing is left of an attack.
    fn is_as_before(&self, attack: &Attack) {
        let start = Instant::now();
        loop {
            let more: Vec<_> = AFTERWARDS
                .iter()
                .map(|(gauge, most)| (gauge, self.wss.server.level(*gauge), *most))
                .filter(|(_, level, most)| level > most)
                .collect();
            if more.is_empty() {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "{} leaves something: {more:?}", attack.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(descriptors(), self.descriptors, "{}", attack.name);
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}

/// What this process has in memory (bytes).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn an_attack_costs_only_its_sender() {
    let seconds = std::env::var("ATTACK_SECONDS").map_or(0, |seconds| seconds.parse().expect("seconds"));
    let mut arena = Arena::new();
    let before = resident();
    for attack in attacks::all() {
        arena.endure(&attack, seconds);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown <= GROWTH, "the process has grown by {grown} bytes");
    assert!(
        arena.wss.server.level(Gauge::ViewBytes) <= HELD,
        "messages are kept within store.memory_max_bytes"
    );
    arena.told.stop.store(true, Ordering::Relaxed);
    arena.pair.take().expect("a thread").join().expect("the honest pair lost nothing");
}

/// What the page on attacks says of one: its name, what its sender meets, and the counter.
fn line(attack: &Attack) -> String {
    let meets = match attack.meets {
        Meets::Http(status) => format!("HTTP {status}"),
        Meets::Close(code) => format!("close {code}"),
        Meets::Error(code) => format!("error {code}"),
        Meets::End => "the end".to_owned(),
        Meets::Alert => "an alert".to_owned(),
        Meets::Silence => "nothing".to_owned(),
    };
    let family = attack.counts.family().trim_start_matches("longwire_");
    let labels = attack.counts.labels().iter().map(|(name, value)| format!("{{{name}=\"{value}\"}}"));
    format!("| {} | {meets} | `{family}{}` |", attack.name, labels.collect::<String>())
}

#[test]
fn the_page_on_attacks_lists_each_of_them() {
    let page = include_str!("../docs/attacks.md");
    let attacks = attacks::all();
    let missing: Vec<String> = attacks.iter().map(line).filter(|line| !page.contains(line)).collect();
    assert!(missing.is_empty(), "docs/attacks.md lacks\n{}", missing.join("\n"));
    let listed = page.lines().filter(|line| line.matches('|').count() == 5 && line.contains('`')).count();
    assert_eq!(listed, attacks.len(), "an attack stands twice, or is tried no more");
}

#[test]
fn the_page_on_attacks_names_settings_that_there_are() {
    let page = include_str!("../docs/attacks.md");
    let is_setting = |name: &&str| {
        let section = name.split_once('.').map(|(section, _)| section);
        section.is_some_and(|section| ROWS.iter().any(|row| row.section() == section))
    };
    for name in page.split('`').filter(is_setting) {
        assert!(row(name).is_some(), "{name} is no setting");
    }
    let advice = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("advice");
    let advice: toml::Table = advice.parse().expect("it is TOML");
    let mut settings = Settings::default();
    for (section, keys) in &advice {
        for (key, value) in keys.as_table().expect("a section") {
            let row = row(&format!("{section}.{key}")).expect("a setting");
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (row.set)(&mut settings, &text).expect("a value");
        }
    }
}
