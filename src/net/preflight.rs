//! Tries every kernel operation the data plane needs, on a loopback connection, and names what is missing (design D10).
//! Knows no kernel versions.

use super::listen::Listener;
use super::ring::{Completion, Gate, Op, Ring, SendBuffer, Token};
use crate::frame::Frame;
use crate::ids::ConnId;
use rustix::event::{EventfdFlags, eventfd};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long one operation may take on an idle loopback; ten thousand times what it does.
const PATIENCE: Duration = Duration::from_secs(5);

/// An operation that does not work here.
#[derive(Debug)]
pub struct Missing {
    /// What was tried.
    pub operation: &'static str,
    /// How it failed.
    pub error: io::Error,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not work here: {}. {}", self.operation, self.error, self.advice())
    }
}

impl std::error::Error for Missing {}

impl Missing {
    fn advice(&self) -> &'static str {
        advice(&self.error)
            .unwrap_or("Longwire needs Linux 6.1 or newer (Debian 12's kernel); it is tested on 6.18")
    }
}

/// What to do about an error of the system's, where that is known.
pub fn advice(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::ENOSYS | libc::EPERM | libc::EACCES => Some(
            "io_uring is off: set kernel.io_uring_disabled=0 (sysctl), and in a container allow io_uring_setup, \
             io_uring_enter and io_uring_register in its seccomp profile",
        ),
        libc::ENOMEM => Some("Locked memory is short: raise `ulimit -l` (LimitMEMLOCK= in a systemd unit)"),
        libc::EMFILE | libc::ENFILE => {
            Some("Too few open files are allowed: raise `ulimit -n` (LimitNOFILE=)")
        }
        _ => None,
    }
}

/// Tries everything once.
///
/// # Errors
/// The first operation that does not work.
pub fn check() -> Result<(), Missing> {
    let named = |operation| move |error| Missing { operation, error };
    let bell = eventfd(0, EventfdFlags::CLOEXEC).map_err(|e| named("eventfd")(e.into()))?;
    let new = || Ring::new(16, 8, bell.as_raw_fd());
    let setup = named("io_uring with deferred task work, a descriptor table and provided buffers");
    let (mut one, mut two) = (new().map_err(setup)?, new().map_err(setup)?);

    let loopback = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(loopback).map_err(named("listening on loopback with SO_REUSEPORT"))?;
    let connecting = named("connecting on loopback");
    let address =
        listener.endpoint().address().ok_or_else(|| connecting(io::ErrorKind::AddrNotAvailable.into()))?;
    let mut client = TcpStream::connect(address).map_err(connecting)?;
    client.set_read_timeout(Some(PATIENCE)).map_err(named("a socket's time-out"))?;

    let accept = named("multishot accept into a descriptor table");
    one.accept(listener.as_raw_fd(), Gate::default());
    let slot = slot(await_one(&mut one, Op::Accept).map_err(accept)?).map_err(accept)?;

    let recv = named("multishot receive into provided buffers");
    let conn = ConnId { index: 1, generation: 1 };
    one.recv(slot, true, Token::new(Op::Recv, conn));
    client.write_all(b"ping").map_err(recv)?;
    let completion = await_one(&mut one, Op::Recv).map_err(recv)?;
    let buffer = one.received(&completion).ok_or_else(|| recv(io::ErrorKind::InvalidData.into()))?;
    if &*buffer != b"ping" {
        return Err(recv(io::ErrorKind::InvalidData.into()));
    }
    one.give_back(buffer);

    let hand_over = named("moving a descriptor between rings (IORING_OP_MSG_RING)");
    one.move_to(&two.address(), slot, Token::new(Op::Move, conn));
    let moved = self::slot(await_one(&mut one, Op::Move).map_err(hand_over)?).map_err(hand_over)?;
    one.close(slot, []);

    let send = named("sending from a descriptor table");
    two.send(moved, SendBuffer::Frame(Frame::new(b"pong")), 0, Token::new(Op::Send, conn));
    slot_or_length(await_one(&mut two, Op::Send).map_err(send)?).map_err(send)?;
    let mut answer = [0; 4];
    client.read_exact(&mut answer).map_err(send)?;
    Ok(())
}

/// Whether so many descriptors are to be had, all at once: what is started on top of them does not fail half way for want of one,
/// where some of it would not even say so.
///
/// # Errors
/// When they are not.
pub fn descriptors(wanted: usize) -> Result<(), Missing> {
    let named = |error: rustix::io::Errno| Missing {
        operation: "opening as many descriptors as the cores take",
        error: error.into(),
    };
    let held: Result<Vec<_>, _> = (0..wanted).map(|_| eventfd(0, EventfdFlags::CLOEXEC)).collect();
    held.map(drop).map_err(named)
}

fn slot(completion: Completion) -> io::Result<u32> {
    slot_or_length(completion)
}

fn slot_or_length(completion: Completion) -> io::Result<u32> {
    u32::try_from(completion.result).map_err(|_| io::Error::from_raw_os_error(-completion.result))
}

/// Turns the ring until an operation completes.
fn await_one(ring: &mut Ring, op: Op) -> io::Result<Completion> {
    let start = Instant::now();
    let mut completions = Vec::new();
    while start.elapsed() < PATIENCE {
        ring.turn(&mut completions)?;
        if let Some(found) = completions.drain(..).find(|c| c.token.op() == Some(op)) {
            return Ok(found);
        }
        std::thread::yield_now();
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_works_here() {
        check().unwrap();
    }

    #[test]
    fn advice_names_the_remedy() {
        let missing = |errno| Missing { operation: "io_uring", error: io::Error::from_raw_os_error(errno) };
        assert!(missing(libc::EPERM).to_string().contains("io_uring_disabled"));
        assert!(missing(libc::ENOMEM).to_string().contains("ulimit -l"));
        assert!(missing(libc::EINVAL).to_string().contains("6.1"));
    }
}
