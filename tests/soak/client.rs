//! A client of either encoding, which compresses or not. Knows the protocol, and no test's purpose.

use crate::common::proto::{self, Fields, ask, said};
use crate::common::raw::{BINARY, CLOSE, DEFLATED, PING, PONG, TEXT, UPGRADE, deflate, frame, inflate};
use crate::server::{Address, Stream, Way};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};

/// The place of `resync` in `ServerFrame`.
const RESYNC: u8 = 12;
/// The place of `text` that is JSON in `SendMessage`.
const JSON: u8 = 4;

/// How a client connects and speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavour {
    /// Protobuf, else JSON.
    pub(crate) binary: bool,
    /// The window of what it can read, if it offers compression.
    pub(crate) window: Option<u8>,
    pub(crate) way: Way,
}

/// What a client hears.
#[derive(Debug)]
pub(crate) enum Event {
    Authenticated,
    Message {
        conversation: String,
        seq: u64,
        prev: u64,
        content: Value,
    },
    Ack {
        id: String,
        conversation: String,
        seq: u64,
        duplicate: bool,
    },
    History {
        messages: Vec<(u64, Value)>,
        more: bool,
    },
    Joined,
    Pong,
    Resync,
    /// What others do in a group.
    Other,
    Closed(u16),
    /// The stream ended.
    End,
    /// Nothing for as long as the stream waits.
    Silence,
}

/// Whom a message goes to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    User(String),
    Group(String),
    Everyone,
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    flavour: Flavour,
    /// It was agreed on.
    pub(crate) deflates: bool,
    unread: Vec<u8>,
    /// The newest number heard of each conversation, acks included.
    newest: HashMap<String, u64>,
}

impl Client {
    /// An upgraded connection.
    pub(crate) fn connect(address: &Address, flavour: Flavour) -> Self {
        let mut client = Self {
            stream: address.connect(flavour.way),
            flavour,
            deflates: flavour.window.is_some(),
            unread: Vec::new(),
            newest: HashMap::new(),
        };
        let mut fields = String::new();
        if flavour.binary {
            fields += "Sec-WebSocket-Protocol: longwire.proto.v1\r\n";
        }
        if let Some(bits) = flavour.window {
            let bits = if bits == 15 { String::new() } else { format!("; server_max_window_bits={bits}") };
            fields +=
                &format!("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits{bits}\r\n");
        }
        client.write(UPGRADE.replacen("\r\n\r\n", &format!("\r\n{fields}\r\n"), 1).as_bytes());
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(head.contains("permessage-deflate"), client.deflates, "{head}");
        client
    }

    /// A signed-in connection; what its user's other devices cause may come at once.
    pub(crate) fn sign_in(address: &Address, flavour: Flavour, user: &str, device: &str) -> Self {
        let mut client = Self::connect(address, flavour);
        if flavour.binary {
            client.send(&proto::command(ask::AUTH, &[(2, user.as_bytes()), (3, device.as_bytes())], ""));
        } else {
            client.send(json!({"type": "auth", "username": user, "device": device}).to_string().as_bytes());
        }
        client.read_until(|event| matches!(event, Event::Authenticated));
        client
    }

    /// Writes bytes; a connection that the server has ended takes none.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// A frame of a command, compressed if that was agreed on.
    pub(crate) fn framed(&self, command: &[u8]) -> Vec<u8> {
        let kind = if self.flavour.binary { BINARY } else { TEXT };
        if self.deflates && command.len() > 200 {
            frame(kind | DEFLATED, &deflate(command))
        } else {
            frame(kind, command)
        }
    }

    fn send(&mut self, command: &[u8]) {
        let bytes = self.framed(command);
        self.write(&bytes);
    }

    /// A message as a frame.
    pub(crate) fn message(&self, target: &Target, content: &Value, id: &str) -> Vec<u8> {
        if self.flavour.binary {
            let target = match target {
                Target::User(user) => (1, user.as_bytes()),
                Target::Group(group) => (2, group.as_bytes()),
                Target::Everyone => (3, &b""[..]),
            };
            let content = content.to_string();
            return self.framed(&proto::command(ask::MESSAGE, &[target, (JSON, content.as_bytes())], id));
        }
        let mut command = json!({"type": "message", "message": content, "id": id});
        match target {
            Target::User(user) => command["to"] = json!(user),
            Target::Group(group) => command["group"] = json!(group),
            Target::Everyone => {}
        }
        self.framed(command.to_string().as_bytes())
    }

    /// Joins a group.
    pub(crate) fn join(&mut self, group: &str) {
        if self.flavour.binary {
            self.send(&proto::command(ask::JOIN_GROUP, &[(1, group.as_bytes())], ""));
        } else {
            self.send(json!({"type": "joinGroup", "group": group}).to_string().as_bytes());
        }
        self.read_until(|event| matches!(event, Event::Joined));
    }

