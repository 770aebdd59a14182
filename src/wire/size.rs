//! What a message takes in the encoding in which it takes most, which is JSON. Knows what JSON escapes, no event.

use super::{Payload, PayloadKind};
use crate::ids::ConversationId;
use crate::limits::{MESSAGE_ENVELOPE, SYNCED_ENVELOPE};

/// What `text` takes in a JSON string (bytes), its quotes not counted.
pub fn escaped(text: &[u8]) -> usize {
    text.iter().map(|byte| escape(*byte)).sum()
}

fn escape(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        // As `\u00XX`.
        0x00..=0x1f => 6,
        _ => 1,
    }
}

/// A stored message in any encoding takes at most this (bytes). `names` are its sender's and its target's, one behind the
/// other: the conversation's name is made of the same, and three bytes that the envelope has.
pub fn message_max(names: &[u8], id: &[u8], payload: Payload<'_>) -> usize {
    payload.encoded_max() + 2 * escaped(names) + escaped(id) + MESSAGE_ENVELOPE
}

/// A conversation in a `sync` answer takes at most this in any encoding beside its messages (bytes).
pub fn synced_max(conversation: &ConversationId) -> usize {
    escaped(conversation.as_str().as_bytes()) + SYNCED_ENVELOPE
}

impl Payload<'_> {
    /// What the content takes in the encoding in which it takes most (bytes): what a budget for any receiver must hold.
    pub fn encoded_max(&self) -> usize {
        match self.kind {
            PayloadKind::Json => self.bytes.len(),
            PayloadKind::Text => escaped(self.bytes) + 2,
            PayloadKind::Bytes => self.bytes.len().div_ceil(3) * 4 + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupName, Millis, Seq, UserName};
    use crate::limits::{FRAME_COST, SYNC_ENVELOPE, SYNC_TOKEN_MAX};
    use crate::wire::{Encoding, Event, StoredMessage, SyncedConversation, Target};

    fn written(encoding: Encoding, event: &Event<'_>) -> usize {
        let mut out = Vec::new();
        encoding.encode(event, &mut out);
        out.len()
    }

    #[test]
    fn no_encoding_takes_more_and_json_takes_it_all() {
        let text: Vec<u8> = (0..=0x7f).chain("grüße, 😀".bytes()).collect();
        let bytes: Vec<u8> = (0..=255).collect();
        let contents = (0..text.len()).filter_map(|end| str::from_utf8(&text[..end]).ok());
        let texts = contents.map(|text| (PayloadKind::Text, text.as_bytes()));
        let all = texts.chain((0..9).map(|end| (PayloadKind::Bytes, &bytes[..end])));
        let from = UserName::new("a").unwrap();
        let plain = Payload { kind: PayloadKind::Json, bytes: b"" };
        let event = |payload| Event::Broadcast { from: &from, payload, time: Millis(1) };
        let nothing = written(Encoding::Json, &event(plain));
        for (kind, bytes) in all.chain([(PayloadKind::Json, &br#"{"a":"\u0001"}"#[..])]) {
            let payload = Payload { kind, bytes };
            let named = if kind == PayloadKind::Bytes { r#","kind":"bytes""#.len() } else { 0 };
            assert_eq!(written(Encoding::Json, &event(payload)), nothing + payload.encoded_max() + named);
            for encoding in Encoding::ALL {
                let most = nothing + payload.encoded_max() + named;
                assert!(written(encoding, &event(payload)) <= most, "{payload:?} in {encoding:?}");
            }
        }
    }

    #[test]
    fn the_envelope_holds_the_longest_names_and_numbers() {
        let quotes = "\"".repeat(64);
        let (from, id) = (UserName::new(&quotes).unwrap(), "\x01".repeat(64));
        let to = UserName::new(&"'".repeat(64)).unwrap();
        let group = GroupName::new(&quotes).unwrap();
        let (private, of_group) = (ConversationId::private(&from, &to), ConversationId::group(&group));
        for (target, name, conversation) in
            [(Target::User(to.clone()), to.as_str(), private), (Target::Group(group), &quotes, of_group)]
        {
            for kind in [PayloadKind::Json, PayloadKind::Text, PayloadKind::Bytes] {
                let payload = Payload { kind, bytes: b"1" };
                let message = StoredMessage {
                    from: &from,
                    target: &target,
                    payload,
                    id: Some(&id),
                    conversation: &conversation,
                    seq: Seq(u64::MAX),
                    prev: Seq(u64::MAX),
                    time: Millis(u64::MAX),
                };
                let most = message_max(format!("{quotes}{name}").as_bytes(), id.as_bytes(), payload);
                for encoding in Encoding::ALL {
                    let takes = written(encoding, &Event::Message(message));
                    assert!(takes < most && most < takes + 2048, "{takes} of {most} in {encoding:?}");
                }
            }
        }
    }
    #[test]
    fn the_envelopes_of_sync_hold_the_longest_names_and_numbers() {
        let quotes = |byte: &str| UserName::new(&byte.repeat(64)).unwrap();
        let conversation = ConversationId::private(&quotes("\""), &quotes("\\"));
        let (most, id) = (Seq(u64::MAX), "\x01".repeat(64));
        let (head, first, read, unread) = (most, most, most, u32::MAX);
        let one = SyncedConversation {
            conversation: &conversation,
            head,
            first,
            read,
            unread,
            messages: &[],
            more: false,
        };
        let token = "x".repeat(SYNC_TOKEN_MAX);
        for encoding in Encoding::ALL {
            let [empty, two, three] = [0, 2, 3].map(|n| {
                let conversations = &[one; 3][..n];
                written(encoding, &Event::Sync { id: Some(&id), conversations, next: Some(&token) })
            });
            // A WebSocket header takes 10 bytes, and the length of a nested message in binary 5 at most.
            assert!(empty + 10 + FRAME_COST <= SYNC_ENVELOPE, "{empty} in {encoding:?}");
            let takes = three - two;
            assert!(takes + 5 <= synced_max(&conversation), "{takes} in {encoding:?}");
        }
    }
}
