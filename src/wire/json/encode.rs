//! Writes one event as JSON, in a single pass straight into the buffer. Knows the shapes of events, no rules.

use crate::ids::{ConversationId, GroupName, Millis, Seq, UserName};
use crate::wire::{
    ErrorCode, Event, Limits, Payload, PayloadKind, StoredMessage, SyncedConversation, Target,
};
use data_encoding::BASE64;
use std::io::Write;

/// What an event takes beyond its payload, about (bytes): fixed text, two names, an id and three numbers.
const ENVELOPE: usize = 320;

/// Appends one event to `out`. Fields stand in the order of the protocol page, `id` right after `type` in answers.
pub fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    let mut w = Writer { out };
    w.event(event);
    w.raw("}");
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes everything but the last brace.
    fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Authenticated { id, user, session, heartbeat, time, limits } => {
                self.answer("authenticated", id);
                self.text(r#","user":"#, user.as_str());
                // A session's name is hexadecimal digits and '-': nothing to escape. Writing to a Vec cannot fail.
                let _ = write!(self.out, r#","session":"{session}""#);
                self.number(r#","heartbeat":"#, heartbeat);
                self.number(r#","time":"#, time.0);
                self.limits(limits);
            }
            Event::Message(ref message) => self.message(message),
            Event::Broadcast { from, payload, time } => {
                self.text(r#"{"type":"message","from":"#, from.as_str());
                self.payload(payload);
                self.number(r#","time":"#, time.0);
            }
            Event::Ack { id, conversation, seq, prev, time, durability, duplicate } => {
                self.answer("ack", Some(id));
                self.place(conversation, seq, prev, time);
                self.text(r#","durability":"#, durability.name());
                if duplicate {
                    self.raw(r#","duplicate":true"#);
                }
            }
            Event::BroadcastAck { id, time } => {
                self.answer("ack", Some(id));
                self.number(r#","time":"#, time.0);
                self.raw(r#","durability":"none""#);
            }
            Event::Joined { id, group, members, seq } => {
                self.of_group("joined", id, group);
                self.number(r#","members":"#, members);
                self.number(r#","seq":"#, seq.0);
            }
            Event::Left { id, group } => self.of_group("left", id, group),
            Event::GroupEvent { group, joined, user, members } => {
                self.of_group("groupEvent", None, group);
                self.raw(if joined { r#","event":"joined""# } else { r#","event":"left""# });
                self.text(r#","user":"#, user.as_str());
                self.number(r#","members":"#, members);
            }
            Event::Members { id, group, users, more } => {
                self.of_group("members", id, group);
                self.users(users);
                self.flag(r#","more":"#, more);
            }
            Event::History { id, conversation, messages, first, more } => {
                self.answer("history", id);
                self.text(r#","conversation":"#, conversation.as_str());
                self.messages(messages);
                self.number(r#","first":"#, first.0);
                self.flag(r#","more":"#, more);
            }
            Event::Sync { id, conversations, next } => self.sync(id, conversations, next),
            Event::Receipt { conversation, from, received, read } => {
                self.receipt(conversation, from, received, read);
            }
            Event::Typing { from, target } => {
                self.text(r#"{"type":"typing","from":"#, from.as_str());
                self.target(target);
            }
            Event::Pong { id, time } => {
                self.answer("pong", id);
                self.number(r#","time":"#, time.0);
            }
            Event::Resync => self.answer("resync", None),
            Event::Expiring { left } => self.number(r#"{"type":"expiring","in":"#, left),
            Event::Error { code, reason, command, id, retry_after } => {
                self.error(code, reason, command, id, retry_after);
            }
        }
    }

    fn error(
        &mut self,
        code: ErrorCode,
        reason: &str,
        command: Option<&str>,
        id: Option<&str>,
        retry_after: Option<u64>,
    ) {
        self.number(r#"{"type":"error","code":"#, code.number());
        self.text(r#","reason":"#, reason);
        if let Some(command) = command {
            self.text(r#","for":"#, command);
        }
        if let Some(id) = id {
            self.text(r#","id":"#, id);
        }
        if let Some(wait) = retry_after {
            self.number(r#","retryAfter":"#, wait);
        }
    }

    /// Opens what is about a group.
    fn of_group(&mut self, name: &'static str, id: Option<&str>, group: &GroupName) {
        self.answer(name, id);
        self.text(r#","group":"#, group.as_str());
    }

    fn users(&mut self, users: &[UserName]) {
        self.raw(r#","users":["#);
        for (place, user) in users.iter().enumerate() {
            self.text(if place == 0 { "" } else { "," }, user.as_str());
        }
        self.raw("]");
    }

    fn place(&mut self, conversation: &ConversationId, seq: Seq, prev: Seq, time: Millis) {
        self.text(r#","conversation":"#, conversation.as_str());
        self.number(r#","seq":"#, seq.0);
        self.number(r#","prev":"#, prev.0);
        self.number(r#","time":"#, time.0);
    }

    fn message(&mut self, message: &StoredMessage<'_>) {
        self.text(r#"{"type":"message","from":"#, message.from.as_str());
        self.target(message.target);
        self.payload(message.payload);
        if let Some(id) = message.id {
            self.text(r#","id":"#, id);
        }
        self.place(message.conversation, message.seq, message.prev, message.time);
    }

    fn messages(&mut self, messages: &[StoredMessage<'_>]) {
        self.raw(r#","messages":["#);
        for (place, message) in messages.iter().enumerate() {
            if place > 0 {
                self.raw(",");
            }
            self.message(message);
            self.raw("}");
        }
        self.raw("]");
    }

    fn sync(&mut self, id: Option<&str>, conversations: &[SyncedConversation<'_>], next: Option<&str>) {
        self.answer("sync", id);
        self.raw(r#","conversations":["#);
        for (place, one) in conversations.iter().enumerate() {
            self.raw(if place == 0 { "{" } else { ",{" });
            self.text(r#""conversation":"#, one.conversation.as_str());
            self.number(r#","head":"#, one.head.0);
            self.number(r#","first":"#, one.first.0);
            self.number(r#","read":"#, one.read.0);
            self.number(r#","unread":"#, one.unread);
            self.messages(one.messages);
            self.flag(r#","more":"#, one.more);
            self.raw("}");
        }
        self.raw("]");
        if let Some(next) = next {
            self.text(r#","next":"#, next);
        }
    }

    fn receipt(
        &mut self,
        conversation: &ConversationId,
        from: &UserName,
        received: Option<Seq>,
        read: Option<Seq>,
    ) {
        self.answer("receipt", None);
        self.text(r#","conversation":"#, conversation.as_str());
        self.text(r#","from":"#, from.as_str());
        for (key, seq) in [(r#","received":"#, received), (r#","read":"#, read)] {
            if let Some(seq) = seq {
                self.number(key, seq.0);
            }
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::User(user) => self.text(r#","to":"#, user.as_str()),
            Target::Group(group) => self.text(r#","group":"#, group.as_str()),
            Target::Everyone => {}
        }
    }

    fn payload(&mut self, payload: Payload<'_>) {
        let bytes = payload.bytes;
        self.out.reserve(bytes.len() + ENVELOPE);
        self.raw(r#","message":"#);
        match payload.kind {
            PayloadKind::Json => self.out.extend_from_slice(bytes),
            // Text was checked where it entered; what is not UTF-8 would show as replacement characters.
            PayloadKind::Text => self.text("", &String::from_utf8_lossy(bytes)),
            PayloadKind::Bytes => {
                self.raw("\"");
                let start = self.out.len();
                self.out.resize(start + BASE64.encode_len(bytes.len()), 0);
                BASE64.encode_mut(bytes, &mut self.out[start..]);
                self.raw(r#"","kind":"bytes""#);
            }
        }
    }

    fn limits(&mut self, limits: Limits) {
        self.number(r#","limits":{"messageSize":"#, limits.message_size);
        self.number(r#","websocketMessageSize":"#, limits.websocket_message_size);
        self.raw("}");
    }

    /// Opens an answer: its type and, if the command had one, its id.
    fn answer(&mut self, name: &'static str, id: Option<&str>) {
        self.raw(r#"{"type":""#);
        self.raw(name);
        self.raw("\"");
        if let Some(id) = id {
            self.text(r#","id":"#, id);
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes `key` as it stands and `value` as a JSON string.
    fn text(&mut self, key: &'static str, value: &str) {
        self.raw(key);
        let special = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
        // Folded without a branch, so that it becomes a few vector instructions for a name.
        if value.bytes().fold(false, |found, b| found | special(b)) {
            // Writing a string to a Vec cannot fail.
            let _ = serde_json::to_writer(&mut *self.out, value);
        } else {
            self.raw("\"");
            self.raw(value);
            self.raw("\"");
        }
    }

    fn number(&mut self, key: &'static str, value: impl itoa::Integer) {
        self.raw(key);
        self.raw(itoa::Buffer::new().format(value));
    }

    fn flag(&mut self, key: &'static str, value: bool) {
        self.raw(key);
        self.raw(if value { "true" } else { "false" });
    }
}

#[cfg(test)]
mod tests;
