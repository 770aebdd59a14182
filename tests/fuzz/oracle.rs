//! What a stream of frames says: to our decoder, in pieces, and to tungstenite's `WebSocketContext`. Knows no message's meaning.
//!
//! Where they differ, on purpose:
//! 1. A close frame with a code that may not be sent: tungstenite hands out a close of its own, 1002; here it is the error 1002.
//!    1014 (bad gateway) is in the registry and accepted here; tungstenite does not know it.
//! 2. A length of 2^63 or more: 1002 here, as the RFC forbids it; 1009 there, as any length over the limit.
//! 3. When: here a frame is judged by its header and text by its first impossible byte; tungstenite judges whole frames. So on a stream
//!    that ends within a faulty frame tungstenite still waits. It also looks at a frame's size before its opcode and bits, so a frame
//!    with both faults gets another code.
//! 4. A close frame whose code and reason are both wrong: 1002 here, 1007 there.
//! 5. Frames without an end: 1009 here, once there are more than any sensible sender makes.

use longwire::net::inbound::{Inbound, Limits, ProtocolError as Fault, Received};
use std::io::{Read, Write};
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Message, Role, WebSocketConfig, WebSocketContext};

/// Memory that a half-received message may take beside its bytes.
const OWN_MEMORY: usize = 512;

/// What came out of a stream.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A message.
    Text(Vec<u8>),
    /// A message.
    Binary(Vec<u8>),
    /// A message as it was compressed, and whether it is to be text.
    Compressed(bool, Vec<u8>),
    /// To be answered.
    Ping(Vec<u8>),
    /// An answer.
    Pong,
    /// The end, with a code and a reason.
    Close(Option<u16>, String),
}

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum End {
    /// All bytes are used; more may follow.
    Waits,
    /// By a close frame.
    Closed,
    /// By an error with this close code.
    Fails(u16),
    /// By a message in too many frames: difference 5.
    Endless,
}

/// All of it.
pub type Outcome = (Vec<Event>, End);

/// Pieces of the given sizes, over and over, until `bytes` is used up.
pub(crate) fn pieces<'b>(bytes: &'b [u8], sizes: &'b [usize]) -> impl Iterator<Item = &'b [u8]> {
    let mut rest = bytes;
    sizes.iter().cycle().map_while(move |size| {
        let piece = rest.split_off(..(*size).min(rest.len()))?;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What our decoder makes of a stream that comes in pieces; difference 1 is made up for.
///
/// # Panics
/// When it says of text that it is UTF-8 and it is not, holds more memory than it may, or leaves bytes unread.
pub fn ours(bytes: &[u8], sizes: &[usize], limits: &Limits) -> Outcome {
    let most = limits.message_max + if limits.deflate { limits.message_max / 4 + 64 } else { 0 } + OWN_MEMORY;
    let mut inbound = Inbound::default();
    let mut events = Vec::new();
    for piece in pieces(bytes, sizes) {
        let (mut piece, mut at) = (piece.to_vec(), 0);
        loop {
            let event = match inbound.next(&mut piece, &mut at, limits) {
                Ok(Some(Received::Message { text: true, payload })) => {
                    Event::Text(str::from_utf8(payload).expect("text is UTF-8").into())
                }
                Ok(Some(Received::Message { text: false, payload })) => Event::Binary(payload.into()),
                Ok(Some(Received::Compressed { text, payload })) => {
                    assert!(limits.deflate, "nobody agreed on compression");
                    Event::Compressed(text, payload.into())
                }
                Ok(Some(Received::Ping(payload))) => Event::Ping(payload.into()),
                Ok(Some(Received::Pong)) => Event::Pong,
                Ok(Some(Received::Close { code: Some(1014), .. })) => return (events, End::Fails(1002)),
                Ok(Some(Received::Close { code, reason })) => {
                    events.push(Event::Close(code, reason.into()));
                    return (events, End::Closed);
                }
                Ok(None) => break,
                Err(error) if error == Fault::TOO_MANY_FRAGMENTS => return (events, End::Endless),
                Err(error) => return (events, End::Fails(error.code.number())),
            };
            events.push(event);
            assert!(inbound.held_bytes() <= most, "holds {} with {limits:?}", inbound.held_bytes());
        }
        assert_eq!(at, piece.len());
        assert!(inbound.held_bytes() <= most, "holds {} with {limits:?}", inbound.held_bytes());
    }
    (events, End::Waits)
}

/// A peer that sends what is left in pieces, and reads everything.
struct Peer<'b> {
    left: &'b [u8],
    piece: usize,
}

impl Read for Peer<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let size = self.piece.min(buf.len());
        self.left.read(&mut buf[..size])
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of a stream that comes in pieces of a size.
///
/// # Panics
/// On an error that a stream of bytes alone cannot cause.
pub fn theirs(bytes: &[u8], piece: usize, limit: usize) -> Outcome {
    let config = WebSocketConfig::default()
        .read_buffer_size(64)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut peer = Peer { left: bytes, piece };
    let mut events = Vec::new();
    loop {
        let event = match context.read(&mut peer) {
            Ok(Message::Text(text)) => Event::Text(text.as_bytes().into()),
            Ok(Message::Binary(payload)) => Event::Binary(payload.into()),
            Ok(Message::Ping(payload)) => Event::Ping(payload.into()),
            Ok(Message::Pong(_)) => Event::Pong,
            Ok(Message::Close(frame)) => {
                let (code, reason) = frame.map_or((None, String::new()), |frame| {
                    (Some(frame.code.into()), frame.reason.as_str().to_owned())
                });
                // Difference 1.
                if (code, reason.as_str()) == (Some(1002), "Protocol violation") {
                    return (events, End::Fails(1002));
                }
                events.push(Event::Close(code, reason));
                return (events, End::Closed);
            }
            Ok(Message::Frame(frame)) => panic!("never read: {frame}"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (events, End::Waits),
            Err(Error::Protocol(_)) => return (events, End::Fails(1002)),
            Err(Error::Utf8(_)) => return (events, End::Fails(1007)),
            Err(Error::Capacity(_)) => return (events, End::Fails(1009)),
            Err(other) => panic!("{other}"),
        };
        events.push(event);
    }
}
