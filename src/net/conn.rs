//! One connection's slot: everything an idle connection costs. Knows no protocol.

use super::deflate::Window;
use super::inbound::Inbound;
use crate::meter::{Debt, SECOND_TICK, TICK_MS};
use std::num::{NonZeroU32, NonZeroU64};

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The request head is being read.
    Head,
    /// WebSocket, nobody signed in yet: receives are one-shot, so that nothing arrives while it moves.
    Open,
    /// WebSocket and signed in: receives are multishot, or a poll waits for one that is quiet.
    Live,
    /// To be moved to another shard as soon as nothing is in flight.
    Moving,
    /// The close frame is queued or sent; what arrives is read only for the peer's own.
    Closing,
    /// A plain HTTP answer is queued or sent; what arrives is thrown away.
    Lingering,
    /// Closed; operations under way still come back.
    Gone,
}

/// What is under way for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// A receive is armed, or waits for a buffer.
    pub const RECV: Self = Self(1);
    /// A send is in flight.
    pub const SEND: Self = Self(1 << 1);
    /// It is in the list of connections with something to send.
    pub const DIRTY: Self = Self(1 << 2);
    /// Its receives are stopped until its peer or the shard catches up.
    pub const PAUSED: Self = Self(1 << 3);
    /// The peer's close frame has arrived.
    pub const PEER_CLOSED: Self = Self(1 << 4);
    /// Its descriptor is on the way to another ring.
    pub const MOVE: Self = Self(1 << 5);
    /// Our direction is being shut down.
    pub const SHUT: Self = Self(1 << 6);
    /// It is paused by the shard, which resumes it when other shards have caught up.
    pub const HELD: Self = Self(1 << 7);
    /// It has asked for a page: nothing more is read before all its answers are queued.
    pub const PAGE: Self = Self(1 << 8);
    /// What goes over its socket is TLS.
    pub const TLS: Self = Self(1 << 9);
    /// A message came since the heartbeat's last visit.
    pub const TALKED: Self = Self(1 << 11);
    /// None came between two visits: it is waited for by a poll, which takes less of the kernel's memory than a receive.
    pub const QUIET: Self = Self(1 << 12);
    /// What [`Flags::RECV`] stands for is that poll.
    pub const POLL: Self = Self(1 << 13);
    /// Its proxy has not introduced it yet.
    pub const PROXY: Self = Self(1 << 10);

    /// Whether any of `flags` is set.
    #[inline]
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Sets them.
    #[inline]
    pub fn set(&mut self, flags: Self) {
        self.0 |= flags.0;
    }

    /// Clears them.
    #[inline]
    pub fn clear(&mut self, flags: Self) {
        self.0 &= !flags.0;
    }

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What was agreed on at the upgrade, in one byte: half of it is the handler's own, half the window of permessage-deflate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dialect(u8);

impl Dialect {
    /// The handler's half, below 16: which encoding is spoken.
    pub fn encoding(self) -> u8 {
        self.0 & 0xf
    }

    /// Sets the handler's half.
    pub fn set_encoding(&mut self, encoding: u8) {
        debug_assert!(encoding < 16, "half a byte");
        self.0 = self.0 & 0xf0 | encoding & 0xf;
    }

    /// The window of what is compressed for the peer, if permessage-deflate was agreed on.
    #[inline]
    pub fn window(self) -> Option<Window> {
        Window::of(self.0 >> 4)
    }

    /// Notes what was agreed on.
    pub fn set_window(&mut self, window: Option<Window>) {
        self.0 = self.0 & 0xf | window.map_or(0, Window::bits) << 4;
    }
}

/// Bytes read but not understood yet. Boxed: eight bytes in each of a million slots, not 24.
#[allow(clippy::box_collection)]
pub type Early = Option<Box<Vec<u8>>>;

