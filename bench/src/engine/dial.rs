//! Opens sockets towards the server, spread over source addresses. Knows no ring and no frame.
use super::End;
use anyhow::Context;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// Starts one connect. An outer error is this machine's and ends the run; an inner one is the connection's.
pub(super) fn dial(server: SocketAddr, source: Option<IpAddr>) -> anyhow::Result<Result<OwnedFd, End>> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).context("opening a socket")?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        let address = SocketAddr::new(source, 0);
        socket.bind(&address.into()).map_err(|error| no_port(error, server, Some(source)))?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => Ok(Ok(socket.into())),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::INPROGRESS) => Ok(Ok(socket.into())),
            Some(Errno::ADDRNOTAVAIL) => Err(no_port(error, server, source)),
            Some(errno) => Ok(Err(End::of_errno(errno.raw_os_error()))),
            None => Err(error).context("connecting"),
        },
    }
}

/// What to do when a source has no port left: the kernel says so at the bind, or at the connect without one.
fn no_port(error: std::io::Error, server: SocketAddr, source: Option<IpAddr>) -> anyhow::Error {
    let from = source.map_or_else(|| "the default address".into(), |source| source.to_string());
    let what = match Errno::from_io_error(&error) {
        Some(Errno::ADDRINUSE) => {
            format!("no free port from {from} to {server}: give more --source addresses")
        }
        _ => format!(
            "{from} cannot reach {server}: is it an address of this machine with free ports? (--source)"
        ),
    };
    anyhow::Error::new(error).context(what)
}
