//! Longwire's binary frames as the JSON that says the same: the small server has one set of rules for both.
use buffa::Message as _;
use longwire::wire::proto::schema::{
    self, ClientFrame, ServerFrame, auth::Credential, client_frame::Command, message, send_message,
    server_frame::Event,
};
use serde_json::{Value, json};

pub(crate) const SUBPROTOCOL: &str = "longwire.proto.v1";

/// A command as JSON has it.
pub(crate) fn command(frame: &[u8]) -> Value {
    let ClientFrame { id, command } = ClientFrame::decode_from_slice(frame).unwrap();
    let mut value = match command.unwrap() {
        Command::Auth(auth) => match auth.credential.unwrap() {
            Credential::Username(name) => json!({"type": "auth", "username": name}),
            Credential::Token(token) => json!({"type": "auth", "token": token}),
        },
        Command::JoinGroup(join) => json!({"type": "joinGroup", "group": join.group}),
        Command::Ping(_) => json!({"type": "ping"}),
        Command::Message(sent) => {
            let Some(send_message::Content::Text(text)) = sent.content else { panic!("no text") };
            let mut value = json!({"type": "message", "message": text});
            match sent.target.unwrap() {
                send_message::Target::To(user) => value["to"] = user.into(),
                send_message::Target::Group(group) => value["group"] = group.into(),
                send_message::Target::Everyone(_) => {}
            }
            value
        }
        other => panic!("the generator never says {other:?}"),
    };
    if !id.is_empty() {
        value["id"] = id.into();
    }
    value
}

/// An event of which JSON is given.
pub(crate) fn event(value: &Value) -> Vec<u8> {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let event: Event = match value["type"].as_str().unwrap() {
        "authenticated" => schema::Authenticated { user: text("user"), ..Default::default() }.into(),
        "joined" => schema::Joined::default().into(),
        "error" => {
            let code = u32::try_from(value["code"].as_u64().unwrap()).unwrap();
            schema::Error { code, reason: text("reason"), command: text("for"), ..Default::default() }.into()
        }
        "pong" => schema::Pong { time: 1 }.into(),
        "ack" => schema::Ack { seq: 1, ..Default::default() }.into(),
        "message" => {
            let content = Some(message::Content::Text(text("message")));
            // Behind the content stands more, as in a real one.
            schema::Message { sender: text("from"), content, seq: 46, time: 1, ..Default::default() }.into()
        }
        other => panic!("no event is called {other}"),
    };
    ServerFrame { id: text("id"), event: Some(event) }.encode_to_vec()
}
