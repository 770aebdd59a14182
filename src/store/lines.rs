//! The lines of an export: what they say as text, and back. Knows no store and no order of lines.
//!
//! Each line is a JSON object with a `type`; `docs/storage.md` has them all. What a line says of a message is what clients are told of it,
//! so that an export is read without this program.

use crate::ids::{CommandId, ConversationId, GroupName, Millis, Seq, UserName};
use crate::log::{MessageRecord, record};
use crate::view::Cursor;
use crate::wire::{Payload, PayloadKind};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// The format's version; another one is refused.
pub(super) const VERSION: u32 = 1;

/// What an export begins with: the version, and which records of which store it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// The store's mark.
    pub store: [u8; 16],
    /// The position of the last record that went into it.
    pub position: u64,
}

/// What an export ends with: how many lines of each kind there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub conversations: u64,
    pub messages: u64,
    pub members: u64,
    pub cursors: u64,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Export(Origin),
    /// A conversation, the `seq` of its last message, and the lowest that may be kept; its messages follow.
    Conversation(ConversationId, Seq, Seq),
    Message(Box<MessageRecord>),
    /// A group's member, and after which `seq` the user joined.
    Member(GroupName, UserName, Seq),
    /// How far a user has got in a conversation.
    Cursor(ConversationId, UserName, Cursor),
    End(Counts),
}

#[derive(Serialize, Deserialize)]
struct ExportFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    version: u32,
    #[serde(borrow)]
    store: Cow<'a, str>,
    position: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConversationFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    head: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    first: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    seq: u64,
    prev: u64,
    time: u64,
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Cow<'a, RawValue>,
    /// What the content is, where it is not the JSON value that stands there.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    since: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CursorFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    received: u64,
    read: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndFields<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
    conversations: u64,
    messages: u64,
    members: u64,
    cursors: u64,
}

/// The type alone, whatever else there is.
#[derive(Deserialize)]
struct TypeField<'a> {
    #[serde(rename = "type", borrow)]
    line: Cow<'a, str>,
}

impl Line {
    /// As text, without the line's end.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Export(Origin { store, position }) => {
                let store = HEXLOWER.encode(store).into();
                let line = "export".into();
                serde_json::to_writer(
                    out,
                    &ExportFields { line, version: VERSION, store, position: *position },
                )
            }
            Self::Conversation(conversation, head, first) => {
                let line = "conversation".into();
                let conversation = conversation.as_str().into();
                let (head, first) = (head.0, first.0);
                serde_json::to_writer(out, &ConversationFields { line, conversation, head, first })
            }
            Self::Message(message) => write_message(message, out),
            Self::Member(group, user, since) => {
                let (group, user) = (group.as_str().into(), user.as_str().into());
                serde_json::to_writer(
                    out,
                    &MemberFields { line: "member".into(), group, user, since: since.0 },
                )
            }
            Self::Cursor(conversation, user, Cursor { received, read }) => {
                let (conversation, user) = (conversation.as_str().into(), user.as_str().into());
                let (line, received, read) = ("cursor".into(), received.0, read.0);
                serde_json::to_writer(out, &CursorFields { line, conversation, user, received, read })
            }
            Self::End(Counts { conversations, messages, members, cursors }) => {
                let line = "end".into();
                let (conversations, messages, members, cursors) =
                    (*conversations, *messages, *members, *cursors);
                serde_json::to_writer(out, &EndFields { line, conversations, messages, members, cursors })
            }
        }
    }

    /// Reads a line's text.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let TypeField { line } = parse(text)?;
        match &*line {
            "export" => read_export(parse(text)?),
            "conversation" => {
                let ConversationFields { conversation, head, first, .. } = parse(text)?;
                let (head, first) = (read_seq(head, "head")?, read_seq(first, "first")?);
                Ok(Self::Conversation(read_conversation(&conversation)?, head, first))
            }
            "message" => read_message(parse(text)?).map(|message| Self::Message(Box::new(message))),
            "member" => {
                let MemberFields { group, user, since, .. } = parse(text)?;
                let group = GroupName::new(&group).map_err(|error| format!("`group`: {error}"))?;
                Ok(Self::Member(group, read_user(&user, "user")?, read_seq(since, "since")?))
            }
            "cursor" => {
                let CursorFields { conversation, user, received, read, .. } = parse(text)?;
                let (received, read) = (read_seq(received, "received")?, read_seq(read, "read")?);
                let conversation = read_conversation(&conversation)?;
                Ok(Self::Cursor(conversation, read_user(&user, "user")?, Cursor { received, read }))
            }
            "end" => {
                let EndFields { conversations, messages, members, cursors, .. } = parse(text)?;
                Ok(Self::End(Counts { conversations, messages, members, cursors }))
            }
            other => Err(format!("`type` is `{other}`, which this version does not know")),
        }
    }
}

