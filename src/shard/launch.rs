//! From a plan to running shards: preflight, ports, rings, executors. Knows no rule.

use super::chat::{Chat, Parts};
use super::control::Control;
use super::echo::Echo;
use super::host::Host;
use super::lobby::Lobby;
use super::mailbox::{Address, Mailbox, Mailroom};
use super::spin::Spin;
use super::spoken::Spoken;
use super::turn;
use super::world::Io;
use crate::auth::Verifier;
use crate::chat::{Config, Rates, Rules};
use crate::clock::Clock;
use crate::frame::ENCODINGS;
use crate::ids::ShardId;
use crate::limits::{RECV_BUFFERS_MAX, RECV_BUFFERS_MIN, RECV_BUFFERS_PER_CORE};
use crate::log::memory::MemoryLog;
use crate::meter::Rate;
use crate::net::capacity::{self, Capacity};
use crate::net::crowd::Crowd;
use crate::net::deflate;
use crate::net::endpoint::Endpoint;
use crate::net::http::HttpRules;
use crate::net::inbound::Limits;
use crate::net::listen::{Listener, LockError, PlaceLock, bind_locked};
use crate::net::plane::{Plane, PlaneConfig};
use crate::net::preflight;
use crate::net::ring::{Ring, RingAddress};
use crate::net::tls::Acceptor;
use crate::route::Router;
use crate::settings::Settings;
use crate::view::memory::MemoryView;
use crate::wire;
use flume::{Receiver, Sender};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a server is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppKind {
    /// Chat, by the rules.
    Chat,
    /// Every message goes back as it came.
    Echo,
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where clients connect; port 0 takes a free one.
    pub listen: Vec<Endpoint>,
    /// The cores, a shard each.
    pub cores: Vec<usize>,
    /// Connections to make room for, on all cores together.
    pub connections: usize,
    /// Everything else.
    pub settings: Arc<Settings>,
    /// Checks tokens; `None` takes none.
    pub verifier: Option<Arc<Verifier>>,
    /// What TLS connections begin with; none where no listener is `wss`.
    pub tls: Option<Acceptor>,
    /// What to run.
    pub app: AppKind,
}

/// Why a server does not start; the text says what to do about it.
#[derive(Debug)]
pub enum StartError {
    /// The kernel lacks something, or refuses it.
    Preflight(preflight::Missing),
    /// Another process serves this place.
    Busy(Endpoint, Option<i32>),
    /// It cannot be bound.
    Bind(Endpoint, io::Error),
    /// A core could not be started, or ended with an error.
    Core(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preflight(missing) => write!(f, "{missing}"),
            Self::Busy(at, Some(pid)) => {
                write!(f, "{at} is busy: pid {pid} serves it; stop it or listen elsewhere")
            }
            Self::Busy(at, None) => {
                write!(f, "{at} is busy: another server holds it; stop it or listen elsewhere")
            }
            Self::Bind(at, error) => {
                write!(f, "cannot listen on {at}: {error}; choose another address with --listen")
            }
            Self::Core(error) => match preflight::advice(error) {
                Some(advice) => write!(f, "a core cannot be started: {error}. {advice}"),
                None => write!(f, "{error}"),
            },
        }
    }
}

impl std::error::Error for StartError {}

/// A running server.
#[derive(Debug)]
pub struct Server {
    listens_on: Vec<Endpoint>,
    capacity: Capacity,
    control: Control,
    hosts: Vec<Host>,
    router: Router,
    _locks: Vec<PlaceLock>,
}

impl Server {
    /// Where clients connect, in the plan's order, with the ports that were free.
    pub fn listens_on(&self) -> &[Endpoint] {
        &self.listens_on
    }

    /// How many connections fit, and why not more.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Where users and conversations live.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The handle for the control thread.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until all shards have ended, after [`Control::drain`].
    ///
    /// # Errors
    /// The first shard's that failed.
    pub fn join(self) -> Result<(), StartError> {
        let ends: Vec<_> = self.hosts.into_iter().map(Host::join).collect();
        ends.into_iter().collect::<io::Result<()>>().map_err(StartError::Core)
    }
}

/// How long the other shards may take to close when one has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a core opens besides its rings and listeners: its bells, and what its executor takes (number, at most).
const CORE_DESCRIPTORS: usize = 16;
/// What the process opens besides its cores: the control thread's, and some of the admin side's connections (number).
const CONTROL_DESCRIPTORS: usize = 16;

