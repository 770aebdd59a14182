//! What a session asks of a conversation, on its way to the conversation's home. Knows no encoding.

use crate::ids::{CommandId, ConversationId, SessionId, UserName};
use crate::view::{Cursor, Range};
use crate::wire::{Encoding, PayloadKind, Target};
use std::borrow::Cow;

/// Who asks, and how the answer finds back.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The asking session; its shard is the home of its user.
    pub session: SessionId,
    /// How its answer is written.
    pub encoding: Encoding,
    /// Its user.
    pub user: UserName,
    /// The command's `id`, repeated in the answer.
    pub id: Option<CommandId>,
    /// How long its user has to wait before beginning another conversation (ms).
    pub wait: u32,
}

/// A command for a conversation: borrowed where it was decoded, owned once it is mailed or has to wait.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Who asks.
    pub origin: Origin,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// What.
    pub what: What<'a>,
}

/// The commands that only a conversation's home can answer.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum What<'a> {
    Message {
        target: Target,
        kind: PayloadKind,
        bytes: Cow<'a, [u8]>,
    },
    Join,
    Leave,
    Members {
        after: Option<UserName>,
    },
    /// To a group: a private one needs no sequencer.
    Typing {
        target: Target,
    },
    History {
        range: Range,
    },
    /// `received` or `read`.
    Cursor {
        to: Cursor,
        command: &'static str,
    },
}

impl What<'_> {
    /// The command's `type` on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Join => "joinGroup",
            Self::Leave => "leaveGroup",
            Self::Members { .. } => "members",
            Self::Typing { .. } => "typing",
            Self::History { .. } => "history",
            Self::Cursor { command, .. } => command,
        }
    }
}

impl Ask<'_> {
    /// Copies what was borrowed.
    pub fn into_owned(self) -> Ask<'static> {
        let what = match self.what {
            What::Message { target, kind, bytes } => {
                What::Message { target, kind, bytes: Cow::Owned(bytes.into_owned()) }
            }
            What::Join => What::Join,
            What::Leave => What::Leave,
            What::Members { after } => What::Members { after },
            What::Typing { target } => What::Typing { target },
            What::History { range } => What::History { range },
            What::Cursor { to, command } => What::Cursor { to, command },
        };
        Ask { origin: self.origin, conversation: self.conversation, what }
    }

    /// What it costs while it waits (bytes).
    pub fn size(&self) -> usize {
        let content = match &self.what {
            What::Message { bytes, .. } => bytes.len(),
            _ => 0,
        };
        size_of::<Self>() + content
    }
}