/// A connection.
#[derive(Debug)]
pub struct Conn {
    /// Half-received frames and messages.
    pub inbound: Inbound,
    /// Bytes read but not understood yet: half a request head, or what follows a sign-in that moves.
    pub early: Early,
    /// The handler's own word, its bits turned over so that none is none.
    tag: Option<NonZeroU64>,
    /// Its descriptor's place in the ring's table.
    pub slot: u32,
    /// Its outbox, while something is queued or in flight; one more than the index.
    pub outbox: Option<NonZeroU32>,
    /// Uptime of the last received byte, in ticks of [`TICK_MS`].
    pub last_received: u32,
    /// What it owes for what it has sent lately, paid up to then.
    pub debt: Debt,
    /// Commands handed over whose answers are not queued yet.
    pub owed: u16,
    /// Receives since its close began.
    pub last_words: u8,
    /// Which ring's table.
    pub ring: u8,
    /// What was agreed on at the upgrade.
    pub dialect: Dialect,
    /// Where it is in its life.
    pub state: State,
    /// What is under way.
    pub flags: Flags,
}

// A million of these with their generation are 56 MB.
const _: () = assert!(size_of::<Conn>() <= 48);

impl Conn {
    /// A connection just accepted or moved here.
    pub fn new(ring: u8, slot: u32, state: State, uptime: u64) -> Self {
        let mut conn = Self {
            inbound: Inbound::default(),
            early: None,
            tag: None,
            slot,
            outbox: None,
            last_received: 0,
            debt: Debt::default(),
            owed: 0,
            last_words: 0,
            ring,
            dialect: Dialect::default(),
            state,
            flags: Flags::default(),
        };
        conn.heard(uptime);
        conn
    }

    /// The handler's own word: which session this is.
    pub fn tag(&self) -> Option<u64> {
        self.tag.map(|tag| !tag.get())
    }

    /// Notes the handler's word; `u64::MAX` is none.
    pub fn set_tag(&mut self, tag: u64) {
        self.tag = NonZeroU64::new(!tag);
    }

    /// Takes the handler's word: nobody is told of this connection again.
    pub fn take_tag(&mut self) -> Option<u64> {
        self.tag.take().map(|tag| !tag.get())
    }

    /// Notes a sign of life, and pays for what came before by the time since then.
    #[inline]
    pub fn heard(&mut self, uptime: u64) {
        let tick = (uptime / TICK_MS) as u32;
        self.debt.pay(tick.wrapping_sub(self.last_received), SECOND_TICK);
        self.last_received = tick;
    }

    /// How long it has been silent (ms).
    pub fn silent_for(&self, uptime: u64) -> u64 {
        u64::from(((uptime / TICK_MS) as u32).wrapping_sub(self.last_received)) * TICK_MS
    }

    /// Forgets what was received and not understood yet; tells how many bytes that were.
    pub fn forget_input(&mut self) -> usize {
        let early = self.early.take().map_or(0, |early| early.len());
        std::mem::take(&mut self.inbound).held_bytes() + early
    }

    /// Whether a receive is to be armed.
    pub fn wants_receive(&self) -> bool {
        !self.flags.has(Flags::RECV.and(Flags::PAUSED)) && !matches!(self.state, State::Moving | State::Gone)
    }

    /// Whether it reads WebSocket messages for the handler.
    pub fn is_talking(&self) -> bool {
        matches!(self.state, State::Open | State::Live)
    }

    /// Whether frames are taken out of its bytes, if only to find the peer's close.
    pub fn is_reading(&self) -> bool {
        self.state == State::Closing || self.is_talking() && !self.flags.has(Flags::PAUSED)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Window};

    #[test]
    fn a_byte_holds_what_was_agreed_on() {
        let mut dialect = Dialect::default();
        for window in [None, Window::of(9), Window::of(15), None] {
            for encoding in 0..16 {
                dialect.set_window(window);
                dialect.set_encoding(encoding);
                assert_eq!((dialect.window(), dialect.encoding()), (window, encoding));
            }
        }
    }
}
