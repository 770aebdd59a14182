//! Longwire's binary messages: frames of `longwire.proto.v1`, made from the types of the schema. Knows no file.
use super::{Answer, To};
use buffa::Message as _;
use longwire::wire::proto::schema::{
    self, Auth, ClientFrame, JoinGroup, Ping, SendMessage, ServerFrame, auth::Credential,
    client_frame::Command, send_message::Content, send_message::Target, server_frame::Event,
};

/// Signs in by name.
pub(super) fn sign_in(user: &str) -> Vec<u8> {
    let credential = Some(Credential::Username(user.to_owned()));
    command(Auth { credential, ..Auth::default() }, "")
}

/// Signs in by token.
pub(super) fn sign_in_by_token(token: &str) -> Vec<u8> {
    let credential = Some(Credential::Token(token.to_owned()));
    command(Auth { credential, ..Auth::default() }, "")
}

/// Joins a group.
pub(super) fn join(group: &str) -> Vec<u8> {
    command(JoinGroup { group: group.to_owned() }, "")
}

/// Asks for a sign of life.
pub(super) fn ping() -> Vec<u8> {
    command(Ping::default(), "")
}

/// A message. What is a string in JSON is text here: the same content in another encoding.
pub(super) fn message(to: To<'_>, content: &str, id: Option<&str>) -> Vec<u8> {
    let target = match to {
        To::User(user) => Target::To(user.to_owned()),
        To::Group(group) => Target::Group(group.to_owned()),
        // No server that echoes speaks this.
        To::Everyone | To::Back => schema::Everyone::default().into(),
    };
    let content = Content::Text(content.to_owned());
    command(SendMessage { target: Some(target), content: Some(content) }, id.unwrap_or_default())
}

/// By which first byte each answer is known: the tag of the event, which is the first field of every frame that a Longwire
/// server sends.
pub(super) fn answers() -> Vec<(Box<[u8]>, Answer)> {
    let kinds: [(Event, Answer); 5] = [
        (schema::Authenticated::default().into(), Answer::Authenticated),
        (schema::Joined::default().into(), Answer::Joined),
        (schema::Ack::default().into(), Answer::Ack),
        (schema::Pong::default().into(), Answer::Pong),
        (schema::Error::default().into(), Answer::Error),
    ];
    let first =
        |event| ServerFrame { event: Some(event), ..ServerFrame::default() }.encode_to_vec()[..1].into();
    kinds.into_iter().map(|(event, answer)| (first(event), answer)).collect()
}

/// An error answer in words.
pub(super) fn error(frame: &[u8]) -> Option<String> {
    match ServerFrame::decode_from_slice(frame).ok()?.event? {
        Event::Error(error) => Some(format!("error {} to {}: {}", error.code, error.command, error.reason)),
        _ => None,
    }
}

fn command(command: impl Into<Command>, id: &str) -> Vec<u8> {
    ClientFrame { command: Some(command.into()), id: id.to_owned() }.encode_to_vec()
}
