//! Commands as a client writes them: as a binary frame, and as JSON. Knows the server's types only to start from them.

use crate::schema::{
    self, Auth, ClientFrame, Cursor, Everyone, JoinGroup, LeaveGroup, ListMembers, MarkRead, MarkReceived,
    Ping, ReadHistory, RequestSync, SendMessage, SendTyping, auth::Credential,
    client_frame::Command as Asked, send_message, send_typing,
};
use longwire::wire::{self, Command, PayloadKind, Request, Target};
use serde_json::value::RawValue;

/// The frame that asks for `request`.
///
/// # Panics
/// When text or JSON of the request is not UTF-8, or it is about typing to everyone: no decoder lets that pass.
pub fn frame(request: &Request<'_>) -> ClientFrame {
    let id = request.id.as_deref().unwrap_or_default().to_owned();
    let command = match &request.command {
        Command::Auth { credential, device } => Asked::Auth(Auth {
            device: device.as_ref().map_or("", |device| device.as_str()).to_owned(),
            credential: Some(match credential {
                wire::Credential::Token(token) => Credential::Token(token.to_string()),
                wire::Credential::Username(name) => Credential::Username(name.as_str().to_owned()),
            }),
        }),
        Command::Message { target, payload } => {
            let text = || str::from_utf8(payload.bytes).expect("UTF-8").to_owned();
            Asked::Message(SendMessage {
                target: Some(match target {
                    Target::User(user) => send_message::Target::To(user.as_str().to_owned()),
                    Target::Group(group) => send_message::Target::Group(group.as_str().to_owned()),
                    Target::Everyone => send_message::Target::Everyone(Everyone {}),
                }),
                content: Some(match payload.kind {
                    PayloadKind::Json => send_message::Content::Json(text()),
                    PayloadKind::Text => send_message::Content::Text(text()),
                    PayloadKind::Bytes => send_message::Content::Bytes(payload.bytes.into()),
                }),
            })
        }
        Command::JoinGroup { group } => Asked::JoinGroup(JoinGroup { group: group.as_str().to_owned() }),
        Command::LeaveGroup { group } => Asked::LeaveGroup(LeaveGroup { group: group.as_str().to_owned() }),
        Command::Members { group, after } => Asked::Members(ListMembers {
            group: group.as_str().to_owned(),
            after: after.as_ref().map_or("", |after| after.as_str()).to_owned(),
        }),
        Command::Typing { target } => Asked::Typing(SendTyping {
            target: Some(match target {
                Target::User(user) => send_typing::Target::To(user.as_str().to_owned()),
                Target::Group(group) => send_typing::Target::Group(group.as_str().to_owned()),
                Target::Everyone => panic!("nobody types to everyone"),
            }),
        }),
        Command::History { conversation, before, after, limit } => Asked::History(ReadHistory {
            conversation: conversation.as_str().to_owned(),
            before: before.map(|seq| seq.0),
            after: after.map(|seq| seq.0),
            limit: limit.unwrap_or_default(),
        }),
        Command::Sync { cursors, next } => Asked::Sync(RequestSync {
            cursors: cursors
                .iter()
                .map(|(name, seq)| Cursor { conversation: name.as_str().to_owned(), seq: seq.0 })
                .collect(),
            next: next.as_deref().unwrap_or_default().to_owned(),
        }),
        Command::Received { conversation, seq } => {
            Asked::Received(MarkReceived { conversation: conversation.as_str().to_owned(), seq: seq.0 })
        }
        Command::Read { conversation, seq } => {
            Asked::Read(MarkRead { conversation: conversation.as_str().to_owned(), seq: seq.0 })
        }
        Command::Ping => Asked::Ping(Ping {}),
    };
    ClientFrame { id, command: Some(command) }
}

/// The command's name in JSON.
pub fn name(command: &Asked) -> &'static str {
    match command {
        Asked::Message(_) => "message",
        Asked::Auth(_) => "auth",
        Asked::JoinGroup(_) => "joinGroup",
        Asked::LeaveGroup(_) => "leaveGroup",
        Asked::Members(_) => "members",
        Asked::Typing(_) => "typing",
        Asked::History(_) => "history",
        Asked::Ping(_) => "ping",
        Asked::Received(_) => "received",
        Asked::Read(_) => "read",
        Asked::Sync(_) => "sync",
    }
}

/// The same command in JSON; `None` when JSON cannot say it: content that is text or bytes, or no JSON, and what is missing
/// where JSON would mean something else by that.
pub fn json(frame: &ClientFrame) -> Option<String> {
    let command = frame.command.as_ref()?;
    let mut object = Object::default();
    object.text("type", name(command));
    object.given("id", &frame.id);
    match command {
        Asked::Auth(Auth { credential, device }) => {
            match credential {
                Some(Credential::Token(token)) => object.text("token", token),
                Some(Credential::Username(name)) => object.text("username", name),
                None => {}
            }
            object.given("device", device);
        }
        Asked::Message(SendMessage { target, content }) => {
            match target.as_ref()? {
                send_message::Target::To(user) => object.text("to", user),
                send_message::Target::Group(group) => object.text("group", group),
                send_message::Target::Everyone(schema::Everyone {}) => {}
            }
            match content {
                Some(send_message::Content::Json(text)) => {
                    serde_json::from_str::<&RawValue>(text).ok()?;
                    object.raw("message", text);
                }
                Some(send_message::Content::Text(_) | send_message::Content::Bytes(_)) => return None,
                None => {}
            }
        }
        Asked::JoinGroup(JoinGroup { group }) | Asked::LeaveGroup(LeaveGroup { group }) => {
            object.text("group", group);
        }
        Asked::Members(ListMembers { group, after }) => {
            object.text("group", group);
            object.given("after", after);
        }
        Asked::Typing(SendTyping { target }) => match target {
            Some(send_typing::Target::To(user)) => object.text("to", user),
            Some(send_typing::Target::Group(group)) => object.text("group", group),
            None => {}
        },
        Asked::History(ReadHistory { conversation, before, after, limit }) => {
            object.text("conversation", conversation);
            for (key, number) in [("before", *before), ("after", *after)] {
                number.into_iter().for_each(|number| object.raw(key, &number.to_string()));
            }
            if *limit > 0 {
                object.raw("limit", &limit.to_string());
            }
        }
        Asked::Received(MarkReceived { conversation, seq }) | Asked::Read(MarkRead { conversation, seq }) => {
            object.given("conversation", conversation);
            if *seq > 0 {
                object.raw("seq", &seq.to_string());
            }
        }
        Asked::Sync(RequestSync { cursors, next }) => {
            if !cursors.is_empty() {
                let mut held = Object::default();
                cursors.iter().for_each(|one| held.raw(&one.conversation, &one.seq.to_string()));
                object.raw("cursors", &held.written());
            }
            object.given("next", next);
        }
        Asked::Ping(Ping {}) => {}
    }
    Some(object.written())
}

/// A JSON object that is being written.
#[derive(Default)]
struct Object {
    fields: Vec<String>,
}

impl Object {
    fn raw(&mut self, key: &str, value: &str) {
        let key = serde_json::to_string(key).expect("a string");
        self.fields.push(format!("{key}:{value}"));
    }

    fn written(&self) -> String {
        format!("{{{}}}", self.fields.join(","))
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &serde_json::to_string(value).expect("a string"));
    }

    /// A string of proto3 that is empty was not given.
    fn given(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }
}
