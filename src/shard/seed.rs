//! One core's start: its rings on its own thread, the meeting with the other cores, its app. Knows no rule.

use super::chat::{Chat, Parts};
use super::configs::{http_rules, plane_config, rules_config};
use super::control::Control;
use super::echo::Echo;
use super::launch::{AppKind, Plan};
use super::lobby::Lobby;
use super::mailbox::{Address, Mailbox, Mailroom};
use super::spin::Spin;
use super::spoken::Spoken;
use super::storage::Storage;
use super::turn;
use super::world::Io;
use crate::chat::Rules;
use crate::clock::Clock;
use crate::ids::ShardId;
use crate::limits::{RECV_BUFFERS_MAX, RECV_BUFFERS_MIN, RECV_BUFFERS_PER_CORE};
use crate::net::capacity::Capacity;
use crate::net::crowd::Crowd;
use crate::net::listen::Listener;
use crate::net::plane::Plane;
use crate::net::ring::{Ring, RingAddress};
use crate::route::Router;
use crate::store::Port;
use flume::{Receiver, Sender};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

/// How long the other shards may take to close when one has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What one core's thread starts with.
pub(super) struct Seed {
    pub me: ShardId,
    pub plan: Plan,
    pub router: Router,
    pub clock: Clock,
    pub capacity: Capacity,
    pub listeners: Vec<Listener>,
    pub mailbox: Mailbox,
    pub peers: Vec<Address>,
    pub control: Control,
    pub spoken: Spoken,
    pub crowd: Option<Arc<Crowd>>,
    /// None for one that keeps what it stores in memory.
    pub port: Option<Port>,
}

/// Where a core waits for the rings of all.
pub(super) type Gate = Sender<Arc<Vec<Arc<[RingAddress]>>>>;

/// How a core tells that its rings are there, and learns of the others'.
pub(super) struct Rendezvous {
    pub ready: Sender<(ShardId, io::Result<Arc<[RingAddress]>>)>,
    pub go: Receiver<Arc<Vec<Arc<[RingAddress]>>>>,
}

impl Seed {
    /// Builds the rings on the core's own thread, waits for the others, and runs.
    pub(super) async fn grow(self, Rendezvous { ready, go }: Rendezvous) -> io::Result<()> {
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
        let Self { me, plan, router, clock, listeners, mailbox, peers, spoken, port, .. } = self;
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
        let reserved = port.as_ref().map(Port::reserved);
        let storage = match port {
            Some(port) => Storage::disk(port),
            None => Storage::memory(settings.store_memory_max_bytes.get() / cores),
        };
        let parts = Parts {
            me,
            rules: Rules::new(rules_config(&plan, me, router.clone(), reserved), now),
            router,
            lobby: Lobby::new(plan.verifier.clone(), settings.server_dev),
            io: Io::new(mailroom, storage, spoken),
            http,
            shards,
            now,
        };
        turn::run(plane, Chat::new(parts), mailbox, clock, spin).await
    }
}
