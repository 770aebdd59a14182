//! One chat connection: commands in, messages out. Knows no table.
use crate::rooms::{Guest, Rooms};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};
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
    let (sink, mut stream) = socket.split();
    let (outbox, inbox) = channel(OUTBOX);
    // A task of its own: woken for a message, it does not look at what came in.
    let writer = tokio::spawn(write(sink, inbox));
    let mut guest = rooms.enter(outbox);
    let ended = loop {
        match stream.next().await.transpose() {
            Ok(Some(Message::Text(text))) => command(&text, &mut guest, rooms),
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    rooms.leave(guest);
    writer.abort();
    ended
}

/// Sends what waits, all of it in one flush.
async fn write(mut sink: SplitSink<WebSocketStream<TcpStream>, Message>, mut inbox: Receiver<Utf8Bytes>) {
    while let Some(text) = inbox.recv().await {
        let mut fed = sink.feed(Message::Text(text)).await;
        while let (Ok(()), Ok(text)) = (&fed, inbox.try_recv()) {
            fed = sink.feed(Message::Text(text)).await;
        }
        // The reading side learns of a broken connection by itself.
        if fed.is_err() || sink.flush().await.is_err() {
            return;
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
