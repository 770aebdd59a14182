//! Commands and events, and how they are encoded. Knows no rules, shards, sockets or logs.

pub mod codes;
pub mod command;
mod cursors;
pub mod event;
pub mod json;
pub mod payload;
pub mod proto;
mod reasons;
pub mod size;
pub mod token;
mod value;

pub use crate::durability::Durability;
pub use codes::{CloseCode, ErrorCode};
pub use command::{Command, Credential, DecodeError, Expects, Request, Target};
pub use event::{Event, Limits, StoredMessage, SyncedConversation};
pub use payload::{Payload, PayloadKind};

/// How one connection's messages are written, chosen by `Sec-WebSocket-Protocol`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// `longwire.json.v1`: text frames, one JSON object each.
    #[default]
    Json,
    /// `longwire.proto.v1`: binary frames, one Protobuf frame message each.
    Proto,
}

const _: () = assert!(Encoding::ALL.len() == crate::frame::ENCODINGS);

impl Encoding {
    /// Every encoding, in the order of `Frames`.
    pub const ALL: [Self; 2] = [Self::Json, Self::Proto];

    /// Its place in `Frames`.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The subprotocol token that selects it.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "longwire.json.v1",
            Self::Proto => "longwire.proto.v1",
        }
    }

    /// Whether its messages are text frames (else binary).
    pub fn is_text(self) -> bool {
        match self {
            Self::Json => true,
            Self::Proto => false,
        }
    }

    /// Reads one message.
    ///
    /// # Errors
    /// [`DecodeError`]: either the connection's end (not this encoding at all) or one refused command.
    pub fn decode(self, message: &[u8]) -> Result<Request<'_>, DecodeError> {
        match self {
            Self::Json => json::decode(message),
            Self::Proto => proto::decode(message),
        }
    }

    /// Appends one event to `out`.
    pub fn encode(self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::encode(event, out),
            Self::Proto => proto::encode(event, out),
        }
    }
}
