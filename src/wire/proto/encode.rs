//! Writes one event as Protobuf, straight into the buffer. Knows the shapes of events, no rules.

use super::envelope::write;
use super::schema::{
    self, AckView, AuthenticatedView, ErrorView, EveryoneView, GroupEventView, HistoryView, JoinedView,
    LeftView, MembersView, MessageView, PongView, ReceiptView, ResyncView, SyncView, SyncedConversationView,
    TypingView, group_event, message, typing,
};
use crate::ids::{Millis, Seq, UserName};
use crate::wire::{Durability, Event, Payload, PayloadKind, StoredMessage, SyncedConversation, Target};

/// Appends one event to `out`.
pub fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Message(ref message) => write(None, &stored(message), out),
        Event::Broadcast { from, payload, time } => {
            let (sender, target, content) = (from.as_str(), everyone(), Some(content(payload)));
            let message = MessageView { sender, target, content, time: time.0, ..MessageView::default() };
            write(None, &message, out);
        }
        Event::Ack { id, conversation, seq, prev, time, durability, duplicate } => {
            let (conversation, seq, prev) = (conversation.as_str(), seq.0, prev.0);
            let ack = AckView { conversation, seq, prev, duplicate, ..ack(time, proved(durability)) };
            write(Some(id), &ack, out);
        }
        Event::BroadcastAck { id, time } => write(Some(id), &ack(time, schema::Durability::None), out),
        Event::Authenticated { id, user, session, heartbeat, time, limits } => {
            let limits = schema::LimitsView {
                message_size: limits.message_size,
                websocket_message_size: limits.websocket_message_size,
                ..Default::default()
            };
            let (user, session, limits) = (user.as_str(), &*session.to_string(), limits.into());
            write(id, &AuthenticatedView { user, session, heartbeat, time: time.0, limits }, out);
        }
        Event::Pong { id, time } => write(id, &PongView { time: time.0, ..PongView::default() }, out),
        Event::Resync => write(None, &ResyncView::default(), out),
        Event::Expiring { left } => write(None, &schema::ExpiringView { left, ..Default::default() }, out),
        Event::Error { code, reason, command, id, retry_after } => {
            let (code, command) = (u32::from(code.number()), command.unwrap_or_default());
            let retry_after = retry_after.unwrap_or_default();
            write(id, &ErrorView { code, reason, command, retry_after }, out);
        }
        Event::Typing { from, target } => {
            write(None, &TypingView { sender: from.as_str(), target: listener(target) }, out);
        }
        Event::History { id, conversation, messages, first, more } => {
            let (conversation, messages) = (conversation.as_str(), messages.iter().map(stored).collect());
            write(id, &HistoryView { conversation, messages, first: first.0, more }, out);
        }
        Event::Sync { id, conversations, next } => {
            let conversations = conversations.iter().map(synced).collect();
            write(id, &SyncView { conversations, next: next.unwrap_or_default() }, out);
        }
        Event::Receipt { conversation, from, received, read } => {
            let [received, read] = [received, read].map(|seq| seq.map_or(0, |Seq(seq)| seq));
            let (conversation, sender) = (conversation.as_str(), from.as_str());
            write(None, &ReceiptView { conversation, sender, received, read }, out);
        }
        Event::Joined { id, group, members, seq } => {
            write(id, &JoinedView { group: group.as_str(), members, seq: seq.0 }, out);
        }
        Event::Left { id, group } => write(id, &LeftView { group: group.as_str() }, out),
        Event::GroupEvent { group, joined, user, members } => {
            let event = if joined { group_event::Kind::Joined } else { group_event::Kind::Left };
            let (group, user) = (group.as_str(), user.as_str());
            write(None, &GroupEventView { group, event: event.into(), user, members }, out);
        }
        Event::Members { id, group, users, more } => {
            let users = users.iter().map(UserName::as_str).collect();
            write(id, &MembersView { group: group.as_str(), users, more }, out);
        }
    }
}

fn stored<'a>(message: &StoredMessage<'a>) -> MessageView<'a> {
    MessageView {
        sender: message.from.as_str(),
        target: match message.target {
            Target::User(user) => Some(message::TargetView::To(user.as_str())),
            Target::Group(group) => Some(message::TargetView::Group(group.as_str())),
            Target::Everyone => everyone(),
        },
        content: Some(content(message.payload)),
        id: message.id.unwrap_or_default(),
        conversation: message.conversation.as_str(),
        seq: message.seq.0,
        prev: message.prev.0,
        time: message.time.0,
    }
}

fn synced<'a>(one: &SyncedConversation<'a>) -> SyncedConversationView<'a> {
    SyncedConversationView {
        conversation: one.conversation.as_str(),
        head: one.head.0,
        first: one.first.0,
        read: one.read.0,
        unread: one.unread,
        messages: one.messages.iter().map(stored).collect(),
        more: one.more,
    }
}

/// A type without fields: its box is no allocation.
fn everyone<'a>() -> Option<message::TargetView<'a>> {
    Some(message::TargetView::Everyone(Box::new(EveryoneView::default())))
}

fn content(payload: Payload<'_>) -> message::ContentView<'_> {
    let bytes = payload.bytes;
    let kind = match payload.kind {
        PayloadKind::Json => message::ContentView::Json,
        PayloadKind::Text => message::ContentView::Text,
        PayloadKind::Bytes => return message::ContentView::Bytes(bytes),
    };
    // Text was checked where it entered; the type of the field wants to see it.
    let text = simdutf8::basic::from_utf8(bytes);
    debug_assert!(text.is_ok(), "text was checked where it entered");
    text.map_or(message::ContentView::Bytes(bytes), kind)
}

/// The ack of what has no place in a conversation.
fn ack<'a>(time: Millis, durability: schema::Durability) -> AckView<'a> {
    AckView { time: time.0, durability: durability.into(), ..AckView::default() }
}

fn proved(durability: Durability) -> schema::Durability {
    match durability {
        Durability::Memory => schema::Durability::Memory,
        Durability::Os => schema::Durability::Os,
        Durability::Fsync => schema::Durability::Fsync,
    }
}

/// Nobody is told that someone types to everyone.
fn listener(target: &Target) -> Option<typing::TargetView<'_>> {
    match target {
        Target::User(user) => Some(typing::TargetView::To(user.as_str())),
        Target::Group(group) => Some(typing::TargetView::Group(group.as_str())),
        Target::Everyone => None,
    }
}
