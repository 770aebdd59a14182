//! From a plan to running shards: preflight, ports, rings, executors. Knows no rule.

use super::control::Control;
use super::host::Host;
use super::keeping::{self, Kept};
use super::mailbox::Mailbox;
use super::seed::{Gate, Rendezvous, Seed};
use super::spoken::Spoken;
use crate::auth::Verifier;
use crate::clock::Clock;
use crate::ids::ShardId;
use crate::limits::VIEW_FILES;
use crate::net::capacity::{self, Capacity};
use crate::net::crowd::Crowd;
use crate::net::endpoint::Endpoint;
use crate::net::listen::{Listener, LockError, PlaceLock, bind_locked};
use crate::net::preflight;
use crate::net::ring::RingAddress;
use crate::net::tls::Acceptor;
use crate::route::Router;
use crate::settings::Settings;
use crate::store::{Report, Store, StoreError};
use flume::Receiver;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

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
    /// What is stored cannot be opened.
    Store(StoreError),
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
            Self::Store(error) => write!(f, "{error}"),
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
    store: Option<Store>,
    report: Option<Report>,
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

    /// What was found where messages are kept; none where they are in memory.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Waits until all shards have ended, after [`Control::drain`], and closes what is stored.
    ///
    /// # Errors
    /// The first shard's that failed.
    pub fn join(self) -> Result<(), StartError> {
        let ends: Vec<_> = self.hosts.into_iter().map(Host::join).collect();
        self.control.shards_ended();
        drop(self.store);
        ends.into_iter().collect::<io::Result<()>>().map_err(StartError::Core)
    }
}

/// What a core opens besides its rings and listeners: its bells, and what its executor takes (number, at most).
const CORE_DESCRIPTORS: usize = 16;
/// What the process opens besides its cores: the control thread's, and some of the admin side's connections (number).
const CONTROL_DESCRIPTORS: usize = 16;

/// What a store opens besides: files of the log and of the view (number, about).
const STORE_DESCRIPTORS: usize = VIEW_FILES + 64;

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
    let of_the_store = if keeping::is_stored(plan) { STORE_DESCRIPTORS } else { 0 };
    preflight::descriptors(plan.cores.len() * of_a_core + CONTROL_DESCRIPTORS + of_the_store)
        .map_err(StartError::Preflight)?;
    let (listeners, locks) = listen_on_all(plan)?;
    let listens_on = listeners[0].iter().map(|listener| listener.endpoint().clone()).collect();
    let mut mailboxes = Vec::new();
    let mut peers = Vec::new();
    for _ in &plan.cores {
        let (mailbox, address) = Mailbox::new().map_err(StartError::Core)?;
        mailboxes.push(mailbox);
        peers.push(address);
    }
    let Kept { store, ports, key, report } = keeping::open(plan, &mailboxes).map_err(StartError::Store)?;
    let router = Router::new(key, plan.cores.len() as u16);
    let control = Control::new(peers.clone(), store.as_ref().map(Store::watch));
    let clock = Clock::new(Instant::now());
    let speakers = Arc::default();
    let per_address = plan.settings.client_address_connection_limit;
    let crowd = (per_address > 0).then(|| Crowd::new(per_address));
    let mut seeds = Vec::new();
    for (index, ((listeners, mailbox), port)) in listeners.into_iter().zip(mailboxes).zip(ports).enumerate() {
        seeds.push(Seed {
            me: ShardId(index as u16),
            plan: plan.clone(),
            router: router.clone(),
            clock,
            capacity,
            listeners,
            mailbox,
            peers: peers.clone(),
            control: control.clone(),
            spoken: Spoken::by(&speakers),
            crowd: crowd.clone(),
            port,
        });
    }
    let hosts = start(plan, seeds)?;
    Ok(Server { listens_on, capacity, control, hosts, router, store, report, _locks: locks })
}

/// Starts all cores, and has them run when each has its rings.
fn start(plan: &Plan, seeds: Vec<Seed>) -> Result<Vec<Host>, StartError> {
    let (ready, arrivals) = flume::unbounded();
    let mut gates = Vec::new();
    let mut hosts = Vec::new();
    for (seed, core) in seeds.into_iter().zip(&plan.cores) {
        let (gate, go) = flume::bounded(1);
        gates.push(gate);
        let meet = Rendezvous { ready: ready.clone(), go };
        match Host::start(*core, &format!("shard-{}", seed.me.0), move || seed.grow(meet)) {
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
    Ok(hosts)
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
