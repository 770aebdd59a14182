//! Threads of many client connections, and the scenarios' way to drive them. Knows no workload.
//!
//! An engine owns the sockets of one thread: direct descriptors of as many rings as the file limit makes necessary. It
//! turns bytes into messages; a [`Driver`] decides what is sent. A connection at rest waits by a poll, which costs the
//! kernel 600 bytes less than a receive; a busy one has a receive that goes on by itself.
mod beside;
mod carry;
mod conn;
mod deflate;
mod dial;
mod end;
mod io;
mod lane;
mod outbox;
mod pieces;
mod pool;
mod tls;
mod upgrade;
mod uring;
mod waits;

use crate::control::{Control, Tallies};
use crate::tls::Terms;
use std::net::{IpAddr, SocketAddr};

pub(crate) use beside::Beside;
pub(crate) use end::End;
pub(crate) use io::{Io, bump};

/// A connection's number within its thread.
pub(crate) type ConnId = usize;

/// Which connections a thread opens.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The server.
    pub(crate) server: SocketAddr,
    /// What follows the address in the URL.
    pub(crate) path: String,
    /// The subprotocol that the server has to select, of those whose messages are binary.
    pub(crate) subprotocol: Option<&'static str>,
    /// How TLS is spoken, where it is.
    pub(crate) tls: Option<Terms>,
    /// Messages are compressed from this many bytes on, and the server's may be.
    pub(crate) compress: Option<usize>,
    /// Addresses to connect from, each in turn; none leaves the choice to the kernel.
    pub(crate) sources: Vec<IpAddr>,
    /// Connections that this thread may open a second; nothing bounds them but the number under way when it is not given.
    pub(crate) pace: Option<f64>,
    /// Which thread this is, among all of the run.
    pub(crate) thread: usize,
    /// No WebSocket: each so many bytes from the server are a message.
    pub(crate) tcp: Option<usize>,
    /// The thread's first connection among all.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
}

/// What a driver wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// To be called at this time at the latest (a nap's length bounds it anyway).
    At(u64),
    /// To be called again at once, without sleeping.
    Spin,
    /// To be called when something arrives.
    Event,
    /// Nothing any more: the thread ends.
    Done,
}

impl Next {
    /// What two drivers of one thread want together.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, Self::Done) => Self::Done,
            (Self::Spin, _) | (_, Self::Spin) => Self::Spin,
            (Self::At(one), Self::At(two)) => Self::At(one.min(two)),
            (Self::At(time), _) | (_, Self::At(time)) => Self::At(time),
            (Self::Event, _) | (_, Self::Event) => Self::Event,
        }
    }
}

/// What follows the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It is counted as a failure.
    Fail,
    /// It was meant to end, and stays away until the driver opens it again.
    Leave,
    /// It is opened again, in its turn.
    Reopen,
}

/// A workload's part in one thread.
pub(crate) trait Driver: Send {
    /// What follows the address in the URL, where connections differ in that.
    fn path(&self, _conn: ConnId) -> Option<String> {
        None
    }
    /// Who connects, where the upgrade says it by a token; `None` where nobody signs in.
    fn user(&self, _conn: ConnId) -> Option<String> {
        None
    }
    /// A connection ended. It is called once for each end, whoever wanted it.
    fn closed(&mut self, _io: &mut Io, _conn: ConnId, _end: &End) -> After {
        After::Fail
    }
    /// A connection was upgraded.
    fn opened(&mut self, io: &mut Io, conn: ConnId);
    /// A text or binary message arrived.
    fn message(&mut self, io: &mut Io, conn: ConnId, payload: &[u8], now: u64);
    /// Once per turn of the thread's loop, before it sleeps.
    fn turn(&mut self, io: &mut Io, now: u64) -> Next;
}

/// Drives one thread until its driver is done or the run is called off.
pub(crate) fn run(
    plan: &Plan,
    control: &Control,
    tallies: &Tallies,
    driver: &mut impl Driver,
) -> anyhow::Result<()> {
    uring::Engine::new(plan, control, tallies).run(driver)
}
