//! What shards say to each other about chat. Each kind says what its loss means and who repairs it.

use super::ask::{Ask, Origin};
use super::survey::{SurveyAsk, Synced};
use crate::frame::{Frame, Frames, Topic};
use crate::ids::{GroupName, Seq, SessionId, UserName};
use crate::wire::PayloadKind;

/// What happens to a mail past the mailbox's bound (design D7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailClass {
    /// Typing and presence: dropped and counted; the next one replaces it.
    Ephemeral,
    /// A command or its answer, interest, membership: never dropped. New commands are refused earlier (`Effects::accepts`).
    Kept,
    /// A stored message: spills; past the spill's bound the receiving shard is told to make its sessions `resync`.
    Delivery,
}

/// An answer for a session of the receiving shard.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The session; one already gone is ignored.
    pub session: SessionId,
    /// In its encoding.
    pub frame: Frame,
    /// Whether its command is always answered: only then is one fewer under way.
    pub owed: bool,
}

/// A message to everyone on its way to the shard that runs broadcasts.
#[derive(Clone, Debug)]
pub struct BroadcastAsk {
    /// Who sends it.
    pub origin: Origin,
    /// What its bytes are.
    pub kind: PayloadKind,
    /// The content.
    pub bytes: Vec<u8>,
}

/// How conversations of one shard stand, for a `sync`.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The asker's own number.
    pub sync: u64,
    /// Those of which there is something to say; none: they could not be read.
    pub found: Option<Vec<Synced>>,
}

/// A mail between two shards' rules. From one shard to another it arrives in order.
#[derive(Clone, Debug)]
pub enum Mail {
    /// A command for a conversation at its home. Kept: if it were lost, its sender would wait for an answer
    /// and repair it by sending the same `id` again.
    Ask(Box<Ask<'static>>),
    /// An answer. Kept: if it were lost, its sender would ask again.
    Frame(Answer),
    /// A private message for the sessions of `to` and `from` on this shard, except the sending one, which has its ack.
    /// Lost without an ack: the receiver's `resync`. With an ack it is kept.
    Private {
        /// The receiver, when at home here.
        to: Option<UserName>,
        /// The sender, when at home here: the other devices get it too.
        from: Option<UserName>,
        /// The sending session.
        sender: SessionId,
        /// The message.
        frames: Frames,
        /// The sending session's ack, when it is at home here.
        ack: Option<Frame>,
    },
    /// A group message for the members online on this shard. Lost without an ack: `resync`. With an ack it is kept.
    Group {
        /// The group.
        group: GroupName,
        /// The message's number: those who joined at or after it are skipped.
        seq: Seq,
        /// The sending session.
        sender: SessionId,
        /// The message.
        frames: Frames,
        /// The sending session's ack, when it is at home here.
        ack: Option<Frame>,
    },
    /// Somebody types to a user of this shard, or has read a conversation. Ephemeral: the next one replaces it.
    Notice {
        /// The user.
        to: UserName,
        /// What it replaces.
        topic: Topic,
        /// What to tell.
        frames: Frames,
    },
    /// Somebody types in a group, has read it, joined or left it. Ephemeral: nobody repairs it, `members` tells the state.
    GroupNotice {
        /// The group.
        group: GroupName,
        /// Whom it is about: its own sessions are not told.
        about: UserName,
        /// What it replaces.
        topic: Topic,
        /// What to tell.
        frames: Frames,
    },
    /// A user of this shard is a member of a group from messages after `since` on. Kept: lost, the user would get
    /// nothing until the next `joinGroup`. Answered by `Interest`.
    Joined {
        /// The group.
        group: GroupName,
        /// The user.
        user: UserName,
        /// The group's last message before.
        since: Seq,
        /// For the session that asked; none if the shard learned it by itself.
        answer: Option<Answer>,
    },
    /// A `joinGroup` was refused. Kept: lost, the user could join fewer groups.
    NotJoined {
        /// The user.
        user: UserName,
        /// For the session that asked.
        answer: Answer,
    },
    /// A user of this shard has begun a conversation or made a group. Kept: lost, the user could begin one more.
    Begun {
        /// The user.
        user: UserName,
    },
    /// A user of this shard has left a group. Kept: lost, the user would go on getting its messages until `leaveGroup`.
    Left {
        /// The group.
        group: GroupName,
        /// The user.
        user: UserName,
        /// For the session that asked, if any did.
        answer: Option<Answer>,
    },
    /// A user of this shard has a private conversation more. Kept: lost, the user's `sync` would leave it out until
    /// the user's conversations are read again.
    Met {
        /// The user.
        user: UserName,
        /// The other side.
        other: UserName,
    },
    /// How do these conversations stand for a user of the sending shard? Kept, as `Ask`: answered by `Surveyed`.
    Survey(Box<SurveyAsk>),
    /// So they stand. Kept, see above.
    Surveyed(Box<Surveyed>),
    /// Whether the sending shard has sessions of a group's members. Kept: lost, they would get nothing, or a shard
    /// without members would get everything.
    Interest {
        /// The group.
        group: GroupName,
        /// Whether there is one.
        online: bool,
        /// It answers one `Joined`.
        answers_join: bool,
    },
    /// A message to everyone, for the shard that runs them. Kept, as `Ask`.
    Broadcast(Box<BroadcastAsk>),
    /// Send this to every session. Kept: it is answered by `BroadcastDone`, without which the next would never start.
    BroadcastRun {
        /// The session that sent it.
        sender: SessionId,
        /// The message.
        frames: Frames,
    },
    /// Every session of the sending shard has it. Kept, see above.
    BroadcastDone,
}

const _: () = assert!(size_of::<Mail>() <= 128);

impl Mail {
    /// What may happen to it when the receiver is slow.
    pub fn class(&self) -> MailClass {
        match self {
            Self::Private { ack: None, .. } | Self::Group { ack: None, .. } => MailClass::Delivery,
            Self::Notice { .. } | Self::GroupNotice { .. } => MailClass::Ephemeral,
            Self::Private { ack: Some(_), .. }
            | Self::Group { ack: Some(_), .. }
            | Self::Ask(_)
            | Self::Frame(_)
            | Self::Joined { .. }
            | Self::NotJoined { .. }
            | Self::Begun { .. }
            | Self::Left { .. }
            | Self::Met { .. }
            | Self::Survey(_)
            | Self::Surveyed(_)
            | Self::Interest { .. }
            | Self::Broadcast(_)
            | Self::BroadcastRun { .. }
            | Self::BroadcastDone => MailClass::Kept,
        }
    }
}
