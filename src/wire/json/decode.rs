//! Reads one JSON command, borrowing from the message. Knows the shapes of commands, no rules.

use crate::ids::{ConversationId, DeviceName, GroupName, NAME_MAX, Seq, UserName};
use crate::wire::reasons::{
    BAD_AFTER, BAD_BEFORE, BAD_CONVERSATION, BAD_CURSORS, BAD_DEVICE, BAD_GROUP, BAD_ID, BAD_MEMBER,
    BAD_NEXT, BAD_SEQ, BAD_TO, BAD_USERNAME, INTEGER_END, NO_CONVERSATION, NO_CREDENTIAL, NO_GROUP, NO_SEQ,
    NO_TARGET, Reason,
};
use crate::wire::{Command, Credential, DecodeError, ErrorCode, Payload, PayloadKind, Request, Target};
use crate::wire::{cursors::Cursors, cursors::check_token, value};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

const NOT_AN_OBJECT: Reason = "a command must be a JSON object";
const BAD_KEY: Reason = "the name of a field has a \\u escape that is half of a surrogate pair";
const TWICE: Reason = "a field is given twice";
const NO_TYPE: Reason = "`type` must be given, as a string";
const UNKNOWN_TYPE: Reason = "unknown `type`";
const NO_MESSAGE: Reason = "`message` must be given; any JSON value will do";
const TWO_TARGETS: Reason = "give `to` or `group`, not both";
const TWO_CREDENTIALS: Reason = "give `token` or `username`, not both";
const BAD_TOKEN: Reason = "`token` must be a string";
const BAD_LIMIT: Reason = "`limit` must be an integer from 1 to 2^53-1";

/// The fields that commands are made of; their numbers are places in [`Fields`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Type,
    Id,
    To,
    Group,
    Message,
    Token,
    Username,
    Device,
    Conversation,
    Before,
    After,
    Limit,
    Seq,
    Cursors,
    Next,
    Unknown,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "type" => Key::Type,
                    "id" => Key::Id,
                    "to" => Key::To,
                    "group" => Key::Group,
                    "message" => Key::Message,
                    "token" => Key::Token,
                    "username" => Key::Username,
                    "device" => Key::Device,
                    "conversation" => Key::Conversation,
                    "before" => Key::Before,
                    "after" => Key::After,
                    "limit" => Key::Limit,
                    "seq" => Key::Seq,
                    "cursors" => Key::Cursors,
                    "next" => Key::Next,
                    _ => Key::Unknown,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

/// The values of the known fields as their JSON text: well-formed, not read yet. An absent field is `None`, so
/// that a `message` of `null` is not one.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a str>; Key::Unknown as usize],
    twice: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<Key>()? {
                    if key == Key::Unknown {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    fields.twice |= fields.values[key as usize].replace(raw).is_some();
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads one message.
///
/// # Errors
/// [`DecodeError`]: not JSON at all, or a command that is refused.
pub fn decode(message: &[u8]) -> Result<Request<'_>, DecodeError> {
    let text = simdutf8::basic::from_utf8(message).map_err(|_| DecodeError::Malformed)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| not_fields(text))?;
    request(&fields).map_err(|reason| fields.refused(reason))
}

fn request<'a>(fields: &Fields<'a>) -> Result<Request<'a>, Reason> {
    if fields.twice {
        return Err(TWICE);
    }
    let name = fields.text(Key::Type, NO_TYPE)?.ok_or(NO_TYPE)?;
    let id = fields.id()?;
    let command = match &*name {
        "auth" => fields.auth()?,
        "message" => Command::Message { target: fields.target()?, payload: fields.payload()? },
        "joinGroup" => Command::JoinGroup { group: fields.group()?.ok_or(NO_GROUP)? },
        "leaveGroup" => Command::LeaveGroup { group: fields.group()?.ok_or(NO_GROUP)? },
        "members" => Command::Members {
            group: fields.group()?.ok_or(NO_GROUP)?,
            after: fields.user(Key::After, BAD_MEMBER)?,
        },
        "typing" => match fields.target()? {
            Target::Everyone => return Err(NO_TARGET),
            target => Command::Typing { target },
        },
        "history" => fields.history()?,
        "sync" => fields.sync()?,
        "received" => Command::Received { conversation: fields.conversation()?, seq: fields.seq()? },
        "read" => Command::Read { conversation: fields.conversation()?, seq: fields.seq()? },
        "ping" => Command::Ping,
        _ => return Err(UNKNOWN_TYPE),
    };
    Ok(Request { id, command })
}

