//! A client that knows the schema's numbers and nothing else: Protobuf by hand, so that no codec is checked by itself.
//! Knows no JSON.

use super::TestServer;
use std::net::TcpStream;
use tungstenite::{ClientRequestBuilder, Error, Message, WebSocket};

/// What selects the encoding at the upgrade.
pub const SUBPROTOCOL: &str = "longwire.proto.v1";

/// The commands' places in `ClientFrame`.
pub mod ask {
    pub const MESSAGE: u8 = 1;
    pub const AUTH: u8 = 2;
    pub const JOIN_GROUP: u8 = 3;
    pub const LEAVE_GROUP: u8 = 4;
    pub const MEMBERS: u8 = 5;
    pub const TYPING: u8 = 6;
    pub const HISTORY: u8 = 7;
    pub const PING: u8 = 8;
    pub const RECEIVED: u8 = 9;
    pub const READ: u8 = 10;
    pub const SYNC: u8 = 11;
}

/// The events' places in `ServerFrame`.
pub mod said {
    pub const MESSAGE: u8 = 1;
    pub const ACK: u8 = 2;
    pub const ERROR: u8 = 3;
    pub const AUTHENTICATED: u8 = 4;
    pub const JOINED: u8 = 5;
    pub const LEFT: u8 = 6;
    pub const GROUP_EVENT: u8 = 7;
    pub const MEMBERS: u8 = 8;
    pub const HISTORY: u8 = 9;
    pub const TYPING: u8 = 10;
    pub const PONG: u8 = 11;
    pub const SYNC: u8 = 16;
    pub const RECEIPT: u8 = 17;
}

/// The place of `id` in both frames.
const ID: u8 = 15;
/// The wire types in use.
const VARINT: u8 = 0;
const LENGTH: u8 = 2;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number does not end early");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// A field with a length: text, bytes or a message.
pub fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | LENGTH];
    varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

/// A `ClientFrame`: one command with its fields, which have lengths all, and an id unless it is empty.
pub fn command(command: u8, fields: &[(u8, &[u8])], id: &str) -> Vec<u8> {
    let fields: Vec<u8> = fields.iter().flat_map(|(number, content)| field(*number, content)).collect();
    let id = if id.is_empty() { Vec::new() } else { field(ID, id) };
    [field(command, fields), id].concat()
}

/// `auth` by name.
pub fn auth(user: &str) -> Vec<u8> {
    command(ask::AUTH, &[(2, user.as_bytes())], "")
}

/// The fields of a message in the order in which they came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields(Vec<(u8, Value)>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    /// Reads a message.
    pub fn of(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = take_varint(&mut bytes);
            let number = u8::try_from(tag >> 3).expect("the schema's numbers are small");
            let value = match tag as u8 & 7 {
                VARINT => Value::Number(take_varint(&mut bytes)),
                LENGTH => {
                    let length = take_varint(&mut bytes) as usize;
                    let (content, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(content.to_vec())
                }
                other => panic!("the schema has no field of wire type {other}"),
            };
            fields.push((number, value));
        }
        Self(fields)
    }

    /// The contents of all fields of a number.
    pub fn all(&self, number: u8) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(n, _)| *n == number).filter_map(|(_, value)| match value {
            Value::Bytes(bytes) => Some(bytes.as_slice()),
            Value::Number(_) => None,
        })
    }

    /// Whether there is a field of this number.
    pub fn has(&self, number: u8) -> bool {
        self.0.iter().any(|(n, _)| *n == number)
    }

    /// The text of a field; empty when it is absent.
    pub fn text(&self, number: u8) -> &str {
        self.all(number).last().map_or("", |bytes| str::from_utf8(bytes).expect("text is UTF-8"))
    }

    /// The number in a field; 0 when it is absent.
    pub fn number(&self, number: u8) -> u64 {
        let last = self.0.iter().rev().find(|(n, _)| *n == number);
        last.map_or(0, |(_, value)| match value {
            Value::Number(number) => *number,
            Value::Bytes(bytes) => panic!("a number was expected, not {bytes:?}"),
        })
    }
}

/// A `ServerFrame`, taken apart.
#[derive(Debug)]
pub struct Said {
    /// The event's place.
    pub what: u8,
    /// What it says.
    pub event: Fields,
    /// The id of the command that it answers.
    pub id: String,
}

/// Reads a `ServerFrame`: exactly one event, and maybe an id.
pub fn read(frame: &[u8]) -> Said {
    let fields = Fields::of(frame);
    let events: Vec<_> = fields.0.iter().filter(|(number, _)| *number != ID).collect();
    let [(what, Value::Bytes(event))] = events[..] else { panic!("one event, not {fields:?}") };
    Said { what: *what, event: Fields::of(event), id: fields.text(ID).to_owned() }
}

/// A client on a binary connection.
pub struct Binary {
    /// The WebSocket, for what a test does on its own.
    pub socket: WebSocket<TcpStream>,
}

impl Binary {
    /// A connection that nobody signed in on.
    pub fn connect(server: &TestServer) -> Self {
        let uri = format!("ws://{}/", server.address()).parse().expect("a URI");
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
        let (socket, answer) = tungstenite::client(request, server.tcp()).expect("the upgrade");
        assert_eq!(answer.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        Self { socket }
    }

    /// A user signed in by name.
    pub fn sign_in(server: &TestServer, user: &str) -> Self {
        let mut client = Self::connect(server);
        let said = client.ask(auth(user), said::AUTHENTICATED);
        assert_eq!(said.event.text(1), user);
        client
    }

    /// Sends one frame.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.socket.send(Message::binary(frame)).expect("the connection takes a command");
    }

    /// The next event, whatever it is, which must come in a binary frame.
    pub fn next(&mut self) -> Said {
        loop {
            match self.socket.read().expect("a message arrives") {
                Message::Binary(frame) => return read(&frame),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected an event in binary, got {other:?}"),
            }
        }
    }

    /// The next event, which must be this one.
    pub fn expect(&mut self, what: u8) -> Said {
        let next = self.next();
        assert_eq!(next.what, what, "{next:?}");
        next
    }

    /// Sends a command and returns the answer, which must be this one.
    pub fn ask(&mut self, frame: Vec<u8>, answer: u8) -> Said {
        self.send(frame);
        self.expect(answer)
    }

    /// Asserts that nothing has arrived but what comes before the answer to a ping sent now.
    pub fn expect_nothing(&mut self) {
        self.ask(command(ask::PING, &[], ""), said::PONG);
    }

    /// Reads until the server closes, and returns its code.
    pub fn expect_close(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map_or(1005, |frame| u16::from(frame.code)),
                Ok(_) => {}
                Err(error @ Error::ConnectionClosed) => panic!("closed without a code: {error}"),
                Err(error) => panic!("expected a close frame, got {error}"),
            }
        }
    }
}
