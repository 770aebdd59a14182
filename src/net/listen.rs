//! The listening sockets of one core, and the locks that keep a second server off their places. Knows no connections.

use super::endpoint::{Endpoint, Place};
use crate::limits::ACCEPT_BACKLOG;
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ports tried when the kernel chooses one that another server of this user listens on already.
const PORT_TRIES: usize = 16;

/// What the names of all locks begin with.
const LOCKS: &str = "longwire/";

/// One core's listener at one place. On TCP each core has a socket of its own, closed while the core is full; all cores
/// accept on the one socket of a file, since the kernel spreads nothing there.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    socket: Option<Arc<Socket>>,
    backlog: u32,
}

impl Listener {
    /// Listens on `address` for plain WebSocket, beside the other cores' listeners.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bind_tcp(&Endpoint::plain(address), address)
    }

    /// `SO_REUSEPORT` (socket(7)): the kernel spreads connections over the cores' listeners.
    fn bind_tcp(endpoint: &Endpoint, address: SocketAddr) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // Whatever the system's default is: 0.0.0.0 and [::] can stand beside one another at one port.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Accepted sockets inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        let backlog = backlog();
        socket.listen(backlog.cast_signed())?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let endpoint = Endpoint { place: Place::Ip(address), ..endpoint.clone() };
        Ok(Self { endpoint, socket: Some(Arc::new(socket)), backlog })
    }

    fn bind_unix(endpoint: &Endpoint, path: &Path, mode: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Nobody can connect before it listens, so nobody does under another mode.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        let backlog = backlog();
        socket.listen(backlog.cast_signed())?;
        Ok(Self { endpoint: endpoint.clone(), socket: Some(Arc::new(socket)), backlog })
    }

    /// The same place for another core.
    ///
    /// # Errors
    /// When the address cannot be bound once more.
    pub fn for_another_core(&self) -> io::Result<Self> {
        match self.endpoint.place {
            Place::Ip(address) => Self::bind_tcp(&self.endpoint, address),
            Place::Unix(_) => Ok(Self {
                endpoint: self.endpoint.clone(),
                socket: self.socket.clone(),
                backlog: self.backlog,
            }),
        }
    }

    /// Where it listens, with the port it got.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether all cores accept on this very socket.
    pub fn is_shared(&self) -> bool {
        matches!(self.endpoint.place, Place::Unix(_))
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
        if let (None, Place::Ip(address)) = (&self.socket, &self.endpoint.place) {
            *self = Self::bind_tcp(&self.endpoint, *address)?;
        }
        Ok(())
    }

    /// Stops listening while this core is full, so that new connections go to the other cores. From a shared socket they
    /// take them anyway.
    pub fn close(&mut self) {
        if !self.is_shared() {
            self.socket = None;
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// What the kernel makes of the backlog asked for (listen(2)).
fn backlog() -> u32 {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    // Unreadable: the default since Linux 5.4.
    limit.and_then(|text| text.trim().parse().ok()).unwrap_or(4096).min(ACCEPT_BACKLOG)
}

/// Holds a place for this process: with `SO_REUSEPORT` a second server would start silently and take half, and a second
/// one at a socket's file would replace it.
#[derive(Debug)]
pub struct PlaceLock {
    _held: UnixListener,
    file: Option<SocketFile>,
}

/// Why a place cannot be held.
#[derive(Debug)]
pub enum LockError {
    /// Another server holds it: its process id, if the kernel tells.
    Busy(Option<i32>),
    /// Something else.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl PlaceLock {
    /// Takes the lock of an address, of which no other server may hold all or a part. Each looks at the others' locks when it
    /// has its own: of two that start at once both may be refused, never none.
    fn take_address(address: SocketAddr) -> Result<Self, LockError> {
        let lock = Self::take(&address.to_string())?;
        let all: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let parts = if address.ip() == all { held_on(address.port()) } else { Vec::new() };
        let parts = parts.into_iter().filter(|part| part.is_ipv4() == address.is_ipv4());
        for other in parts.chain([SocketAddr::new(all, address.port())]) {
            let name = UnixAddr::from_abstract_name(format!("{LOCKS}{other}"))?;
            if other != address
                && let Ok(stream) = UnixStream::connect_addr(&name)
            {
                return Err(LockError::Busy(peer(&stream)));
            }
        }
        Ok(lock)
    }

    /// Takes the lock: an abstract socket, which the kernel frees with the process, in the same network namespace
    /// as the port (unix(7)).
    fn take(place: &str) -> Result<Self, LockError> {
        let name = UnixAddr::from_abstract_name(format!("{LOCKS}{place}"))?;
        match UnixListener::bind_addr(&name) {
            Ok(held) => Ok(Self { _held: held, file: None }),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(LockError::Busy(holder(&name))),
            Err(e) => Err(e.into()),
        }
    }
}

/// The addresses with this port that servers hold (proc(5)); none where there is no `/proc`.
fn held_on(port: u16) -> Vec<SocketAddr> {
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let locks =
        sockets.split_ascii_whitespace().filter_map(|word| word.strip_prefix('@')?.strip_prefix(LOCKS));
    locks.filter_map(|lock| lock.parse().ok()).filter(|address: &SocketAddr| address.port() == port).collect()
}

fn holder(name: &UnixAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(name).ok()?;
    peer(&stream)
}

fn peer(stream: &UnixStream) -> Option<i32> {
    socket_peercred(stream).ok().map(|peer| peer.pid.as_raw_nonzero().get())
}

/// The file of our socket; removed at the end, if it is still that one.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            // Who starts next finds it dead and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Removes the socket of a server that has ended without doing so. A live one's stays, and so does everything else.
fn clear_away(path: &Path) -> Result<(), LockError> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.into()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("there is a file of that name which is no socket").into());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(LockError::Busy(peer(&stream))),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(e) => Err(e.into()),
    }
}

/// Binds the first core's listener and locks its place; port 0 becomes a free one, a socket's file gets `mode`.
///
/// # Errors
/// [`LockError`].
pub fn bind_locked(endpoint: &Endpoint, mode: u32) -> Result<(Listener, PlaceLock), LockError> {
    let address = match &endpoint.place {
        Place::Ip(address) => *address,
        Place::Unix(path) => {
            let mut lock = PlaceLock::take(&path.to_string_lossy())?;
            clear_away(path)?;
            let listener = Listener::bind_unix(endpoint, path, mode)?;
            lock.file = Some(SocketFile::of(path)?);
            return Ok((listener, lock));
        }
    };
    if address.port() != 0 {
        let lock = PlaceLock::take_address(address)?;
        return Ok((Listener::bind_tcp(endpoint, address)?, lock));
    }
    let mut tries = PORT_TRIES;
    loop {
        let listener = Listener::bind_tcp(endpoint, address)?;
        tries -= 1;
        let bound = listener.endpoint.address().unwrap_or(address);
        match PlaceLock::take_address(bound) {
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
        let (listener, _lock) = bind_locked(&"127.0.0.1:0".parse().unwrap(), 0).unwrap();
        match bind_locked(listener.endpoint(), 0) {
            Err(LockError::Busy(pid)) => assert_eq!(pid, Some(std::process::id() as i32)),
            other => panic!("expected busy, got {other:?}"),
        }
    }
}
