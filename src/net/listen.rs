//! The listening socket of one core, and the lock that keeps a second server off its address. Knows no connections.

use crate::limits::ACCEPT_BACKLOG;
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};

/// Ports tried when the kernel chooses one that another server of this user listens on already.
const PORT_TRIES: usize = 16;

/// One core's listener; closed while the core is full.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    socket: Option<Socket>,
    backlog: u32,
}

impl Listener {
    /// Listens on `address` beside the other cores' listeners (`SO_REUSEPORT`, socket(7)).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Accepted sockets inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        let backlog = backlog();
        socket.listen(backlog.cast_signed())?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { address, socket: Some(socket), backlog })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that may wait to be accepted.
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Listens again, if it was closed.
    ///
    /// # Errors
    /// When the address cannot be bound any more.
    pub fn open(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            *self = Self::bind(self.address)?;
        }
        Ok(())
    }

    /// Stops listening: new connections go to the other cores.
    pub fn close(&mut self) {
        self.socket = None;
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// What the kernel makes of the backlog asked for (listen(2)).
fn backlog() -> u32 {
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    // Unreadable: the default since Linux 5.4.
    limit.and_then(|text| text.trim().parse().ok()).unwrap_or(4096).min(ACCEPT_BACKLOG)
}

/// Holds an address for this process: with `SO_REUSEPORT` a second server would start silently and take half.
#[derive(Debug)]
pub struct AddressLock(#[allow(dead_code)] UnixListener);

/// Why an address cannot be held.
#[derive(Debug)]
pub enum LockError {
    /// Another server holds it: its process id, if the kernel tells.
    Busy(Option<i32>),
    /// Something else.
    Io(io::Error),
}

impl AddressLock {
    /// Takes the lock: an abstract socket, which the kernel frees with the process, in the same network namespace
    /// as the port (unix(7)).
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(address: SocketAddr) -> Result<Self, LockError> {
        let name = UnixAddr::from_abstract_name(format!("longwire/{address}")).map_err(LockError::Io)?;
        match UnixListener::bind_addr(&name) {
            Ok(listener) => Ok(Self(listener)),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(LockError::Busy(holder(&name))),
            Err(e) => Err(LockError::Io(e)),
        }
    }
}

fn holder(name: &UnixAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(name).ok()?;
    socket_peercred(&stream).ok().map(|peer| peer.pid.as_raw_nonzero().get())
}

/// Binds the first core's listener and locks its address; port 0 becomes a free one.
///
/// # Errors
/// [`LockError`].
pub fn bind_locked(address: SocketAddr) -> Result<(Listener, AddressLock), LockError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    if address.port() != 0 {
        let lock = AddressLock::take(address)?;
        return Listener::bind(address).map(|l| (l, lock)).map_err(LockError::Io);
    }
    loop {
        let listener = Listener::bind(address).map_err(LockError::Io)?;
        tries -= 1;
        match AddressLock::take(listener.address()) {
            Ok(lock) => return Ok((listener, lock)),
            Err(LockError::Busy(_)) if tries > 0 => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_is_first() {
        let (listener, _lock) = bind_locked("127.0.0.1:0".parse().unwrap()).unwrap();
        match bind_locked(listener.address()) {
            Err(LockError::Busy(pid)) => assert_eq!(pid, Some(std::process::id() as i32)),
            other => panic!("expected busy, got {other:?}"),
        }
    }
}
