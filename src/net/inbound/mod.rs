//! Bytes from a client to whole messages: unmasks, assembles, checks (RFC 6455 section 5). Knows no socket and no message's meaning.

mod assembly;
mod error;
#[cfg(test)]
mod tests;

pub use error::ProtocolError;

use super::frame::{Header, Opcode};
use super::{mask, utf8};
use crate::limits::{FRAGMENT_SIZE, FRAGMENTS_MIN};
use assembly::Assembly;

/// What one connection may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message (bytes, all its fragments together); that a compressed one is no longer is for who inflates it.
    pub message_max: usize,
    /// The most frames that one message comes in; 0 for as many as the longest has pieces of [`FRAGMENT_SIZE`].
    pub fragments_max: usize,
    /// Whether messages may be compressed: permessage-deflate was agreed on.
    pub deflate: bool,
}

impl Limits {
    /// Frames that one message may come in: empty ones cost no memory, but work without an end.
    fn fragments_max(&self) -> usize {
        match self.fragments_max {
            0 => (self.message_max / FRAGMENT_SIZE).max(FRAGMENTS_MIN),
            most => most,
        }
    }

    /// A message's announced length, if it is allowed; asked before anything is reserved for it.
    #[inline]
    fn check(&self, length: u64, compressed: bool) -> Result<(), ProtocolError> {
        if compressed && !self.deflate {
            return Err(ProtocolError::RESERVED_BITS);
        }
        if length > self.most(compressed) as u64 { Err(ProtocolError::TOO_BIG) } else { Ok(()) }
    }

    /// The most that a message takes as it comes. To what it cannot make smaller a sensible compressor adds less than this.
    fn most(&self, compressed: bool) -> usize {
        let spare = if compressed { self.message_max / 4 + 64 } else { 0 };
        self.message_max.saturating_add(spare)
    }
}

/// What a client has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received<'b> {
    /// A whole message, unmasked; if `text`, it is valid UTF-8.
    Message {
        /// Text, else binary.
        text: bool,
        /// What it says.
        payload: &'b [u8],
    },
    /// A whole message as it was compressed, unmasked.
    Compressed {
        /// Text, not yet known to be valid, else binary.
        text: bool,
        /// What inflates to what it says.
        payload: &'b [u8],
    },
    /// To be answered with a pong of the same payload.
    Ping(&'b [u8]),
    /// A sign of life.
    Pong,
    /// The client's last frame: nothing after it may be read.
    Close {
        /// Why: a code that may be sent, or none given.
        code: Option<u16>,
        /// For people.
        reason: &'b str,
    },
}

/// One connection's half-received frame or message; with none, which is nearly always, eight bytes.
#[derive(Debug, Default)]
pub struct Inbound(Option<Box<Assembly>>);

const _: () = assert!(size_of::<Inbound>() == 8);

impl Inbound {
    /// Takes the next message or control frame out of `buf[*at..]`, moving `at` past what it used. `None` when all of `buf` is used;
    /// a part of a frame at its end is kept here.
    ///
    /// A frame that lies whole in `buf` is unmasked there and lent from there. What had to be put together is lent from here, and
    /// freed by the next call, so call until `None`. After an error or a close the rest is not to be read: do not call again.
    ///
    /// # Errors
    /// [`ProtocolError`]: the code and reason to close with.
    #[inline]
    pub fn next<'b>(
        &'b mut self,
        buf: &'b mut [u8],
        at: &mut usize,
        limits: &Limits,
    ) -> Result<Option<Received<'b>>, ProtocolError> {
        if self.0.as_mut().is_some_and(|assembly| assembly.take_back()) {
            self.0 = None;
        }
        if self.0.is_none() {
            let rest = &buf[*at..];
            if rest.is_empty() {
                return Ok(None);
            }
            if let Some(header) = Header::parse(rest)?
                && is_whole(&header, rest.len() - header.size)
            {
                limits.check(header.payload, header.compressed)?;
                *at += header.size;
                return receive_whole(&header, buf, at).map(Some);
            }
        }
        self.0.get_or_insert_default().next(buf, at, limits)
    }

    /// Notes the time, if something is half-received whose beginning has not been noted.
    pub fn note_begun(&mut self, now: u32) {
        if let Some(assembly) = &mut self.0 {
            assembly.since.get_or_insert(now);
        }
    }

    /// When what is half-received began.
    pub fn begun(&self) -> Option<u32> {
        self.0.as_ref()?.since
    }

    /// Bytes that have come for what is half-received, headers included, before the buffer at hand.
    #[inline]
    pub fn arrived(&self) -> usize {
        self.0.as_ref().map_or(0, |assembly| assembly.arrived)
    }

    /// Notes that so many bytes have come for what is half-received.
    pub fn note_arrived(&mut self, bytes: usize) {
        if let Some(assembly) = &mut self.0 {
            assembly.arrived += bytes;
        }
    }

    /// Memory that the half-received message takes here (bytes).
    pub fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |assembly| assembly.held_bytes())
    }

    /// Whether nothing is half-received; a message that `next` has lent does not count.
    pub fn is_idle(&self) -> bool {
        self.0.as_ref().is_none_or(|assembly| assembly.is_empty())
    }
}

/// Whether a frame is all there, and all of its message; `available` bytes follow the header.
#[inline]
fn is_whole(header: &Header, available: usize) -> bool {
    header.fin && header.opcode != Opcode::Continue && header.payload <= available as u64
}

/// Lends what a whole frame says; its payload starts at `at`.
#[inline]
fn receive_whole<'b>(
    header: &Header,
    buf: &'b mut [u8],
    at: &mut usize,
) -> Result<Received<'b>, ProtocolError> {
    let end = *at + header.payload as usize;
    let payload = &mut buf[*at..end];
    *at = end;
    let ascii = mask::unmask(payload, header.mask, 0);
    if header.compressed {
        return Ok(Received::Compressed { text: header.opcode == Opcode::Text, payload });
    }
    match header.opcode {
        Opcode::Text if !ascii && !utf8::is_utf8(payload) => Err(ProtocolError::NOT_UTF8),
        Opcode::Text => Ok(Received::Message { text: true, payload }),
        Opcode::Binary => Ok(Received::Message { text: false, payload }),
        control => receive_control(control, payload),
    }
}

/// What a control frame says.
fn receive_control(opcode: Opcode, payload: &[u8]) -> Result<Received<'_>, ProtocolError> {
    match opcode {
        Opcode::Ping => Ok(Received::Ping(payload)),
        Opcode::Close => receive_close(payload),
        _ => Ok(Received::Pong),
    }
}

fn receive_close(payload: &[u8]) -> Result<Received<'_>, ProtocolError> {
    match payload {
        [] => Ok(Received::Close { code: None, reason: "" }),
        [_] => Err(ProtocolError::CLOSE_LENGTH),
        &[high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !may_be_sent(code) {
                return Err(ProtocolError::CLOSE_CODE);
            }
            let reason = str::from_utf8(reason).map_err(|_| ProtocolError::NOT_UTF8)?;
            Ok(Received::Close { code: Some(code), reason })
        }
    }
}

/// Whether a close code may stand in a frame: those of RFC 6455 section 7.4.1 and of its registry that are not only for local use
/// (1004, 1005, 1006 and 1015 are), and the ranges for libraries and applications.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