    /// A page of a conversation, the newest below `before`, and whether there are older ones.
    pub(crate) fn history(&mut self, conversation: &str, before: u64) -> (Vec<(u64, Value)>, bool) {
        assert!(!self.flavour.binary, "a reader speaks JSON");
        let command =
            json!({"type": "history", "conversation": conversation, "before": before, "limit": 100});
        self.send(command.to_string().as_bytes());
        match self.read_until(|event| matches!(event, Event::History { .. })) {
            Event::History { messages, more } => (messages, more),
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads up to the event that fits; nothing but messages and what others do may come before it.
    pub(crate) fn read_until(&mut self, fits: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next();
            if fits(&event) {
                return event;
            }
            let passed_over = matches!(event, Event::Message { .. } | Event::Ack { .. } | Event::Other);
            assert!(passed_over, "{event:?} in {:?}", self.flavour);
        }
    }

    /// The next event. What is heard of a conversation has growing numbers.
    pub(crate) fn next(&mut self) -> Event {
        let event = self.read_event();
        let place = match &event {
            Event::Message { conversation, seq, .. } => Some((conversation, *seq)),
            Event::Ack { conversation, seq, duplicate: false, .. } => Some((conversation, *seq)),
            _ => None,
        };
        if let Some((conversation, seq)) = place.filter(|(conversation, _)| !conversation.is_empty()) {
            let before = self.newest.insert(conversation.clone(), seq).unwrap_or_default();
            assert!(before < seq, "{conversation} had {before}, then {seq}: {event:?}");
        }
        event
    }

    fn read_event(&mut self) -> Event {
        loop {
            let Some((first, payload)) = self.next_frame() else { return Event::End };
            let payload = if first & DEFLATED == 0 {
                payload
            } else {
                inflate(&payload, self.flavour.window.expect("it was agreed on"))
            };
            match first & !DEFLATED {
                0 => return Event::Silence,
                PING => self.write(&frame(PONG, &payload)),
                PONG => {}
                CLOSE => {
                    return Event::Closed(
                        payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)),
                    );
                }
                TEXT if !self.flavour.binary => return json_event(&payload),
                BINARY if self.flavour.binary => return proto_event(&payload),
                other => panic!("a frame that begins with {other:x}: {payload:?}"),
            }
        }
    }

    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((start, end)) = crate::common::raw::whole(&self.unread) {
                let first = self.unread[0];
                let payload = self.unread[start..end].to_vec();
                self.unread.drain(..end);
                return Some((first, payload));
            }
            match self.fill() {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Some((0, Vec::new()));
                }
                Err(_) => return None,
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16_384];
        let size = self.stream.read(&mut buffer)?;
        self.unread.extend_from_slice(&buffer[..size]);
        Ok(size)
    }

    fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                return String::from_utf8(self.unread.drain(..end + 4).collect()).expect("a head is text");
            }
            assert!(self.fill().expect("an answer") > 0, "the connection ended before an answer");
        }
    }
}

fn json_event(payload: &[u8]) -> Event {
    let mut event: Value = serde_json::from_slice(payload).expect("events are JSON");
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| event[name].as_u64().unwrap_or_default();
    match event["type"].as_str().expect("a type") {
        "authenticated" => Event::Authenticated,
        "message" => {
            let (conversation, seq, prev) = (text("conversation"), number("seq"), number("prev"));
            Event::Message { conversation, seq, prev, content: event["message"].take() }
        }
        "ack" => Event::Ack {
            id: text("id"),
            conversation: text("conversation"),
            seq: number("seq"),
            duplicate: event["duplicate"] == true,
        },
        "history" => {
            let messages = event["messages"].as_array().expect("messages").iter();
            let messages = messages.map(|one| (one["seq"].as_u64().expect("a seq"), one["message"].clone()));
            Event::History { messages: messages.collect(), more: event["more"] == true }
        }
        "joined" => Event::Joined,
        "pong" => Event::Pong,
        "resync" => Event::Resync,
        "groupEvent" => Event::Other,
        _ => panic!("{event}"),
    }
}

fn proto_event(payload: &[u8]) -> Event {
    let frame = proto::read(payload);
    let event = &frame.event;
    match frame.what {
        said::AUTHENTICATED => Event::Authenticated,
        said::MESSAGE => Event::Message {
            conversation: event.text(9).to_owned(),
            seq: event.number(10),
            prev: event.number(11),
            content: serde_json::from_str(event.text(5)).expect("JSON"),
        },
        said::ACK => Event::Ack {
            conversation: event.text(1).to_owned(),
            seq: event.number(2),
            duplicate: event.number(6) == 1,
            id: frame.id,
        },
        said::JOINED => Event::Joined,
        said::PONG => Event::Pong,
        RESYNC => Event::Resync,
        said::GROUP_EVENT => Event::Other,
        _ => panic!("{}: {:?}", frame.what, Fields::of(payload)),
    }
}
