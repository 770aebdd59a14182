//! Records as bytes, and back: in the log's commits and in the view. Knows no commit, no file, and nothing of what records mean.
//!
//! A record is the length of what follows (4 bytes), its partition (1), its kind (1), then, numbers in little-endian order and
//! texts with their length in the byte before them:
//!
//! | kind | fields |
//! |---|---|
//! | 1 message | `seq`, `prev`, `time` (8 bytes each), conversation, sender, `id` (empty for none), 0 JSON / 1 text / 2 bytes, the content |
//! | 2 member | 0 left / 1 joined, `seq` (8 bytes), group, user |
//! | 3 cursor | `received`, `read` (8 bytes each), conversation, user |
//! | 4 trim | `first` (8 bytes), conversation |
//! | 5 delete | the same |
//!
//! Whom a message was sent to is not stored: a conversation's name and its sender say it.

use super::{MessageRecord, Record};
use crate::ids::{CommandId, ConversationId, GroupName, Millis, Parties, PartitionId, Seq, UserName};
use crate::wire::{PayloadKind, Target};
use std::sync::Arc;

const MESSAGE: u8 = 1;
const MEMBER: u8 = 2;
const CURSOR: u8 = 3;
const TRIM: u8 = 4;
const DELETE: u8 = 5;

/// Bytes that are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRecord;

