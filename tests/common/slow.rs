//! A client with a small window that reads only when a test wants it to, in either encoding. Knows groups and messages.

use super::raw::{BINARY, CLOSE, PING, Raw, TEXT, UPGRADE, auth, frame, text};
use super::{PATIENCE, TestServer, proto};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Its receive buffer (bytes): little is under way in the kernel.
const WINDOW: usize = 4096;
/// The place of `resync` in `ServerFrame`.
const RESYNC: u8 = 12;

/// What a slow client reads.
#[derive(PartialEq, Eq, Debug)]
pub enum Heard {
    /// A message, by its id.
    Message(String),
    Typing,
    Resync,
    /// Another event, as it came.
    Other(Vec<u8>),
    /// The server's close frame; the end of the stream follows.
    Closed(u16),
    End,
}

/// The client.
pub struct Slow {
    pub raw: Raw,
    binary: bool,
}

impl Slow {
    /// A user signed in by name.
    pub fn sign_in(server: &TestServer, user: &str, binary: bool) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(WINDOW).expect("a small buffer");
        socket.connect(&server.address().into()).expect("the server accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut raw = Raw::over(socket.into());
        let (head, auth) = if binary {
            let offer = format!("\r\nSec-WebSocket-Protocol: {}\r\n\r\n", proto::SUBPROTOCOL);
            (UPGRADE.replacen("\r\n\r\n", &offer, 1), frame(BINARY, &proto::auth(user)))
        } else {
            (UPGRADE.to_string(), auth(user))
        };
        raw.write(head.as_bytes());
        raw.expect_upgrade();
        raw.write(&auth);
        let mut slow = Self { raw, binary };
        assert!(matches!(slow.next(), Heard::Other(_)), "authenticated");
        slow
    }

    /// Joins a group in which nobody is told of it.
    pub fn join(&mut self, group: &str) {
        let join = if self.binary {
            frame(BINARY, &proto::command(proto::ask::JOIN_GROUP, &[(1, group.as_bytes())], ""))
        } else {
            text(&json!({"type": "joinGroup", "group": group}))
        };
        self.raw.write(&join);
        assert!(matches!(self.next(), Heard::Other(_)), "joined");
    }

    /// Reads what comes next; pings are passed over.
    pub fn next(&mut self) -> Heard {
        loop {
            match self.raw.next_frame() {
                None => return Heard::End,
                Some((PING, _)) => {}
                Some((CLOSE, payload)) => return Heard::Closed(u16::from_be_bytes([payload[0], payload[1]])),
                Some((TEXT, payload)) if !self.binary => return json_event(payload),
                Some((BINARY, payload)) if self.binary => return proto_event(payload),
                Some(other) => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// Reads up to what fits, and returns the ids of the messages before it.
    pub fn read_until(&mut self, fits: &Heard) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next() {
                heard if heard == *fits => return before,
                Heard::Message(id) => before.push(id),
                other => panic!("expected {fits:?}, got {other:?} after {} messages", before.len()),
            }
        }
    }
}

fn json_event(payload: Vec<u8>) -> Heard {
    let event: Value = serde_json::from_slice(&payload).expect("events are JSON");
    match event["type"].as_str() {
        Some("message") => Heard::Message(event["id"].as_str().unwrap_or_default().to_string()),
        Some("typing") => Heard::Typing,
        Some("resync") => Heard::Resync,
        _ => Heard::Other(payload),
    }
}

fn proto_event(payload: Vec<u8>) -> Heard {
    let said = proto::read(&payload);
    match said.what {
        proto::said::MESSAGE => Heard::Message(said.event.text(8).to_string()),
        proto::said::TYPING => Heard::Typing,
        RESYNC => Heard::Resync,
        _ => Heard::Other(payload),
    }
}
