//! One client connection in two dozen bytes: where its socket is and what is under way on it. Knows no ring.
use super::pool::NONE;
use longwire::net::ring::Op;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Not there: not opened yet, or gone.
    Away,
    /// The request was sent (or waits for the connect), the answer has not come.
    Upgrading,
    /// Frames flow.
    Open,
    /// A close frame was sent; the server's is awaited.
    Closing,
    /// Ended; operations that were under way have not come back.
    Ended,
}

/// What tells it of bytes to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Armed {
    Nothing,
    /// A poll: 600 kernel bytes less than a receive.
    Poll,
    /// Nothing yet: it has bytes, and waits for its turn to receive them.
    Queued,
    /// One receive, of bytes that may be long in coming.
    Once,
    /// One receive, of bytes that are there.
    Taking,
    /// A receive that goes on.
    Stream,
}

impl Armed {
    /// The operation that is under way.
    pub(super) fn op(self) -> Option<Op> {
        match self {
            Self::Nothing | Self::Queued => None,
            Self::Poll => Some(Op::Poll),
            Self::Once | Self::Taking | Self::Stream => Some(Op::Recv),
        }
    }
}

/// A connection at rest costs this and nothing else of our memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conn {
    pub(super) state: State,
    pub(super) armed: Armed,
    /// Nothing is received until it is resumed.
    pub(super) paused: bool,
    /// How many messages came in short succession, up to a bound.
    pub(super) streak: u8,
    /// It is in the list of those whose receive goes on by itself.
    pub(super) listed: bool,
    pub(super) lane: u16,
    pub(super) slot: u32,
    /// What waits to be sent, if anything.
    pub(super) out: u32,
    /// The beginning of a frame whose rest has not come.
    pub(super) carry: u32,
    /// When something came last, in ticks.
    pub(super) tick: u32,
}

const _: () = assert!(size_of::<Conn>() <= 24, "a million of them are to be small");

/// Half a second, about: `2^29` ns.
pub(super) const TICK_BITS: u32 = 29;
/// Messages in short succession after which a receive goes on by itself.
const STREAK: u8 = 4;
/// Ticks within which two messages are in short succession.
const SHORT: u32 = 2;
/// Ticks of silence after which a receive is taken back: four seconds.
const SILENT: u32 = 8;

impl Conn {
    pub(super) const fn away() -> Self {
        Self {
            state: State::Away,
            armed: Armed::Nothing,
            paused: false,
            streak: 0,
            listed: false,
            lane: 0,
            slot: 0,
            out: NONE,
            carry: NONE,
            tick: 0,
        }
    }

    /// Whether it has a socket.
    pub(super) fn lives(&self) -> bool {
        matches!(self.state, State::Upgrading | State::Open | State::Closing)
    }

    /// Notes that something came.
    pub(super) fn heard(&mut self, tick: u32) {
        let short = tick.wrapping_sub(self.tick) <= SHORT;
        self.streak = if short { (self.streak + 1).min(STREAK) } else { 0 };
        self.tick = tick;
    }

    /// Whether a receive that goes on is worth its memory.
    pub(super) fn busy(&self) -> bool {
        self.streak >= STREAK
    }

    /// Whether it no longer is.
    pub(super) fn silent(&self, tick: u32) -> bool {
        tick.wrapping_sub(self.tick) > SILENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_connection_is_one_that_was_heard_again_and_again() {
        let mut conn = Conn::away();
        for tick in [100, 101, 102, 104, 105] {
            assert!(!conn.busy());
            conn.heard(tick);
        }
        assert!(conn.busy() && !conn.silent(105 + SILENT) && conn.silent(106 + SILENT));
        // A heartbeat a minute keeps it at rest.
        conn.heard(225);
        assert!(!conn.busy());
    }
}
