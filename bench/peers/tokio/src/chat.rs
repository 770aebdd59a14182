//! One chat connection: commands in, messages out. Knows no table.
use crate::rooms::{Guest, Rooms};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tokio::net::TcpStream;
use tokio::sync::mpsc::channel;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Messages that wait for one connection.
const OUTBOX: usize = 1024;

#[derive(Deserialize)]
struct Command<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    username: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Delivery<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    message: &'a RawValue,
}

/// Talks until the connection ends.
pub(crate) async fn talk(socket: WebSocketStream<TcpStream>, rooms: &Rooms) -> anyhow::Result<()> {
    let (outbox, mut inbox) = channel(OUTBOX);
    let mut guest = rooms.enter(outbox);
    let ended = exchange(socket, &mut inbox, &mut guest, rooms).await;
    rooms.leave(guest);
    ended
}

async fn exchange(
    mut socket: WebSocketStream<TcpStream>,
    inbox: &mut tokio::sync::mpsc::Receiver<Utf8Bytes>,
    guest: &mut Guest,
    rooms: &Rooms,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(text)) => command(&text, guest, rooms),
                Some(_) => {}
                None => return Ok(()),
            },
            Some(text) = inbox.recv() => {
                socket.feed(Message::Text(text)).await?;
                while let Ok(text) = inbox.try_recv() {
                    socket.feed(Message::Text(text)).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

fn command(text: &str, guest: &mut Guest, rooms: &Rooms) {
    // The tutorial answers no errors.
    let Ok(command) = serde_json::from_str::<Command<'_>>(text) else { return };
    match (&*command.kind, command.message) {
        ("auth", _) => {
            if let Some(name) = command.username {
                rooms.sign_in(guest, name.into_owned());
            }
        }
        ("joinGroup", _) => {
            if let Some(group) = command.group {
                rooms.join(guest, group.into_owned());
            }
        }
        ("message", Some(message)) => {
            let (from, group) = (guest.name.as_deref(), command.group.as_deref());
            let delivery = Delivery { kind: "message", from, group, message };
            let Ok(text) = serde_json::to_string(&delivery).map(Utf8Bytes::from) else { return };
            match (command.to, command.group) {
                (Some(to), _) => rooms.to_user(&to, text),
                (None, Some(group)) => rooms.to_group(guest, &group, &text),
                (None, None) => rooms.to_everyone(guest, &text),
            }
        }
        _ => {}
    }
}