/// What one core's thread starts with.
struct Seed {
    me: ShardId,
    plan: Plan,
    router: Router,
    clock: Clock,
    capacity: Capacity,
    listeners: Vec<Listener>,
    mailbox: Mailbox,
    peers: Vec<Address>,
    control: Control,
    spoken: Spoken,
    crowd: Option<Arc<Crowd>>,
}

/// Where a core waits for the rings of all.
type Gate = Sender<Arc<Vec<Arc<[RingAddress]>>>>;

/// How a core tells that its rings are there, and learns of the others'.
struct Rendezvous {
    ready: Sender<(ShardId, io::Result<Arc<[RingAddress]>>)>,
    go: Receiver<Arc<Vec<Arc<[RingAddress]>>>>,
}

/// Starts a server: returns when every core accepts connections.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub fn launch(plan: &Plan) -> Result<Server, StartError> {
    let limit = capacity::raise_file_limit();
    // On a thread of its own: what its rings leave to do ends with it, and interrupts no system call of the caller's.
    let checked = std::thread::spawn(preflight::check).join();
    checked
        .map_err(|_| StartError::Core(io::Error::other("the check of the kernel ended early")))?
        .map_err(StartError::Preflight)?;
    let capacity = Capacity::plan(plan.connections, plan.cores.len(), limit);
    let of_a_core = usize::from(capacity.rings_per_core) + plan.listen.len() + CORE_DESCRIPTORS;
    preflight::descriptors(plan.cores.len() * of_a_core + CONTROL_DESCRIPTORS)
        .map_err(StartError::Preflight)?;
    let (listeners, locks) = listen_on_all(plan)?;
    let listens_on = listeners[0].iter().map(|listener| listener.endpoint().clone()).collect();
    let mut boxes = Vec::new();
    for _ in &plan.cores {
        boxes.push(Mailbox::new().map_err(StartError::Core)?);
    }
    let (mailboxes, peers): (Vec<_>, Vec<_>) = boxes.into_iter().unzip();
    let router = Router::new(random_key(), plan.cores.len() as u16);
    let clock = Clock::new(Instant::now());
    let control = Control::new(peers.clone());
    let speakers = Arc::default();
    let per_address = plan.settings.client_address_connection_limit;
    let crowd = (per_address > 0).then(|| Crowd::new(per_address));
    let (ready, arrivals) = flume::unbounded();
    let mut gates = Vec::new();
    let mut hosts = Vec::new();
    for (index, (listeners, mailbox)) in listeners.into_iter().zip(mailboxes).enumerate() {
        let me = ShardId(index as u16);
        let (plan, router, peers) = (plan.clone(), router.clone(), peers.clone());
        let core = plan.cores[index];
        let (control, spoken) = (control.clone(), Spoken::by(&speakers));
        let crowd = crowd.clone();
        let seed =
            Seed { me, plan, router, clock, capacity, listeners, mailbox, peers, control, spoken, crowd };
        let (gate, go) = flume::bounded(1);
        gates.push(gate);
        let meet = Rendezvous { ready: ready.clone(), go };
        match Host::start(core, &format!("shard-{index}"), move || seed.grow(meet)) {
            Ok(host) => hosts.push(host),
            Err(error) => return Err(give_up(error, gates, hosts)),
        }
    }
    drop(ready);
    let rings = match meet_all(&arrivals, gates.len()) {
        Ok(rings) => rings,
        Err(error) => return Err(give_up(error, gates, hosts)),
    };
    for gate in gates {
        // A core that has ended meanwhile reports it through `join`.
        let _ = gate.send(Arc::clone(&rings));
    }
    Ok(Server { listens_on, capacity, control, hosts, router, _locks: locks })
}

/// A core has failed: the others, which wait at their gates, end before the start does. What a host says of itself is told
/// before what was seen of it from here.
fn give_up(seen: io::Error, gates: Vec<Gate>, hosts: Vec<Host>) -> StartError {
    drop(gates);
    let ends: Vec<_> = hosts.into_iter().map(Host::join).collect();
    StartError::Core(ends.into_iter().find_map(Result::err).unwrap_or(seen))
}

