//! How shards talk: batches through flume, a doorbell for sleepers, and what happens when a receiver is slow (design D7).
//! Knows no sockets and reads no mail.

use crate::chat::{Mail, MailClass};
use crate::ids::ShardId;
use crate::limits::{BATCH_MAILS, MAILBOX_BATCHES, SPILL_MAILS};
use crate::metrics::{Counter, Counters};
use crate::net::plane::Parcel;
use flume::{Receiver, Sender, TrySendError};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::time::Duration;

/// A signed-in connection on its way to its home shard. Never dropped: its loss would strand a client.
#[derive(Debug)]
pub struct Arrival {
    /// The connection itself, with what it sent already.
    pub parcel: Parcel,
    /// Who it is.
    pub pending: super::lobby::Pending,
}

/// One mail from shard to shard.
#[derive(Debug)]
pub enum Envelope {
    /// Between the rules; its class says what its loss means.
    Chat(Mail),
    /// A hand-over; see [`Arrival`].
    Arrival(Box<Arrival>),
    /// A descriptor of a connection that has ended. Never dropped: its loss would cost the receiver a slot for ever.
    Stray(Box<Parcel>),
}

impl Envelope {
    fn class(&self) -> MailClass {
        match self {
            Self::Chat(mail) => mail.class(),
            Self::Arrival(_) | Self::Stray(_) => MailClass::Kept,
        }
    }
}

/// What comes through a mailbox at once.
#[derive(Debug)]
pub enum Batch {
    /// From another shard, in its order.
    Mails(ShardId, Vec<Envelope>),
    /// From the control thread.
    Ask(super::control::Ask),
}

// What a doorbell's shard does.
const STAY: u64 = u64::MAX;
const AWAKE: u8 = 0;
const NAPPING: u8 = 1;
const ASLEEP: u8 = 2;

/// Wakes a shard that sleeps, and tells one that is awake that there is mail.
#[derive(Debug)]
pub struct Doorbell {
    eventfd: OwnedFd,
    nap: OwnedFd,
    state: AtomicU8,
    mail: AtomicBool,
    missed: AtomicBool,
    /// The order to go down: within how many ms, [`STAY`] for none. Not a mail, since a full box must not lose it.
    drain: AtomicU64,
}

impl Doorbell {
    /// A bell with an eventfd of its own, which the shard's rings ring as well.
    ///
    /// # Errors
    /// When no eventfd is to be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            eventfd: eventfd(0, EventfdFlags::CLOEXEC)?,
            nap: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            state: AtomicU8::new(AWAKE),
            mail: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            drain: AtomicU64::new(STAY),
        })
    }

    /// What is written while the shard naps, for its ring to watch.
    ///
    /// # Errors
    /// When the descriptor cannot be copied.
    pub fn nap_fd(&self) -> io::Result<OwnedFd> {
        self.nap.try_clone()
    }

    /// The eventfd, for the rings and for the sleeper.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Says that there is mail; true if the shard slept and was woken by this.
    pub fn ring(&self) -> bool {
        self.mail.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::SeqCst) == AWAKE {
            return false;
        }
        // An eventfd write fails only when its counter is full, and then the sleeper is awake already.
        match self.state.swap(AWAKE, Ordering::SeqCst) {
            NAPPING => rustix::io::write(&self.nap, &1u64.to_ne_bytes()).is_ok(),
            ASLEEP => rustix::io::write(&self.eventfd, &1u64.to_ne_bytes()).is_ok(),
            _ => false,
        }
    }

    /// Announces sleep on the eventfd. The shard looks for work once more after it, so that no mail is slept through.
    pub fn park(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Announces a nap, likewise.
    pub fn nap(&self) {
        self.state.store(NAPPING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Ends sleep and nap.
    pub fn wake(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Whether mail came since it was last taken.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.mail.load(Ordering::Acquire)
    }

    fn take_mail(&self) -> bool {
        self.has_mail() && self.mail.swap(false, Ordering::AcqRel)
    }

    /// The order to go down, within so many ms; told once.
    pub fn take_drain(&self) -> Option<u64> {
        let ordered = self.drain.load(Ordering::Relaxed) != STAY;
        ordered.then(|| self.drain.swap(STAY, Ordering::AcqRel)).filter(|&millis| millis != STAY)
    }

    /// Whether deliveries to this shard were dropped since the last question.
    pub fn take_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed) && self.missed.swap(false, Ordering::AcqRel)
    }
}

/// A shard's letter box as others see it.
#[derive(Clone, Debug)]
pub struct Address {
    sender: Sender<Batch>,
    bell: Arc<Doorbell>,
}

impl Address {
    /// Orders the shard to go down.
    pub fn drain(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).min(STAY - 1);
        self.bell.drain.store(millis, Ordering::Release);
        self.bell.ring();
    }

    /// Puts one question of the control thread into the box; false if the shard has ended or its box is full.
    pub fn ask(&self, ask: super::control::Ask) -> bool {
        let sent = self.sender.try_send(Batch::Ask(ask)).is_ok();
        self.bell.ring();
        sent
    }
}

