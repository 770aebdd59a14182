//! What the server says, before encoding. Knows no encoding.

use super::{ErrorCode, Payload, Target};
use crate::durability::Durability;
use crate::ids::{ConversationId, GroupName, Millis, Seq, SessionId, UserName};

/// The limits told to a client when it signs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest payload of a message, in bytes (`message.size_limit`).
    pub message_size: u32,
    /// The largest WebSocket message, in bytes (`websocket.message_size_limit`).
    pub websocket_message_size: u32,
}

/// A message as the log keeps it, for `history` and `sync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct StoredMessage<'a> {
    pub from: &'a UserName,
    /// Never [`Target::Everyone`].
    pub target: &'a Target,
    pub payload: Payload<'a>,
    pub id: Option<&'a str>,
    pub conversation: &'a ConversationId,
    pub seq: Seq,
    pub prev: Seq,
    pub time: Millis,
}

/// How one conversation stands, for `sync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct SyncedConversation<'a> {
    pub conversation: &'a ConversationId,
    /// The newest message's number, 0 if there is none.
    pub head: Seq,
    /// The lowest seq kept, 0 if there is none.
    pub first: Seq,
    /// Up to where the user has read, on any device.
    pub read: Seq,
    /// Others' messages behind that.
    pub unread: u32,
    /// In growing `seq`.
    pub messages: &'a [StoredMessage<'a>],
    /// Whether there are more that the device lacks.
    pub more: bool,
}

/// The events of the protocol page; `id` repeats the command's.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Event<'a> {
    Authenticated {
        id: Option<&'a str>,
        user: &'a UserName,
        session: SessionId,
        /// Milliseconds between the server's pings.
        heartbeat: u64,
        time: Millis,
        limits: Limits,
    },
    Message(StoredMessage<'a>),
    /// A message to everyone: never stored.
    Broadcast {
        from: &'a UserName,
        payload: Payload<'a>,
        time: Millis,
    },
    Ack {
        id: &'a str,
        conversation: &'a ConversationId,
        seq: Seq,
        prev: Seq,
        time: Millis,
        /// What was proved before this was sent.
        durability: Durability,
        duplicate: bool,
    },
    /// The ack of a message to everyone: durability `none`.
    BroadcastAck {
        id: &'a str,
        time: Millis,
    },
    Joined {
        id: Option<&'a str>,
        group: &'a GroupName,
        members: u32,
        seq: Seq,
    },
    Left {
        id: Option<&'a str>,
        group: &'a GroupName,
    },
    GroupEvent {
        group: &'a GroupName,
        joined: bool,
        user: &'a UserName,
        members: u32,
    },
    Members {
        id: Option<&'a str>,
        group: &'a GroupName,
        users: &'a [UserName],
        more: bool,
    },
    History {
        id: Option<&'a str>,
        conversation: &'a ConversationId,
        messages: &'a [StoredMessage<'a>],
        first: Seq,
        more: bool,
    },
    Sync {
        id: Option<&'a str>,
        conversations: &'a [SyncedConversation<'a>],
        /// Asks for the next page; none: this was the last.
        next: Option<&'a str>,
    },
    /// How far the other side has got; none: nowhere yet.
    Receipt {
        conversation: &'a ConversationId,
        from: &'a UserName,
        received: Option<Seq>,
        read: Option<Seq>,
    },
    Typing {
        from: &'a UserName,
        target: &'a Target,
    },
    Pong {
        id: Option<&'a str>,
        time: Millis,
    },
    Resync,
    /// The session's token runs out in `left` milliseconds.
    Expiring {
        left: u64,
    },
    Error {
        code: ErrorCode,
        reason: &'a str,
        command: Option<&'a str>,
        id: Option<&'a str>,
        retry_after: Option<u64>,
    },
}

impl<'a> Event<'a> {
    /// The answer to what came too fast: try again in `wait` ms.
    pub fn too_fast(wait: u64, command: Option<&'a str>, id: Option<&'a str>) -> Self {
        let (code, reason) = (ErrorCode::TooMany, "too fast; try again after retryAfter");
        Self::Error { code, reason, command, id, retry_after: Some(wait) }
    }
}
