//! The client's side of TLS, on bytes that others send and receive: a connection at rest holds no buffer. Knows no socket and no frame.
use super::End;
use crate::limits::TLS_CARRIED_BYTES;
use crate::tls::Terms;
use rustls::HandshakeKind;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};

/// A record's plaintext at most, and what a record takes beside it at most, of all ciphers (bytes).
const PLAINTEXT_MAX: usize = 16 * 1024;
const RECORD_EXTRA: usize = 32;

/// A thread's connections that speak TLS.
pub(super) struct Tls {
    terms: Terms,
    /// By connection; nothing where there is none.
    streams: Vec<Option<Box<Stream>>>,
    /// Ciphertext on its way out, plaintext on its way in.
    out: Vec<u8>,
    plain: Vec<u8>,
}

/// One connection.
struct Stream {
    tls: UnbufferedClientConnection,
    /// Received, not understood yet.
    carried: Vec<u8>,
    /// To be encrypted once the handshake is done.
    held: Vec<u8>,
}

/// What came of received bytes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    /// How the handshake was done, if it was by these.
    pub(super) handshake: Option<HandshakeKind>,
    /// The server sends nothing more.
    pub(super) closed: bool,
}

impl Tls {
    pub(super) fn new(terms: Terms, connections: usize) -> Self {
        let mut streams = Vec::new();
        streams.resize_with(connections, || None);
        Self { terms, streams, out: Vec::new(), plain: Vec::new() }
    }

    /// Begins with a connection; gives what is to be sent.
    pub(super) fn open(&mut self, at: usize) -> Result<&[u8], End> {
        let Terms { config, name } = self.terms.clone();
        let tls = UnbufferedClientConnection::new(config, name)?;
        let mut stream = Stream { tls, carried: Vec::new(), held: Vec::new() };
        self.out.clear();
        stream.process(&mut [], &mut self.plain, &mut self.out)?;
        self.streams[at] = Some(Box::new(stream));
        Ok(&self.out)
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, at: usize) {
        self.streams[at] = None;
    }

    /// What is to be sent for `plain`: nothing yet while hands are being shaken.
    pub(super) fn write(&mut self, at: usize, plain: &[u8]) -> Result<&[u8], End> {
        self.out.clear();
        if let Some(stream) = &mut self.streams[at] {
            stream.write(plain, &mut self.out)?;
        }
        Ok(&self.out)
    }

    /// Takes what was received, which is decrypted where it lies; the plaintext is in `plain` then, and what is to be sent in `out`.
    pub(super) fn read(
        &mut self,
        at: usize,
        received: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Result<(Read, &[u8]), End> {
        self.out.clear();
        let Some(stream) = &mut self.streams[at] else { return Ok((Read::default(), &[])) };
        let read = stream.read(received, plain, &mut self.out)?;
        Ok((read, &self.out))
    }

    /// A buffer for plaintext, to be put back.
    pub(super) fn lend(&mut self) -> Vec<u8> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        plain
    }

    /// Puts it back.
    pub(super) fn put_back(&mut self, plain: Vec<u8>) {
        self.plain = plain;
    }
}

impl Stream {
    fn read(&mut self, received: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Read, End> {
        let shaking = self.tls.is_handshaking();
        // While a message is incomplete rustls remembers places in what it was shown: it must see the same bytes again.
        let closed = if self.carried.is_empty() {
            let (used, closed) = self.process(received, plain, out)?;
            self.carried = received[used..].to_vec();
            closed
        } else {
            let mut carried = std::mem::take(&mut self.carried);
            carried.extend_from_slice(received);
            let (used, closed) = self.process(&mut carried, plain, out)?;
            self.carried = if used == 0 { carried } else { carried[used..].to_vec() };
            closed
        };
        if self.carried.len() > TLS_CARRIED_BYTES {
            return Err(End::Tls("an endless record".into()));
        }
        let done = shaking && !self.tls.is_handshaking();
        if done {
            let held = std::mem::take(&mut self.held);
            self.write(&held, out)?;
        }
        Ok(Read { handshake: if done { self.tls.handshake_kind() } else { None }, closed })
    }

    /// Has rustls work on `bytes` until it needs more: how many of them are done with, and whether the server has closed.
    fn process(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), End> {
        let (mut done, mut closed) = (0, false);
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut bytes[done..]);
            let mut goes_on = true;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, out)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => closed = true,
                _ => goes_on = false,
            }
            done += discard;
            if !goes_on {
                return Ok((done, closed));
            }
        }
    }

    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
        if self.tls.is_handshaking() {
            self.held.extend_from_slice(plain);
            return Ok(());
        }
        if plain.is_empty() {
            return Ok(());
        }
        let start = out.len();
        let records = plain.len().div_ceil(PLAINTEXT_MAX);
        // And for the record by which it changes its key.
        let mut room = plain.len() + (records + 4) * RECORD_EXTRA;
        loop {
            out.resize(start + room, 0);
            let Ok(ConnectionState::WriteTraffic(mut traffic)) =
                self.tls.process_tls_records(&mut self.carried).state
            else {
                return Err(End::Tls("it takes nothing more".into()));
            };
            match traffic.encrypt(plain, &mut out[start..]) {
                Ok(size) => {
                    out.truncate(start + size);
                    return Ok(());
                }
                Err(EncryptError::InsufficientSize(more)) => room = more.required_size,
                Err(EncryptError::EncryptExhausted) => return Err(End::Tls("its key is worn out".into())),
            }
        }
    }
}

fn encode(mut data: EncodeTlsData<'_, ClientConnectionData>, out: &mut Vec<u8>) -> Result<(), End> {
    let start = out.len();
    let size = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        _ => return Ok(()),
    };
    out.resize(start + size, 0);
    let size = data.encode(&mut out[start..]).map_err(|error| End::Tls(error.to_string()))?;
    out.truncate(start + size);
    Ok(())
}

impl From<rustls::Error> for End {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}