fn write_message(message: &MessageRecord, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let (content, kind) = write_content(message)?;
    serde_json::to_writer(
        out,
        &MessageFields {
            line: "message".into(),
            conversation: message.conversation.as_str().into(),
            seq: message.seq.0,
            prev: message.prev.0,
            time: message.time.0,
            from: message.from.as_str().into(),
            id: message.id.as_deref().map(Cow::Borrowed),
            message: content,
            kind: kind.map(Cow::Borrowed),
        },
    )
}

/// A JSON value stands as it is, if it has no line breaks; everything else in a string.
fn write_content(
    message: &MessageRecord,
) -> Result<(Cow<'_, RawValue>, Option<&'static str>), serde_json::Error> {
    let bytes = &message.bytes;
    let in_string = |text: &str| to_raw_value(text).map(Cow::Owned);
    let text = |kind| match std::str::from_utf8(bytes) {
        Ok(text) => Ok((in_string(text)?, Some(kind))),
        // It was checked where it entered; if it is not text after all, nothing is lost.
        Err(_) => Ok((in_string(&BASE64.encode(bytes))?, Some("bytes"))),
    };
    match message.kind {
        PayloadKind::Json => match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(raw) if raw.get().as_bytes() == &**bytes && !bytes.contains(&b'\n') => {
                Ok((Cow::Borrowed(raw), None))
            }
            _ => text("json"),
        },
        PayloadKind::Text => text("text"),
        PayloadKind::Bytes => Ok((in_string(&BASE64.encode(bytes))?, Some("bytes"))),
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn read_export(fields: ExportFields<'_>) -> Result<Line, String> {
    let ExportFields { version, store, position, .. } = fields;
    if version != VERSION {
        return Err(format!(
            "the export has version {version} of the format, this program reads version {VERSION}"
        ));
    }
    let id = HEXLOWER.decode(store.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let store = id.ok_or("`store` is not 32 hexadecimal digits")?;
    Ok(Line::Export(Origin { store, position }))
}

fn read_message(fields: MessageFields<'_>) -> Result<MessageRecord, String> {
    let MessageFields { conversation, seq, prev, time, from, id, message, kind, .. } = fields;
    let conversation = read_conversation(&conversation)?;
    let from = read_user(&from, "from")?;
    let id = match id {
        Some(id) => Some(CommandId::new(&id).ok_or("`id` is not 1 to 64 bytes")?),
        None => None,
    };
    let (kind, bytes) = read_content(message.get(), kind.as_deref())?;
    Payload { kind, bytes: &bytes }.check()?;
    let target = record::target(&conversation, &from);
    let target = target.map_err(|_| format!("`from` is {from}, who is not of this conversation"))?;
    let (seq, prev) = (read_seq(seq, "seq")?, read_seq(prev, "prev")?);
    Ok(MessageRecord {
        conversation,
        seq,
        prev,
        time: Millis(time),
        from,
        target,
        id,
        kind,
        bytes: bytes.into(),
    })
}

fn read_content(raw: &str, kind: Option<&str>) -> Result<(PayloadKind, Vec<u8>), String> {
    let text =
        || parse::<String>(raw).map_err(|_| "`message` is not a string, as its `kind` says".to_string());
    match kind {
        None => Ok((PayloadKind::Json, raw.into())),
        Some("json") => Ok((PayloadKind::Json, text()?.into_bytes())),
        Some("text") => Ok((PayloadKind::Text, text()?.into_bytes())),
        Some("bytes") => {
            let bytes = BASE64.decode(text()?.as_bytes());
            Ok((PayloadKind::Bytes, bytes.map_err(|_| "`message` is not base64, as its `kind` says")?))
        }
        Some(other) => Err(format!("`kind` is `{other}`, not one of json, text, bytes")),
    }
}

fn read_conversation(name: &str) -> Result<ConversationId, String> {
    ConversationId::parse(name)
        .map_err(|_| format!("`conversation` is `{name}`, neither u:A:B in byte order nor g:G"))
}

fn read_user(name: &str, field: &str) -> Result<UserName, String> {
    UserName::new(name).map_err(|error| format!("`{field}`: {error}"))
}

fn read_seq(seq: u64, field: &str) -> Result<Seq, String> {
    if seq < 1 << 53 { Ok(Seq(seq)) } else { Err(format!("`{field}` is not below 2^53")) }
}
