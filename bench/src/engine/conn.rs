//! One client connection: its socket, the part of a frame that has come, and what waits to be sent.
use std::io::{ErrorKind, Write};
use std::net::TcpStream;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The request was sent (or waits for the connect), the answer has not come.
    Upgrading,
    /// Frames flow.
    Open,
    /// Failed; nothing more is expected of it.
    Closed,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) state: State,
    /// The beginning of a frame whose rest has not come.
    pub(super) carry: Vec<u8>,
    /// What the socket did not take.
    waiting: Vec<u8>,
    sent: usize,
}

impl Conn {
    pub(super) fn new(stream: TcpStream, request: &[u8]) -> Self {
        Self { stream, state: State::Upgrading, carry: Vec::new(), waiting: request.to_vec(), sent: 0 }
    }

    /// Bytes that wait for the socket.
    pub(super) fn backlog(&self) -> usize {
        self.waiting.len() - self.sent
    }

    /// Sends, or keeps what the socket does not take.
    pub(super) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let taken = if self.backlog() == 0 { try_write(&mut self.stream, bytes)? } else { 0 };
        self.waiting.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Adds to what waits, to be sent by [`Self::flush`] with what follows it.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        if self.backlog() == 0 {
            return Ok(());
        }
        self.sent += try_write(&mut self.stream, &self.waiting[self.sent..])?;
        if self.backlog() == 0 {
            self.waiting.clear();
            self.sent = 0;
        }
        Ok(())
    }
}

/// Writes until all is taken or the socket is full.
fn try_write(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match stream.write(&bytes[taken..]) {
            Ok(n) => taken += n,
            // Not connected yet: the connect's completion is a readiness event like any other.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
