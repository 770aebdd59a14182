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
        socket.bind(&address.into()).with_context(|| format!("binding to {address}"))?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => Ok(Ok(socket.into())),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::INPROGRESS) => Ok(Ok(socket.into())),
            Some(Errno::ADDRNOTAVAIL) => Err(error).with_context(|| {
                format!(
                    "no free port towards {server} from {}: give more --source addresses",
                    source.map_or_else(|| "the default address".into(), |source| source.to_string())
                )
            }),
            Some(errno) => Ok(Err(End::of_errno(errno.raw_os_error()))),
            None => Err(error).context("connecting"),
        },
    }
}
