//! The data plane of one core: its rings, its connections, and one turn of work. Knows no chat rules, no log.
//!
//! A handler above it is told of upgrades, messages and ends, and asks for sends, closes and moves.

mod accepting;
mod admitting;
mod closing;
mod encrypting;
mod introducing;
mod moving;
mod napping;
mod pacing;
mod receiving;
mod relief;
mod sending;
mod timing;
mod unfinished;

pub use moving::Parcel;

use napping::Nap;

use super::conn::{Conn, Flags, State};
use super::crowd::{Crowd, Place};
use super::deflate::{self, Deflater, Inflater};
use super::http::{HttpRules, UpgradeRequest};
use super::inbound::Limits;
use super::outbox::{Outbox, Spares};
use super::ring::{Completion, Op, Ring, RingAddress};
use crate::frame::Frame;
use crate::ids::{ConnId, ShardId};
use crate::limits::{ANSWER_COST, COMMANDS_IN_FLIGHT};
use crate::meter::Rate;
use crate::metrics::{Counter, Counters, Gauge, Gauges, Histograms};
use crate::slab::{Key, Slab};
use ipnet::IpNet;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

impl From<Key> for ConnId {
    fn from(key: Key) -> Self {
        Self { index: key.index, generation: key.generation }
    }
}

impl From<ConnId> for Key {
    fn from(conn: ConnId) -> Self {
        Self { index: conn.index, generation: conn.generation }
    }
}

/// What runs on a plane and reads its connections. Calls come in the order of the bytes; none may block.
pub trait Handler {
    /// The rules for upgrade requests.
    fn http_rules(&self) -> &HttpRules;

    /// A connection was upgraded (the 101 is queued). A handler without sign-in calls [`Plane::go_live`] at once.
    fn upgraded(&mut self, net: &mut Plane, conn: ConnId, request: &UpgradeRequest);

    /// A whole message arrived. To stop reading, the handler closes, holds or moves the connection.
    fn message(&mut self, net: &mut Plane, conn: ConnId, text: bool, payload: &[u8]);

    /// A whole message arrived before its connection may send again: it is to wait so many milliseconds. A handler that
    /// answers says so, and does nothing else with the message.
    fn too_fast(&mut self, _net: &mut Plane, _conn: ConnId, _text: bool, _payload: &[u8], _wait: u64) {}
}

/// What happened to connections meanwhile; whoever runs on the plane takes these each turn.
#[derive(Debug)]
pub enum Notice {
    /// A connection ended, or its close began: no message follows. With what [`Plane::go_live`] set.
    Closed(ConnId, Option<u64>),
    /// Stored frames for a slow connection were dropped: tell its session to resync.
    Shed(u64),
    /// Once per heartbeat for each live connection.
    Heartbeat(u64),
    /// A descriptor has arrived at its new shard: mail what goes with it.
    Moved(ConnId, ShardId, Parcel),
    /// One has arrived there whose connection has ended meanwhile: mail it to be [discarded](Plane::discard).
    Stray(ShardId, Parcel),
    /// A connection that should move found no room there; it is being closed.
    NotMoved(ConnId),
}

/// What a plane is built with; times in ms.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PlaneConfig {
    pub limits: Limits,
    pub deflate: deflate::Config,
    /// Between pings of one connection; 0 sends none.
    pub ping_interval: u64,
    /// From accept to signed in.
    pub sign_in_timeout: u64,
    /// Bytes queued for one connection.
    pub outbox_budget: usize,
    /// Bytes queued for all connections, sends under way included.
    pub outboxes_budget: usize,
    /// Whether the sign-in deadline counts (not for echo).
    pub sign_in: bool,
    /// How fast one connection may send.
    pub rate: Rate,
    /// Upgrades a second; 0 for any number.
    pub handshakes: u32,
    /// TLS handshakes a second; 0 for any number.
    pub tls_handshakes: u32,
    /// From accept to the whole head of a request.
    pub head_timeout: u64,
    /// Connections by address, where they are limited.
    pub crowd: Option<Arc<Crowd>>,
    /// Where proxies may be that introduce connections.
    pub trusted: Vec<IpNet>,
}