/// Every core's listeners, and what keeps other servers off their places.
fn listen_on_all(plan: &Plan) -> Result<(Vec<Vec<Listener>>, Vec<PlaceLock>), StartError> {
    let mut listeners: Vec<Vec<Listener>> = plan.cores.iter().map(|_| Vec::new()).collect();
    let mut locks = Vec::new();
    for endpoint in &plan.listen {
        let refused = |error| match error {
            LockError::Busy(pid) => StartError::Busy(endpoint.clone(), pid),
            LockError::Io(error) => StartError::Bind(endpoint.clone(), error),
        };
        let (first, lock) = bind_locked(endpoint, plan.settings.server_unix_mode.0).map_err(refused)?;
        for others in &mut listeners[1..] {
            others.push(first.for_another_core().map_err(|e| refused(e.into()))?);
        }
        listeners[0].push(first);
        locks.push(lock);
    }
    Ok((listeners, locks))
}

/// Waits until every core has its rings.
fn meet_all(
    arrivals: &Receiver<(ShardId, io::Result<Arc<[RingAddress]>>)>,
    cores: usize,
) -> io::Result<Arc<Vec<Arc<[RingAddress]>>>> {
    let mut rings: Vec<Arc<[RingAddress]>> = (0..cores).map(|_| Arc::default()).collect();
    for _ in 0..cores {
        let (shard, addresses) =
            arrivals.recv().map_err(|_| io::Error::other("a core ended while starting"))?;
        rings[usize::from(shard.0)] = addresses?;
    }
    Ok(Arc::new(rings))
}

/// A key nobody outside can know; without a data directory it need not outlive the process.
fn random_key() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    // RandomState's keys come from the operating system; two of its hashes are 16 bytes nobody can predict.
    let state = RandomState::new();
    let mut key = [0; 16];
    key[..8].copy_from_slice(&state.hash_one(1).to_ne_bytes());
    key[8..].copy_from_slice(&state.hash_one(2).to_ne_bytes());
    key
}

impl Seed {
    /// Builds the rings on the core's own thread, waits for the others, and runs.
    async fn grow(self, Rendezvous { ready, go }: Rendezvous) -> io::Result<()> {
        let plane = match self.plane() {
            Ok(plane) => plane,
            Err(error) => {
                let _ = ready.send((self.me, Err(error)));
                return Ok(());
            }
        };
        let addresses: Arc<[RingAddress]> = plane.addresses().into();
        let _ = ready.send((self.me, Ok(addresses)));
        // A launcher that waits for a core which ended without a word learns of it when nobody holds this end any more.
        drop(ready);
        // Without a word from the launcher the start has failed elsewhere.
        let Ok(shards) = go.recv() else { return Ok(()) };
        let control = self.control.clone();
        let end = self.run(plane, shards).await;
        if end.is_err() {
            // A server that has lost a shard has lost its users: the others close, and `join` tells why.
            control.drain(LAST_WORDS);
        }
        end
    }

    fn plane(&self) -> io::Result<Plane> {
        let bell = self.mailbox.bell().fd().as_raw_fd();
        let share = RECV_BUFFERS_PER_CORE / u32::from(self.capacity.rings_per_core);
        let buffers = (share + 1).next_power_of_two() / 2;
        let buffers = buffers.clamp(u32::from(RECV_BUFFERS_MIN), u32::from(RECV_BUFFERS_MAX)) as u16;
        let rings = (0..self.capacity.rings_per_core)
            .map(|_| Ring::new(self.capacity.slots_per_ring, buffers, bell))
            .collect::<io::Result<Vec<_>>>()?;
        let mut plane = Plane::new(plane_config(&self.plan, self.crowd.clone()), rings);
        if let Some(acceptor) = &self.plan.tls {
            plane.speak_tls(acceptor.clone());
        }
        plane.nap_by(self.mailbox.bell().nap_fd()?);
        Ok(plane)
    }

