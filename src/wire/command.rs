//! What clients may ask, after decoding: names checked, content borrowed. Knows no encoding.

use super::{ErrorCode, Payload};
use crate::ids::{ConversationId, DeviceName, GroupName, Seq, UserName};
use std::borrow::Cow;

/// One decoded message of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Repeated in the answer; on `message` also the idempotency key. 1 to 64 bytes.
    pub id: Option<Cow<'a, str>>,
    /// What is asked.
    pub command: Command<'a>,
}

/// What comes back for a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expects {
    /// Nothing, unless it is refused.
    Nothing,
    /// One event of a few hundred bytes at most.
    Answer,
    /// One event that may be large.
    Page,
}

impl Request<'_> {
    /// What its sender gets back.
    pub fn expects(&self) -> Expects {
        match self.command {
            Command::Message { .. } if self.id.is_none() => Expects::Nothing,
            Command::Typing { .. } | Command::Received { .. } | Command::Read { .. } => Expects::Nothing,
            Command::Members { .. } | Command::History { .. } | Command::Sync { .. } => Expects::Page,
            Command::Auth { .. }
            | Command::Message { .. }
            | Command::JoinGroup { .. }
            | Command::LeaveGroup { .. }
            | Command::Ping => Expects::Answer,
        }
    }
}

/// How someone proves who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential<'a> {
    /// A JWT.
    Token(Cow<'a, str>),
    /// A bare name, good in `--dev` mode only.
    Username(UserName),
}

/// Whom something is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// One user, on all devices.
    User(UserName),
    /// A group's members.
    Group(GroupName),
    /// Everyone signed in.
    Everyone,
}

/// The commands of the protocol page.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Command<'a> {
    Auth {
        credential: Credential<'a>,
        device: Option<DeviceName>,
    },
    Message {
        target: Target,
        payload: Payload<'a>,
    },
    JoinGroup {
        group: GroupName,
    },
    LeaveGroup {
        group: GroupName,
    },
    Members {
        group: GroupName,
        after: Option<UserName>,
    },
    Typing {
        target: Target,
    },
    History {
        conversation: ConversationId,
        before: Option<Seq>,
        after: Option<Seq>,
        limit: Option<u32>,
    },
    /// Everything a device has missed, in pages.
    Sync {
        /// The newest message held of each conversation; at most [`SYNC_CURSORS_MAX`], each once, in the order of their names.
        ///
        /// [`SYNC_CURSORS_MAX`]: crate::limits::SYNC_CURSORS_MAX
        cursors: Vec<(ConversationId, Seq)>,
        /// Where the page before ended: what its answer said, 1 to [`SYNC_TOKEN_MAX`] bytes.
        ///
        /// [`SYNC_TOKEN_MAX`]: crate::limits::SYNC_TOKEN_MAX
        next: Option<Cow<'a, str>>,
    },
    /// A device has the messages up to `seq`.
    Received {
        conversation: ConversationId,
        seq: Seq,
    },
    /// The user has seen the messages up to `seq`.
    Read {
        conversation: ConversationId,
        seq: Seq,
    },
    Ping,
}

impl Command<'_> {
    /// The command's `type` on the wire, for errors and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth { .. } => "auth",
            Self::Message { .. } => "message",
            Self::JoinGroup { .. } => "joinGroup",
            Self::LeaveGroup { .. } => "leaveGroup",
            Self::Members { .. } => "members",
            Self::Typing { .. } => "typing",
            Self::History { .. } => "history",
            Self::Sync { .. } => "sync",
            Self::Received { .. } => "received",
            Self::Read { .. } => "read",
            Self::Ping => "ping",
        }
    }
}

/// Why a message is not a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// Not this encoding at all: the connection is closed with 1007.
    Malformed,
    /// A command that is refused; the connection lives on.
    Refused {
        /// 400 or 413.
        code: ErrorCode,
        /// What is wrong with it, for its writer.
        reason: &'static str,
        /// The command's `type`, when it was readable (at most 64 bytes are kept).
        command: Option<String>,
        /// The command's `id`, when it was readable.
        id: Option<String>,
    },
}