impl<'a> Fields<'a> {
    fn get(&self, key: Key) -> Option<&'a str> {
        self.values[key as usize]
    }

    fn text(&self, key: Key, reason: Reason) -> Result<Option<Cow<'a, str>>, Reason> {
        self.get(key).map(|raw| text(raw).ok_or(reason)).transpose()
    }

    fn user(&self, key: Key, reason: Reason) -> Result<Option<UserName>, Reason> {
        self.text(key, reason)?.map(|name| UserName::new(&name).map_err(|_| reason)).transpose()
    }

    fn group(&self) -> Result<Option<GroupName>, Reason> {
        let reason = BAD_GROUP;
        self.text(Key::Group, reason)?.map(|name| GroupName::new(&name).map_err(|_| reason)).transpose()
    }

    fn integer(&self, key: Key, reason: Reason) -> Result<Option<u64>, Reason> {
        self.get(key).map(|raw| integer(raw).ok_or(reason)).transpose()
    }

    fn id(&self) -> Result<Option<Cow<'a, str>>, Reason> {
        let id = self.text(Key::Id, BAD_ID)?;
        if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > NAME_MAX) { Err(BAD_ID) } else { Ok(id) }
    }

    fn target(&self) -> Result<Target, Reason> {
        match (self.user(Key::To, BAD_TO)?, self.group()?) {
            (Some(_), Some(_)) => Err(TWO_TARGETS),
            (Some(user), None) => Ok(Target::User(user)),
            (None, Some(group)) => Ok(Target::Group(group)),
            (None, None) => Ok(Target::Everyone),
        }
    }

    fn payload(&self) -> Result<Payload<'a>, Reason> {
        let raw = self.get(Key::Message).ok_or(NO_MESSAGE)?;
        value::check(raw)?;
        Ok(Payload { kind: PayloadKind::Json, bytes: raw.as_bytes() })
    }

    fn auth(&self) -> Result<Command<'a>, Reason> {
        let token = self.text(Key::Token, BAD_TOKEN)?;
        let username = self.user(Key::Username, BAD_USERNAME)?;
        let credential = match (token, username) {
            (Some(_), Some(_)) => return Err(TWO_CREDENTIALS),
            (Some(token), None) => Credential::Token(token),
            (None, Some(username)) => Credential::Username(username),
            (None, None) => return Err(NO_CREDENTIAL),
        };
        let reason = BAD_DEVICE;
        let device = self.text(Key::Device, reason)?;
        let device = device.map(|name| DeviceName::new(&name).map_err(|_| reason)).transpose()?;
        Ok(Command::Auth { credential, device })
    }

    fn conversation(&self) -> Result<ConversationId, Reason> {
        let name = self.text(Key::Conversation, BAD_CONVERSATION)?.ok_or(NO_CONVERSATION)?;
        ConversationId::parse(&name).map_err(|_| BAD_CONVERSATION)
    }

    fn seq(&self) -> Result<Seq, Reason> {
        let seq = self.integer(Key::Seq, BAD_SEQ)?.ok_or(NO_SEQ)?;
        if seq == 0 { Err(BAD_SEQ) } else { Ok(Seq(seq)) }
    }

    fn sync(&self) -> Result<Command<'a>, Reason> {
        let cursors = match self.get(Key::Cursors) {
            Some(raw) => serde_json::from_str::<Cursors>(raw).map_err(|_| BAD_CURSORS)?.sorted()?,
            None => Vec::new(),
        };
        let next = self.text(Key::Next, BAD_NEXT)?;
        next.as_deref().map_or(Ok(()), check_token)?;
        Ok(Command::Sync { cursors, next })
    }

    fn history(&self) -> Result<Command<'a>, Reason> {
        let conversation = self.conversation()?;
        let limit = self.integer(Key::Limit, BAD_LIMIT)?;
        if limit == Some(0) {
            return Err(BAD_LIMIT);
        }
        Ok(Command::History {
            conversation,
            before: self.integer(Key::Before, BAD_BEFORE)?.map(Seq),
            after: self.integer(Key::After, BAD_AFTER)?.map(Seq),
            limit: limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        })
    }

    /// A refusal that names the command as far as it is readable.
    #[cold]
    fn refused(&self, reason: Reason) -> DecodeError {
        let command = self.get(Key::Type).and_then(text).map(|name| {
            let mut name = name.into_owned();
            name.truncate(name.floor_char_boundary(NAME_MAX));
            name
        });
        let id = self.id().ok().flatten().map(Cow::into_owned);
        DecodeError::Refused { code: ErrorCode::BadRequest, reason, command, id }
    }
}

/// What a message is that has no fields: JSON of another kind, or no JSON.
#[cold]
fn not_fields(text: &str) -> DecodeError {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return DecodeError::Malformed;
    }
    let reason = if text.trim_start().starts_with('{') { BAD_KEY } else { NOT_AN_OBJECT };
    DecodeError::Refused { code: ErrorCode::BadRequest, reason, command: None, id: None }
}

/// The string whose well-formed JSON text is `raw`; `None` when it is no string or has lone surrogates.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// The integer below 2^53 whose well-formed JSON text is `raw`.
pub(super) fn integer(raw: &str) -> Option<u64> {
    raw.parse().ok().filter(|n| *n < INTEGER_END)
}

#[cfg(test)]
mod tests;