    async fn run(self, mut plane: Plane, shards: Arc<Vec<Arc<[RingAddress]>>>) -> io::Result<()> {
        let Self { me, plan, router, clock, listeners, mailbox, peers, spoken, .. } = self;
        let settings = &plan.settings;
        let http = http_rules(&plan);
        let spin = Spin::new(settings.shard_spin);
        let now = clock.now();
        plane.listen(listeners);
        if plan.app == AppKind::Echo {
            return turn::run(plane, Echo::new(me, http, now), mailbox, clock, spin).await;
        }
        let cores = plan.cores.len();
        let mailroom = Mailroom::new(me, peers);
        let view = MemoryView::new(settings.store_memory_max_bytes.get() / cores);
        let parts = Parts {
            me,
            rules: Rules::new(rules_config(&plan, me, router.clone()), now),
            router,
            lobby: Lobby::new(plan.verifier.clone(), settings.server_dev),
            io: Io::new(mailroom, MemoryLog::default(), view, spoken),
            http,
            shards,
            now,
        };
        turn::run(plane, Chat::new(parts), mailbox, clock, spin).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn plane_config(plan: &Plan, crowd: Option<Arc<Crowd>>) -> PlaneConfig {
    let settings = &plan.settings;
    let echo = plan.app == AppKind::Echo;
    PlaneConfig {
        limits: Limits {
            message_max: settings.websocket_message_size_limit.get(),
            fragments_max: settings.websocket_fragments_limit as usize,
            deflate: false,
        },
        deflate: deflate::Config {
            level: settings.websocket_compression_level,
            min_size: settings.websocket_compression_min_size.get(),
        },
        ping_interval: millis(settings.client_ping_interval),
        sign_in_timeout: millis(settings.client_auth_timeout),
        // An echo has no log to fall back on: its budget must hold what a client may send before it reads.
        outbox_budget: if echo {
            2 * settings.websocket_message_size_limit.get()
        } else {
            settings.client_queue_max_size.get()
        },
        outboxes_budget: settings.client_queues_max_size.get() / plan.cores.len(),
        sign_in: !echo,
        handshakes: if echo { 0 } else { settings.rate_handshakes },
        tls_handshakes: if echo { 0 } else { settings.rate_tls_handshakes },
        head_timeout: millis(settings.client_head_timeout),
        crowd,
        trusted: settings.proxy_trusted.clone(),
        rate: if echo {
            Rate::NONE
        } else {
            Rate::per_second(settings.rate_connection_messages, settings.rate_connection_bytes.0)
        },
    }
}

fn http_rules(plan: &Plan) -> HttpRules {
    static SUPPORTED: [&str; ENCODINGS] = subprotocols();
    let chat = plan.app == AppKind::Chat;
    HttpRules {
        allowed_origins: plan.settings.client_allowed_origins.clone(),
        dev: chat && plan.settings.server_dev,
        supported: if chat { &SUPPORTED } else { &[] },
        deflate: plan.settings.websocket_compression,
        head_max: plan.settings.client_head_size_limit.get(),
    }
}

/// What may be offered at the upgrade, in the order of [`wire::Encoding::ALL`].
const fn subprotocols() -> [&'static str; ENCODINGS] {
    let mut names = [""; ENCODINGS];
    let mut n = 0;
    while n < ENCODINGS {
        names[n] = wire::Encoding::ALL[n].subprotocol();
        n += 1;
    }
    names
}

fn rules_config(plan: &Plan, shard: ShardId, router: Router) -> Config {
    let settings = &plan.settings;
    let cores = plan.cores.len();
    let share = |all: u32| (all as usize).div_ceil(cores);
    Config {
        shard,
        router,
        limits: wire::Limits {
            message_size: settings.message_size_limit.get() as u32,
            websocket_message_size: settings.websocket_message_size_limit.get() as u32,
        },
        heartbeat_ms: millis(settings.client_ping_interval),
        group_open: settings.groups_are_open(),
        group_event_max_members: settings.group_event_max_members,
        group_max_members: settings.group_max_members,
        groups_per_user: settings.group_user_limit,
        user_connection_limit: settings.client_user_connection_limit,
        fanout_slice: settings.chat_fanout_slice,
        idempotency_max_bytes: settings.idempotency_max_bytes.get() / cores,
        idempotency_window_ms: millis(settings.idempotency_window),
        active_conversations_max: share(settings.chat_active_conversations_max),
        users_max: share(settings.chat_users_max),
        message_size_limit: settings.message_size_limit.get(),
        rates: Rates {
            commands: Rate::per_second(settings.rate_user_messages, settings.rate_user_bytes.0),
            begun: Rate::per_hour(settings.rate_user_new),
        },
    }
}