/// One core's data plane.
#[derive(Debug)]
pub struct Plane {
    config: PlaneConfig,
    rings: Vec<Ring>,
    conns: Slab<Conn>,
    outboxes: Vec<Outbox>,
    free_outboxes: Vec<u32>,
    spares: Spares,
    dirty: Vec<ConnId>,
    entrances: Vec<accepting::Entrance>,
    uptime: u64,
    sign_in_by: VecDeque<(u64, ConnId)>,
    /// How many of them have been looked at for their request's head.
    heads_seen: usize,
    door: pacing::Door,
    admission: admitting::Admission,
    closed_by: VecDeque<(u64, ConnId)>,
    sweep: timing::Sweep,
    timer_at: Option<u64>,
    nap: Option<Nap>,
    draining: Option<u32>,
    moves: HashMap<ConnId, moving::Move>,
    /// Of connections that are counted by address.
    places: HashMap<ConnId, Place>,
    held: Vec<ConnId>,
    notices: Vec<Notice>,
    resumable: Vec<ConnId>,
    dry: receiving::Dry,
    assembly: usize,
    queued_bytes: usize,
    sending_bytes: usize,
    /// Bytes ever queued, and at how many of them it is looked again at who holds them.
    queued_ever: u64,
    relief_at: u64,
    /// Turns of the loop (number, wrapping).
    turn: u32,
    /// Uptime at which it last went on after standing still.
    stood_until: u64,
    /// Commands one connection may have under way.
    commands_max: u16,
    ping: Frame,
    deflater: Deflater,
    /// Made for the first compressed message; elsewhere while one is read.
    inflater: Option<Box<Inflater>>,
    encrypted: encrypting::Encrypted,
    /// What happened, for `/metrics`.
    pub counters: Counters,
    /// How long things took, for `/metrics`.
    pub histograms: Histograms,
}

impl Plane {
    /// A plane over rings built on this thread; it accepts nothing before [`Plane::listen`].
    pub fn new(config: PlaneConfig, rings: Vec<Ring>) -> Self {
        assert!(!rings.is_empty() && rings.len() <= usize::from(u8::MAX), "a ring's number is one byte");
        let rings_total = rings.len();
        // Their answers, all queued at once, take half of the budget; the other half is for what was there before.
        let commands = config.outbox_budget / (2 * ANSWER_COST);
        Self {
            commands_max: commands.clamp(1, COMMANDS_IN_FLIGHT) as u16,
            door: pacing::Door::new(config.handshakes),
            admission: admitting::Admission::new(config.tls_handshakes),
            heads_seen: 0,
            deflater: Deflater::new(config.deflate),
            inflater: None,
            encrypted: encrypting::Encrypted::default(),
            config,
            rings,
            conns: Slab::default(),
            outboxes: Vec::new(),
            free_outboxes: Vec::new(),
            spares: Spares::default(),
            dirty: Vec::new(),
            entrances: Vec::new(),
            uptime: 0,
            sign_in_by: VecDeque::new(),
            closed_by: VecDeque::new(),
            sweep: timing::Sweep::default(),
            timer_at: None,
            nap: None,
            draining: None,
            moves: HashMap::new(),
            places: HashMap::new(),
            held: Vec::new(),
            notices: Vec::new(),
            resumable: Vec::new(),
            dry: receiving::Dry::new(rings_total),
            assembly: 0,
            queued_bytes: 0,
            sending_bytes: 0,
            queued_ever: 0,
            relief_at: 0,
            turn: 0,
            stood_until: 0,
            ping: Frame::new(&super::frame::ping(b"")),
            counters: Counters::default(),
            histograms: Histograms::default(),
        }
    }

    /// How other shards move connections here, a ring each.
    pub fn addresses(&self) -> Vec<RingAddress> {
        self.rings.iter().map(Ring::address).collect()
    }

    /// Open connections, those still ending included.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// What connections hold, for `/metrics`.
    pub fn gauges(&self, gauges: &mut Gauges) {
        let over_rings = |what: fn(&Ring) -> u64| self.rings.iter().map(what).sum();
        gauges.set(Gauge::Connections, self.len() as u64);
        gauges.set(Gauge::TlsConnections, self.encrypted.len() as u64);
        gauges.set(Gauge::OutboxBytes, self.queued_bytes as u64);
        gauges.set(Gauge::SendingBytes, self.sending_bytes as u64);
        gauges.set(Gauge::AssemblyBytes, self.assembly as u64);
        gauges.set(Gauge::RingSlots, over_rings(|ring| u64::from(ring.used())));
        gauges.set(Gauge::RecvBuffers, over_rings(|ring| u64::from(ring.buffers_out())));
        gauges.set(Gauge::Outboxes, (self.outboxes.len() - self.free_outboxes.len()) as u64);
        gauges.set(Gauge::Moves, self.moves.len() as u64);
        gauges.set(Gauge::Places, self.places.len() as u64);
    }

