//! What a client may do wrong in RFC 6455, with the code its connection is closed with. Knows nothing else.

use crate::wire::CloseCode;

/// A violation after which the connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProtocolError {
    /// The code to close with.
    pub code: CloseCode,
    /// For people.
    pub reason: &'static str,
}

impl ProtocolError {
    /// A reserved bit of the header is set, and no extension was agreed on that uses it.
    pub const RESERVED_BITS: Self = Self::violation("reserved bits are set");
    /// An opcode without a meaning.
    pub const OPCODE: Self = Self::violation("reserved opcode");
    /// A client must mask every frame.
    pub const UNMASKED: Self = Self::violation("frame is not masked");
    /// Close, ping and pong have at most 125 bytes and are never fragmented.
    pub const CONTROL: Self = Self::violation("control frame is too long or fragmented");
    /// The highest bit of a length must be 0.
    pub const LENGTH: Self = Self::violation("frame length is out of range");
    /// A continuation where no message was begun.
    pub const CONTINUATION: Self = Self::violation("continuation of nothing");
    /// A new message where a continuation was due.
    pub const INTERLEAVED: Self = Self::violation("message within a message");
    /// A close frame with half a code.
    pub const CLOSE_LENGTH: Self = Self::violation("close frame of one byte");
    /// A close code that nobody may send.
    pub const CLOSE_CODE: Self = Self::violation("close code may not be sent");
    /// Text, or the reason of a close frame, that is not UTF-8.
    pub const NOT_UTF8: Self = Self { code: CloseCode::Invalid, reason: "text is not UTF-8" };
    /// A compressed message that does not inflate.
    pub const NOT_DEFLATED: Self = Self { code: CloseCode::Invalid, reason: "message does not inflate" };
    /// A message over the limit.
    pub const TOO_BIG: Self = Self { code: CloseCode::TooBig, reason: "message is over the size limit" };

    /// A message in too many frames.
    pub const TOO_MANY_FRAGMENTS: Self =
        Self { code: CloseCode::TooBig, reason: "message has too many fragments" };

    const fn violation(reason: &'static str) -> Self {
        Self { code: CloseCode::Protocol, reason }
    }
}
