//! Reads one binary command, borrowing from the message. Knows the shapes of commands, no rules.

use super::envelope::{Asked, Envelope};
use super::schema::{self, auth::CredentialView as Shown, send_message, send_typing};
use crate::ids::{ConversationId, DeviceName, GroupName, NAME_MAX, Seq, UserName};
use crate::wire::reasons::{
    BAD_AFTER, BAD_BEFORE, BAD_CONVERSATION, BAD_DEVICE, BAD_GROUP, BAD_ID, BAD_MEMBER, BAD_SEQ, BAD_TO,
    BAD_USERNAME, INTEGER_END, NO_CONVERSATION, NO_CREDENTIAL, NO_GROUP, NO_SEQ, NO_TARGET, Reason,
};
use crate::wire::{
    Command, Credential, DecodeError, ErrorCode, Payload, PayloadKind, Request, Target, cursors::Cursors,
    cursors::check_token, value,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

const NO_COMMAND: Reason = "no command, or none that this server knows";
/// Unlike in JSON everyone has to be named: a kind of target that is not known here must not become a broadcast.
const NO_RECEIVER: Reason = "`to`, `group` or `everyone` must be given";
const NO_CONTENT: Reason = "`json`, `text` or `bytes` must be given";
const NOT_JSON: Reason = "`json` must be one JSON value";

/// Reads one message.
///
/// # Errors
/// [`DecodeError`]: no Protobuf at all, or a command that is refused.
pub fn decode(message: &[u8]) -> Result<Request<'_>, DecodeError> {
    let frame = Envelope::read(message).map_err(|_| DecodeError::Malformed)?;
    request(&frame).map_err(|reason| refused(&frame, reason))
}

fn request<'a>(frame: &Envelope<'a>) -> Result<Request<'a>, Reason> {
    if frame.id.len() > NAME_MAX {
        return Err(BAD_ID);
    }
    let command = match frame.command.as_ref().ok_or(NO_COMMAND)? {
        Asked::Message(asked) => Command::Message { target: target(asked)?, payload: payload(asked)? },
        Asked::Auth(asked) => auth(asked)?,
        Asked::JoinGroup(asked) => Command::JoinGroup { group: group(asked.group)? },
        Asked::LeaveGroup(asked) => Command::LeaveGroup { group: group(asked.group)? },
        Asked::Members(asked) => Command::Members {
            group: group(asked.group)?,
            after: given(asked.after).map(|name| user(name, BAD_MEMBER)).transpose()?,
        },
        Asked::Typing(asked) => Command::Typing { target: listener(asked)? },
        Asked::History(asked) => history(asked)?,
        Asked::Ping(_) => Command::Ping,
        Asked::Received(asked) => {
            Command::Received { conversation: conversation(asked.conversation)?, seq: seq(asked.seq)? }
        }
        Asked::Read(asked) => {
            Command::Read { conversation: conversation(asked.conversation)?, seq: seq(asked.seq)? }
        }
        Asked::Sync(asked) => sync(asked)?,
    };
    Ok(Request { id: given(frame.id).map(Cow::Borrowed), command })
}

/// A string of proto3 that is empty was not given.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn user(name: &str, reason: Reason) -> Result<UserName, Reason> {
    UserName::new(name).map_err(|_| reason)
}

fn group(name: &str) -> Result<GroupName, Reason> {
    GroupName::new(given(name).ok_or(NO_GROUP)?).map_err(|_| BAD_GROUP)
}

fn auth<'a>(asked: &schema::AuthView<'a>) -> Result<Command<'a>, Reason> {
    let credential = match asked.credential.as_ref().ok_or(NO_CREDENTIAL)? {
        Shown::Token(token) => Credential::Token(Cow::Borrowed(token)),
        Shown::Username(name) => Credential::Username(user(name, BAD_USERNAME)?),
    };
    let device = given(asked.device).map(|name| DeviceName::new(name).map_err(|_| BAD_DEVICE)).transpose()?;
    Ok(Command::Auth { credential, device })
}

fn target(asked: &schema::SendMessageView<'_>) -> Result<Target, Reason> {
    match asked.target.as_ref().ok_or(NO_RECEIVER)? {
        send_message::TargetView::To(name) => Ok(Target::User(user(name, BAD_TO)?)),
        send_message::TargetView::Group(name) => {
            Ok(Target::Group(GroupName::new(name).map_err(|_| BAD_GROUP)?))
        }
        send_message::TargetView::Everyone(_) => Ok(Target::Everyone),
    }
}

fn listener(asked: &schema::SendTypingView<'_>) -> Result<Target, Reason> {
    match asked.target.as_ref().ok_or(NO_TARGET)? {
        send_typing::TargetView::To(name) => Ok(Target::User(user(name, BAD_TO)?)),
        send_typing::TargetView::Group(name) => {
            Ok(Target::Group(GroupName::new(name).map_err(|_| BAD_GROUP)?))
        }
    }
}

fn payload<'a>(asked: &schema::SendMessageView<'a>) -> Result<Payload<'a>, Reason> {
    let (kind, bytes) = match *asked.content.as_ref().ok_or(NO_CONTENT)? {
        send_message::ContentView::Json(text) => (PayloadKind::Json, json(text)?.as_bytes()),
        send_message::ContentView::Text(text) => (PayloadKind::Text, text.as_bytes()),
        send_message::ContentView::Bytes(bytes) => (PayloadKind::Bytes, bytes),
    };
    Ok(Payload { kind, bytes })
}

/// The value in `text`, without the white space around it, as a JSON client would have sent it.
fn json(text: &str) -> Result<&str, Reason> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| NOT_JSON)?;
    value::check(raw.get())?;
    Ok(raw.get())
}

fn conversation(name: &str) -> Result<ConversationId, Reason> {
    ConversationId::parse(given(name).ok_or(NO_CONVERSATION)?).map_err(|_| BAD_CONVERSATION)
}

fn seq(seq: u64) -> Result<Seq, Reason> {
    match seq {
        0 => Err(NO_SEQ),
        INTEGER_END.. => Err(BAD_SEQ),
        seq => Ok(Seq(seq)),
    }
}

fn sync<'a>(asked: &schema::RequestSyncView<'a>) -> Result<Command<'a>, Reason> {
    let mut held = Cursors::default();
    for cursor in &asked.cursors {
        held.add(ConversationId::parse(cursor.conversation).ok(), Some(cursor.seq));
    }
    let (cursors, next) = (held.sorted()?, given(asked.next));
    next.map_or(Ok(()), check_token)?;
    Ok(Command::Sync { cursors, next: next.map(Cow::Borrowed) })
}

fn history<'a>(asked: &schema::ReadHistoryView<'a>) -> Result<Command<'a>, Reason> {
    let bound = |seq: Option<u64>, reason| match seq {
        Some(INTEGER_END..) => Err(reason),
        seq => Ok(seq.map(Seq)),
    };
    Ok(Command::History {
        conversation: conversation(asked.conversation)?,
        before: bound(asked.before, BAD_BEFORE)?,
        after: bound(asked.after, BAD_AFTER)?,
        limit: Some(asked.limit).filter(|limit| *limit > 0),
    })
}

/// A refusal that names the command, as JSON calls it, and the id.
#[cold]
fn refused(frame: &Envelope<'_>, reason: Reason) -> DecodeError {
    let command = frame.command.as_ref().map(|asked| asked.name().to_owned());
    let id = given(frame.id).filter(|id| id.len() <= NAME_MAX).map(str::to_owned);
    DecodeError::Refused { code: ErrorCode::BadRequest, reason, command, id }
}

#[cfg(test)]
mod tests;
