//! What is committed goes to everyone it is for: encoded once, one mail per shard. Knows no log and no rights.

use super::conversation::Kind;
use super::mail::Mail;
use super::{Effects, Rules};
use crate::frame::{Class, Frame, Frames, Topic};
use crate::ids::{GroupName, Seq, SessionId, ShardId, UserName};
use crate::log::MessageRecord;
use crate::metrics::Counter;
use crate::wire::{Event, Payload, StoredMessage, Target};

/// A record as the wire shows it.
pub(super) fn stored(record: &MessageRecord) -> StoredMessage<'_> {
    StoredMessage {
        from: &record.from,
        target: &record.target,
        payload: Payload { kind: record.kind, bytes: &record.bytes },
        id: record.id.as_deref(),
        conversation: &record.conversation,
        seq: record.seq,
        prev: record.prev,
        time: record.time,
    }
}

impl Rules {
    /// Sends a committed message to everyone it is for: encoded once, one mail per shard.
    pub(super) fn publish<E: Effects>(
        &mut self,
        slot: u32,
        record: &MessageRecord,
        sender: SessionId,
        ack: Option<Frame>,
        fx: &mut E,
    ) {
        let frames = fx.encode(&Event::Message(stored(record)));
        match (self.conversations.at(slot).map(|at| &at.kind), &record.target) {
            (Some(&Kind::Private(homes)), Target::User(to)) => {
                if record.prev == Seq(0) {
                    self.met(&record.conversation, fx);
                }
                self.publish_private(record, to, homes, sender, &frames, ack, fx);
            }
            (Some(Kind::Group(_)), Target::Group(group)) => {
                self.publish_group(group, record.seq, sender, &frames, ack, fx);
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn publish_private<E: Effects>(
        &mut self,
        record: &MessageRecord,
        to: &UserName,
        homes: [ShardId; 2],
        sender: SessionId,
        frames: &Frames,
        ack: Option<Frame>,
        fx: &mut E,
    ) {
        let from = Some(&record.from);
        let to = Some(to).filter(|to| **to != record.from);
        let other = if homes[0] == sender.shard { homes[1] } else { homes[0] };
        if other == sender.shard {
            return self.private_to(other, to, from, sender, frames, ack, fx);
        }
        self.private_to(other, to, None, sender, frames, None, fx);
        self.private_to(sender.shard, None, from, sender, frames, ack, fx);
    }

    #[allow(clippy::too_many_arguments)]
    fn private_to<E: Effects>(
        &mut self,
        shard: ShardId,
        to: Option<&UserName>,
        from: Option<&UserName>,
        sender: SessionId,
        frames: &Frames,
        ack: Option<Frame>,
        fx: &mut E,
    ) {
        if shard == self.config.shard {
            return self.private_here(to, from, sender, frames, ack.as_ref(), fx);
        }
        let (to, from, frames) = (to.cloned(), from.cloned(), frames.clone());
        fx.mail(shard, Mail::Private { to, from, sender, frames, ack });
    }

    /// A private message for sessions of this shard.
    pub(super) fn private_here<E: Effects>(
        &mut self,
        to: Option<&UserName>,
        from: Option<&UserName>,
        sender: SessionId,
        frames: &Frames,
        ack: Option<&Frame>,
        fx: &mut E,
    ) {
        let sending = self.people.session(sender).map(|session| session.conn);
        if let (Some(conn), Some(ack)) = (sending, ack) {
            fx.send(conn, ack, Class::Reply);
        }
        for user in [to, from].into_iter().flatten() {
            for _ in 0..self.people.send(user, sending, frames, Class::Stored, fx) {
                fx.count(Counter::Delivered);
            }
        }
    }

    /// Sends a committed message to every shard with members online: one mail each, the ack in the sender's.
    fn publish_group<E: Effects>(
        &mut self,
        group: &GroupName,
        seq: Seq,
        sender: SessionId,
        frames: &Frames,
        mut ack: Option<Frame>,
        fx: &mut E,
    ) {
        let mut shards = self.interested(group);
        if ack.is_some() && !shards.contains(&sender.shard) {
            shards.push(sender.shard);
        }
        for &shard in &shards {
            let ack = if shard == sender.shard { ack.take() } else { None };
            if shard == self.config.shard {
                self.group_here(group, seq, sender, frames.clone(), ack, fx);
            } else {
                let frames = frames.clone();
                fx.mail(shard, Mail::Group { group: group.clone(), seq, sender, frames, ack });
            }
        }
        self.shards = shards;
    }

    /// Tells what is never stored to every shard with members online.
    pub(super) fn notify_group<E: Effects>(
        &mut self,
        group: &GroupName,
        about: &UserName,
        topic: Topic,
        frames: &Frames,
        fx: &mut E,
    ) {
        let shards = self.interested(group);
        for &shard in &shards {
            if shard == self.config.shard {
                self.group_notice_here(group, about, topic, frames.clone(), fx);
            } else {
                let (group, about, frames) = (group.clone(), about.clone(), frames.clone());
                fx.mail(shard, Mail::GroupNotice { group, about, topic, frames });
            }
        }
        self.shards = shards;
    }

    /// The shards with members online, in a list kept for reuse.
    fn interested(&mut self, group: &GroupName) -> Vec<ShardId> {
        let mut shards = std::mem::take(&mut self.shards);
        shards.clear();
        self.interests.list(group, &mut shards);
        shards
    }
}