/// A shard's letter box as its owner sees it.
#[derive(Debug)]
pub struct Mailbox {
    receiver: Receiver<Batch>,
    bell: Arc<Doorbell>,
}

impl Mailbox {
    /// A box and its address.
    ///
    /// # Errors
    /// When no eventfd is to be had.
    pub fn new() -> io::Result<(Self, Address)> {
        let (sender, receiver) = flume::bounded(MAILBOX_BATCHES);
        let bell = Arc::new(Doorbell::new()?);
        Ok((Self { receiver, bell: Arc::clone(&bell) }, Address { sender, bell }))
    }

    /// Its bell.
    pub fn bell(&self) -> &Arc<Doorbell> {
        &self.bell
    }

    /// Takes what has come; at most a full box, so that a busy sender cannot hold the turn.
    pub fn take(&self, batches: &mut Vec<Batch>) {
        if self.bell.take_mail() {
            batches.extend(self.receiver.try_iter().take(MAILBOX_BATCHES));
            if !self.receiver.is_empty() {
                self.bell.mail.store(true, Ordering::Release);
            }
        }
    }

    /// Batches waiting.
    pub fn depth(&self) -> usize {
        self.receiver.len()
    }
}

/// One destination: what is collected this turn, and what its full box sent back.
#[derive(Debug)]
struct Peer {
    address: Address,
    batch: Vec<Envelope>,
    spill: VecDeque<Envelope>,
}

/// A shard's outgoing mail.
#[derive(Debug)]
pub struct Mailroom {
    me: ShardId,
    peers: Vec<Peer>,
}

impl Mailroom {
    /// Mail from `me` to all shards, in their order.
    pub fn new(me: ShardId, addresses: Vec<Address>) -> Self {
        let peer = |address| Peer { address, batch: Vec::new(), spill: VecDeque::new() };
        Self { me, peers: addresses.into_iter().map(peer).collect() }
    }

    /// Collects a mail for this turn's batch.
    pub fn post(&mut self, to: ShardId, mail: Envelope, counters: &mut Counters) {
        debug_assert_ne!(to, self.me, "a shard does not write to itself");
        counters.count(Counter::MailSent);
        let peer = &mut self.peers[usize::from(to.0)];
        if !peer.spill.is_empty() {
            return peer.spill(mail, counters);
        }
        peer.batch.push(mail);
        if peer.batch.len() >= BATCH_MAILS {
            peer.send(self.me, counters);
        }
    }

    /// Whether commands for a shard are still taken.
    pub fn accepts(&self, to: ShardId) -> bool {
        self.peers[usize::from(to.0)].spill.len() < SPILL_MAILS
    }

    /// Whether mail to any shard waits for its full box: whoever feeds it should be read no further.
    pub fn is_spilling(&self) -> bool {
        self.peers.iter().any(|peer| !peer.spill.is_empty())
    }

    /// Mails waiting for full boxes.
    pub fn spilled(&self) -> usize {
        self.peers.iter().map(|peer| peer.spill.len()).sum()
    }

    /// Sends what was collected; part of each turn, before sends to clients, so that mail overtakes what clients do next.
    pub fn flush(&mut self, counters: &mut Counters) {
        for peer in &mut self.peers {
            while !peer.spill.is_empty() && !peer.address.sender.is_full() {
                let take = peer.spill.len().min(BATCH_MAILS);
                peer.batch.extend(peer.spill.drain(..take));
                peer.send(self.me, counters);
            }
            if !peer.batch.is_empty() {
                peer.send(self.me, counters);
            }
        }
    }
}

impl Peer {
    fn send(&mut self, me: ShardId, counters: &mut Counters) {
        let batch = std::mem::take(&mut self.batch);
        match self.address.sender.try_send(Batch::Mails(me, batch)) {
            Ok(()) => {
                counters.count(Counter::MailBatches);
                if self.address.bell.ring() {
                    counters.count(Counter::Wakes);
                }
            }
            Err(TrySendError::Full(Batch::Mails(_, batch))) => {
                // Older than anything spilled before: it came out of the front of the spill, or the spill was empty.
                let newer = std::mem::take(&mut self.spill);
                batch.into_iter().chain(newer).for_each(|mail| self.spill(mail, counters));
            }
            // The shard has ended: so has every session its mail was for.
            Err(_) => {}
        }
    }

    fn spill(&mut self, mail: Envelope, counters: &mut Counters) {
        match mail.class() {
            MailClass::Ephemeral => return counters.count(Counter::MailDropped),
            MailClass::Delivery if self.spill.len() >= SPILL_MAILS => {
                counters.count(Counter::MailMissed);
                self.address.bell.missed.store(true, Ordering::Release);
                return;
            }
            MailClass::Delivery | MailClass::Kept => {}
        }
        counters.count(Counter::MailSpilled);
        self.spill.push_back(mail);
    }
}