    /// Which encoding a connection speaks.
    pub fn dialect(&self, conn: ConnId) -> u8 {
        self.conn(conn).map_or(0, |c| c.dialect.encoding())
    }

    /// Notes which encoding a connection speaks.
    pub fn set_dialect(&mut self, conn: ConnId, dialect: u8) {
        if let Some(conn) = self.conn_mut(conn) {
            conn.dialect.set_encoding(dialect);
        }
    }

    /// Which session a connection carries.
    pub fn tag(&self, conn: ConnId) -> Option<u64> {
        self.conn(conn)?.tag()
    }

    /// Whether the connection is there and reads messages for its handler.
    pub fn is_talking(&self, conn: ConnId) -> bool {
        self.conn(conn).is_some_and(Conn::is_talking)
    }

    /// Notes that someone signed in: receives become multishot from the next one on, until the connection grows quiet.
    pub fn go_live(&mut self, conn: ConnId, tag: u64) {
        if let Some(conn) = self.conn_mut(conn)
            && conn.state == State::Open
        {
            conn.state = State::Live;
            conn.set_tag(tag);
        }
    }

    /// Whether any ring has something to submit or to reap, or some connection waits for its turn.
    pub fn is_ready(&mut self) -> bool {
        let waiting = !self.dry.is_empty() || !self.resumable.is_empty() || self.admission.has_work();
        waiting || self.rings.iter_mut().any(Ring::is_ready)
    }

    /// Makes all rings tell the eventfd of completions, or not.
    pub fn listen_for_events(&mut self, on: bool) {
        self.rings.iter_mut().for_each(|ring| ring.listen(on));
    }

    /// Submits and reaps: first part of a turn. Completions are handled by [`Plane::dispatch`], after the mail.
    ///
    /// # Errors
    /// When the kernel refuses a ring.
    pub fn reap(
        &mut self,
        completions: &mut Vec<(u8, Completion)>,
        scratch: &mut Vec<Completion>,
    ) -> io::Result<()> {
        for (index, ring) in self.rings.iter_mut().enumerate() {
            if !ring.is_ready() {
                continue;
            }
            ring.turn(scratch)?;
            completions.extend(scratch.drain(..).map(|completion| (index as u8, completion)));
            self.counters.add(Counter::RingEnters, ring.take_enters());
            self.counters.add(Counter::RingOverflow, ring.take_overflows());
        }
        Ok(())
    }

    /// The time of this turn (ms of uptime), before anything else in it: mail adopts and closes connections too.
    pub fn begin(&mut self, uptime: u64) {
        self.note_standstill(uptime);
        self.turn = self.turn.wrapping_add(1);
        self.uptime = uptime;
        self.allow_steps();
    }

    /// Handles completions, in their order.
    pub fn dispatch<H: Handler>(&mut self, handler: &mut H, completions: &mut Vec<(u8, Completion)>) {
        self.do_steps(handler);
        for (ring, completion) in completions.drain(..) {
            match completion.token.op() {
                Some(Op::Accept) => self.accepted(usize::from(ring), completion),
                Some(Op::Recv) => self.received(handler, ring, completion),
                Some(Op::Send) => self.sent(completion),
                Some(Op::Move) => self.move_done(completion),
                Some(Op::Timer) => self.timer_at = None,
                Some(Op::Shut) => self.shut(completion.token.conn()),
                Some(Op::Bell) => self.bell_rang(),
                // Only failures come back: the target was already gone. Nothing here polls a connection.
                Some(Op::Close | Op::Poll) | None => {}
            }
        }
        // Connections that were paused until their answers had left.
        for id in std::mem::take(&mut self.resumable) {
            self.resume(handler, id);
        }
        self.receive_again();
    }

    /// Takes what happened meanwhile.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id.into())
    }

    fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id.into())
    }

    /// Frees the slot of a connection that is gone, once nothing of it is under way any more.
    fn release(&mut self, id: ConnId) {
        let busy = Flags::RECV.and(Flags::SEND).and(Flags::MOVE).and(Flags::SHUT);
        let Some(conn) = self.conn(id) else { return };
        if conn.state != State::Gone || conn.flags.has(busy) {
            return;
        }
        self.places.remove(&id);
        // One that was lost while it waited to be moved.
        self.moves.remove(&id);
        if let Some(conn) = self.conns.remove(id.into()) {
            self.drop_outbox(conn.outbox);
        }
        self.resume_accepting();
    }
}
