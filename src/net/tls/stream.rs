//! One connection's TLS: records to plaintext and back. Between two receives it holds no buffer unless a record is incomplete.
//! Knows no socket and no WebSocket.

use super::Acceptor;
use crate::limits::TLS_CARRIED_MAX;
use rustls::HandshakeKind;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use std::fmt;

/// A record's plaintext at most (RFC 8446 section 5.1).
const PLAINTEXT_MAX: usize = 16 * 1024;
/// What a record takes beside its plaintext, at most, of all ciphers (bytes).
const RECORD_EXTRA: usize = 32;
/// A record's header: its type, version and length.
const HEADER: usize = 5;

/// How a handshake was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handshake {
    /// With the certificate's key.
    Full,
    /// By a ticket.
    Resumed,
}

/// Why nothing more is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The peer said that it sends nothing more.
    Closed,
    /// The peer broke the protocol, or has none in common with us, and an alert for it is pending; or it has sent more than is held
    /// of what is not whole, and there is none.
    Broken,
}

/// What came of received bytes, beside their plaintext.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The handshake was finished.
    pub handshake: Option<Handshake>,
    /// Nothing more is to be read.
    pub end: Option<End>,
}

/// One connection's TLS.
pub struct Stream {
    tls: UnbufferedServerConnection,
    /// Received, not understood yet: an incomplete record, or records with an incomplete message of a handshake.
    carried: Vec<u8>,
    /// Since when that waits for its end, in the caller's own time.
    waits_since: u32,
    /// To be sent before what is encrypted next: parts of a handshake, a ticket, an alert.
    pending: Vec<u8>,
    /// Nothing more is read, and why.
    ended: Option<End>,
    /// Nothing more is written but the alert: rustls may not be asked again.
    broken: bool,
}

impl Stream {
    /// A connection of which nothing has been received yet.
    ///
    /// # Errors
    /// What rustls says to its settings.
    pub fn new(acceptor: &Acceptor) -> Result<Self, rustls::Error> {
        let tls = UnbufferedServerConnection::new(acceptor.0.clone())?;
        Ok(Self { tls, carried: Vec::new(), waits_since: 0, pending: Vec::new(), ended: None, broken: false })
    }

    /// Whether the handshake is not finished.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What is held of records that are not whole yet (bytes).
    pub fn held_bytes(&self) -> usize {
        self.carried.capacity()
    }

    /// Since when the first of them waits for its end, however much of it comes meanwhile: the time that [`Stream::read`] was told.
    pub fn waits_since(&self) -> Option<u32> {
        (!self.carried.is_empty()).then_some(self.waits_since)
    }

    /// Why nothing more is read of it, if so.
    pub fn ended(&self) -> Option<End> {
        self.ended
    }

    /// Whether something is to be sent even if nothing is written.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Reads what was received at the time `now`, in place; its plaintext is appended to `plain`.
    pub fn read(&mut self, received: &mut [u8], plain: &mut Vec<u8>, now: u32) -> Outcome {
        let mut outcome = Outcome::default();
        if self.ended.is_some() {
            return outcome;
        }
        let was_handshaking = self.is_handshaking();
        if self.carried.is_empty() {
            let used = self.process(received, plain, &mut outcome);
            self.carry(&received[used..], now);
        } else {
            self.make_room(received.len());
            self.carried.extend_from_slice(received);
            let mut carried = std::mem::take(&mut self.carried);
            match self.process(&mut carried, plain, &mut outcome) {
                0 => self.carried = carried,
                used => self.carry(&carried[used..], now),
            }
        }
        if self.carried.len() > TLS_CARRIED_MAX {
            outcome.end = Some(End::Broken);
        }
        if was_handshaking && !self.is_handshaking() {
            let resumed = self.tls.handshake_kind() == Some(HandshakeKind::Resumed);
            outcome.handshake = Some(if resumed { Handshake::Resumed } else { Handshake::Full });
        }
        if outcome.end.is_some() {
            self.ended = outcome.end;
            self.broken = outcome.end == Some(End::Broken);
            self.carried = Vec::new();
        }
        outcome
    }

    /// Keeps an incomplete record.
    fn carry(&mut self, rest: &[u8], now: u32) {
        self.carried = rest.to_vec();
        self.waits_since = now;
    }