/// Appends one record to `out`.
pub fn write(partition: PartitionId, record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(partition.0);
    match record {
        Record::Message(message) => {
            out.push(MESSAGE);
            write_message(message, out);
        }
        Record::Member { group, user, joined, seq } => {
            out.extend_from_slice(&[MEMBER, u8::from(*joined)]);
            out.extend_from_slice(&seq.0.to_le_bytes());
            write_text(group.as_str(), out);
            write_text(user.as_str(), out);
        }
        Record::Cursor { conversation, user, received, read } => {
            out.push(CURSOR);
            out.extend_from_slice(&received.0.to_le_bytes());
            out.extend_from_slice(&read.0.to_le_bytes());
            write_text(conversation.as_str(), out);
            write_text(user.as_str(), out);
        }
        Record::Trim { conversation, first } | Record::Delete { conversation, first } => {
            out.push(if matches!(record, Record::Trim { .. }) { TRIM } else { DELETE });
            out.extend_from_slice(&first.0.to_le_bytes());
            write_text(conversation.as_str(), out);
        }
    }
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

/// Appends a message's fields to `out`.
pub fn write_message(message: &MessageRecord, out: &mut Vec<u8>) {
    for number in [message.seq.0, message.prev.0, message.time.0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    write_text(message.conversation.as_str(), out);
    write_text(message.from.as_str(), out);
    write_text(message.id.as_deref().unwrap_or_default(), out);
    out.push(match message.kind {
        PayloadKind::Json => 0,
        PayloadKind::Text => 1,
        PayloadKind::Bytes => 2,
    });
    out.extend_from_slice(&message.bytes);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    debug_assert!(text.len() <= usize::from(u8::MAX), "names are shorter");
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Takes the first record off `bytes`.
///
/// # Errors
/// [`BadRecord`] when none begins there.
pub fn read(bytes: &mut &[u8]) -> Result<(PartitionId, Record), BadRecord> {
    let len = u32::from_le_bytes(array(bytes)?) as usize;
    let mut rest = take(bytes, len)?;
    let [partition, kind] = array(&mut rest)?;
    let record = match kind {
        MESSAGE => Record::Message(Arc::new(read_message(rest)?)),
        MEMBER => read_member(rest)?,
        CURSOR => read_cursor(rest)?,
        TRIM => {
            let (conversation, first) = read_first(rest)?;
            Record::Trim { conversation, first }
        }
        DELETE => {
            let (conversation, first) = read_first(rest)?;
            Record::Delete { conversation, first }
        }
        _ => return Err(BadRecord),
    };
    Ok((PartitionId(partition), record))
}

/// Reads a message's fields, which are all of `bytes`.
///
/// # Errors
/// [`BadRecord`] when they are not.
pub fn read_message(mut bytes: &[u8]) -> Result<MessageRecord, BadRecord> {
    let bytes = &mut bytes;
    let (seq, prev) = (Seq(read_number(bytes)?), Seq(read_number(bytes)?));
    let time = Millis(read_number(bytes)?);
    let conversation = ConversationId::parse(read_text(bytes)?).map_err(|_| BadRecord)?;
    let from = UserName::new(read_text(bytes)?).map_err(|_| BadRecord)?;
    let id = CommandId::new(read_text(bytes)?);
    let kind = match array(bytes)? {
        [0] => PayloadKind::Json,
        [1] => PayloadKind::Text,
        [2] => PayloadKind::Bytes,
        _ => return Err(BadRecord),
    };
    let target = target(&conversation, &from)?;
    Ok(MessageRecord { conversation, seq, prev, time, from, target, id, kind, bytes: (*bytes).into() })
}

fn read_member(mut bytes: &[u8]) -> Result<Record, BadRecord> {
    let bytes = &mut bytes;
    let joined = match array(bytes)? {
        [0] => false,
        [1] => true,
        _ => return Err(BadRecord),
    };
    let seq = Seq(read_number(bytes)?);
    let group = GroupName::new(read_text(bytes)?).map_err(|_| BadRecord)?;
    let user = UserName::new(read_text(bytes)?).map_err(|_| BadRecord)?;
    if !bytes.is_empty() {
        return Err(BadRecord);
    }
    Ok(Record::Member { group, user, joined, seq })
}

fn read_cursor(mut bytes: &[u8]) -> Result<Record, BadRecord> {
    let bytes = &mut bytes;
    let (received, read) = (Seq(read_number(bytes)?), Seq(read_number(bytes)?));
    let conversation = ConversationId::parse(read_text(bytes)?).map_err(|_| BadRecord)?;
    let user = UserName::new(read_text(bytes)?).map_err(|_| BadRecord)?;
    if !bytes.is_empty() {
        return Err(BadRecord);
    }
    Ok(Record::Cursor { conversation, user, received, read })
}

fn read_first(mut bytes: &[u8]) -> Result<(ConversationId, Seq), BadRecord> {
    let bytes = &mut bytes;
    let first = Seq(read_number(bytes)?);
    let conversation = ConversationId::parse(read_text(bytes)?).map_err(|_| BadRecord)?;
    if !bytes.is_empty() {
        return Err(BadRecord);
    }
    Ok((conversation, first))
}

/// When a message was sent, of its fields as [`write_message`] writes them.
///
/// # Errors
/// [`BadRecord`] when they are none.
pub fn read_time(mut bytes: &[u8]) -> Result<Millis, BadRecord> {
    let bytes = &mut bytes;
    let [_seq, _prev] = [read_number(bytes)?, read_number(bytes)?];
    Ok(Millis(read_number(bytes)?))
}

/// Whom a message was sent to: the group, or the one of two who did not send it.
///
/// # Errors
/// [`BadRecord`] when its sender is neither of the two.
pub fn target(conversation: &ConversationId, from: &UserName) -> Result<Target, BadRecord> {
    let other = match conversation.parties() {
        Parties::Group(group) => {
            return GroupName::new(group).map(Target::Group).map_err(|_| BadRecord);
        }
        Parties::Private(a, b) if a == from.as_str() => b,
        Parties::Private(a, b) if b == from.as_str() => a,
        Parties::Private(..) => return Err(BadRecord),
    };
    UserName::new(other).map(Target::User).map_err(|_| BadRecord)
}

fn read_number(bytes: &mut &[u8]) -> Result<u64, BadRecord> {
    array(bytes).map(u64::from_le_bytes)
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, BadRecord> {
    let [len] = array(bytes)?;
    std::str::from_utf8(take(bytes, usize::from(len))?).map_err(|_| BadRecord)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], BadRecord> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(BadRecord)?;
    *bytes = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadRecord> {
    take(bytes, N)?.try_into().map_err(|_| BadRecord)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-z0-9é名.@-]{1,20}"
    }

    fn message() -> impl Strategy<Value = Record> {
        let content = prop::collection::vec(any::<u8>(), 0..300);
        let kind = prop::sample::select(vec![PayloadKind::Json, PayloadKind::Text, PayloadKind::Bytes]);
        let to = (name(), name(), any::<bool>());
        (to, any::<[u64; 3]>(), prop::option::of("[ -~]{1,64}"), kind, content).prop_map(
            |((from, to, group), [seq, prev, time], id, kind, bytes)| {
                let from = UserName::new(&from).unwrap();
                let (conversation, target) = if group {
                    let group = GroupName::new(&to).unwrap();
                    (ConversationId::group(&group), Target::Group(group))
                } else {
                    let to = UserName::new(&to).unwrap();
                    (ConversationId::private(&from, &to), Target::User(to))
                };
                let id = id.and_then(|id| CommandId::new(&id));
                let (seq, prev, time, bytes) = (Seq(seq), Seq(prev), Millis(time), bytes.into());
                Record::Message(Arc::new(MessageRecord {
                    conversation,
                    seq,
                    prev,
                    time,
                    from,
                    target,
                    id,
                    kind,
                    bytes,
                }))
            },
        )
    }

    fn member() -> impl Strategy<Value = Record> {
        (name(), name(), any::<bool>(), any::<u64>()).prop_map(|(group, user, joined, seq)| Record::Member {
            group: GroupName::new(&group).unwrap(),
            user: UserName::new(&user).unwrap(),
            joined,
            seq: Seq(seq),
        })
    }

    fn cursor() -> impl Strategy<Value = Record> {
        (name(), name(), any::<bool>(), any::<[u64; 2]>()).prop_map(
            |(user, other, group, [received, read])| {
                let user = UserName::new(&user).unwrap();
                let conversation = if group {
                    ConversationId::group(&GroupName::new(&other).unwrap())
                } else {
                    ConversationId::private(&user, &UserName::new(&other).unwrap())
                };
                Record::Cursor { conversation, user, received: Seq(received), read: Seq(read) }
            },
        )
    }

    fn trim() -> impl Strategy<Value = Record> {
        (name(), any::<u64>(), any::<bool>()).prop_map(|(group, first, trim)| {
            let conversation = ConversationId::group(&GroupName::new(&group).unwrap());
            let first = Seq(first);
            if trim { Record::Trim { conversation, first } } else { Record::Delete { conversation, first } }
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        prop_oneof![message(), member(), cursor(), trim()]
    }

    proptest! {
        #[test]
        fn every_record_comes_back(records in prop::collection::vec((0..64u8, record()), 1..8)) {
            let mut bytes = Vec::new();
            for (partition, record) in &records {
                write(PartitionId(*partition), record, &mut bytes);
            }
            let mut rest = &bytes[..];
            for (partition, record) in records {
                prop_assert_eq!(read(&mut rest).unwrap(), (PartitionId(partition), record));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_record_that_was_cut_is_none(record in record(), at in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            write(PartitionId(1), &record, &mut bytes);
            let mut cut = &bytes[..at.index(bytes.len())];
            prop_assert_eq!(read(&mut cut), Err(BadRecord));
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&mut &bytes[..]);
        }
    }

    #[test]
    fn a_message_of_somebody_else_in_a_private_conversation_is_none() {
        let [a, b, c] = ["a", "b", "c"].map(|name| UserName::new(name).unwrap());
        let message = MessageRecord {
            conversation: ConversationId::private(&a, &b),
            seq: Seq(1),
            prev: Seq(0),
            time: Millis(0),
            from: c,
            target: Target::User(b),
            id: None,
            kind: PayloadKind::Text,
            bytes: Box::default(),
        };
        let mut bytes = Vec::new();
        write(PartitionId(0), &Record::Message(Arc::new(message)), &mut bytes);
        assert_eq!(read(&mut &bytes[..]), Err(BadRecord));
    }
}