    /// Makes room for what came, and in a record for as much again, but for no more than its end: who sends a header alone does
    /// not get all the room that it asks for.
    fn make_room(&mut self, received: usize) {
        let record = match self.carried[..] {
            [_, _, _, high, low, ..] => HEADER + usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        };
        let len = self.carried.len();
        let needed = len + received;
        if needed > self.carried.capacity() {
            let ahead = (2 * needed).min(record.min(TLS_CARRIED_MAX));
            self.carried.reserve_exact(needed.max(ahead) - len);
        }
    }

    /// Has rustls work on `bytes` until it needs more; tells how many of them are done with.
    ///
    /// While a message is incomplete rustls remembers places in what it was shown: it must see the same bytes again.
    fn process(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>, outcome: &mut Outcome) -> usize {
        let mut done = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut bytes[done..]);
            let mut goes_on = true;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.pending),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => outcome.end = Some(End::Closed),
                Ok(_) => goes_on = false,
                Err(_) => {
                    outcome.end = Some(End::Broken);
                    self.take_alert(bytes);
                    return bytes.len();
                }
            }
            done += discard;
            if !goes_on {
                return done;
            }
        }
    }

    /// After an error the alert is all that may still be asked for.
    fn take_alert(&mut self, bytes: &mut [u8]) {
        while self.tls.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(data)) = self.tls.process_tls_records(bytes).state
        {
            encode(data, &mut self.pending);
        }
    }

    /// Encrypts `plain` behind what is pending, and appends it all to `out`. False when no more can be sent, after what is to be
    /// sent of that: rustls ends by itself what its key has encrypted too much of.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        self.take_pending(out);
        if plain.is_empty() || self.broken {
            return plain.is_empty();
        }
        let records = plain.len().div_ceil(PLAINTEXT_MAX);
        // And for the record by which it changes its key.
        let mut room = plain.len() + (records + 4) * RECORD_EXTRA;
        loop {
            self.encode_queued(out);
            let start = out.len();
            out.resize(start + room, 0);
            let traffic = writer(&mut self.tls, &mut self.carried);
            let written = traffic.map(|mut traffic| traffic.encrypt(plain, &mut out[start..]));
            let size = written.as_ref().and_then(|written| written.as_ref().ok().copied());
            out.truncate(start + size.unwrap_or(0));
            match written {
                Some(Ok(_)) => return true,
                Some(Err(EncryptError::InsufficientSize(more))) => room = more.required_size,
                Some(Err(EncryptError::EncryptExhausted)) | None => {
                    self.encode_queued(out);
                    self.broken = true;
                    return false;
                }
            }
        }
    }

    /// Appends what rustls has to say before anything else is encrypted: until then it encrypts nothing.
    fn encode_queued(&mut self, out: &mut Vec<u8>) {
        if !self.tls.wants_write() {
            return;
        }
        loop {
            match self.tls.process_tls_records(&mut self.carried).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }

    /// Appends what is pending to `out`.
    pub fn take_pending(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.pending);
        self.pending = Vec::new();
    }

    /// Makes `close_notify` pending, unless it or an alert was sent: nothing may be written after it.
    pub fn close(&mut self) {
        if self.broken || self.is_handshaking() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.encode_queued(&mut pending);
        self.pending = pending;
        let start = self.pending.len();
        self.pending.resize(start + 2 * RECORD_EXTRA, 0);
        let written = writer(&mut self.tls, &mut self.carried)
            .and_then(|mut traffic| traffic.queue_close_notify(&mut self.pending[start..]).ok());
        self.pending.truncate(start + written.unwrap_or(0));
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("held", &self.held_bytes()).finish_non_exhaustive()
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        out.resize(start + size.required_size, 0);
        if data.encode(&mut out[start..]).is_err() {
            out.truncate(start);
        }
    }
}

/// What encrypts, once the handshake is finished and until the end.
fn writer<'c>(
    tls: &'c mut UnbufferedServerConnection,
    carried: &mut [u8],
) -> Option<WriteTraffic<'c, ServerConnectionData>> {
    match tls.process_tls_records(carried).state {
        Ok(ConnectionState::WriteTraffic(traffic)) => Some(traffic),
        _ => None,
    }
}
