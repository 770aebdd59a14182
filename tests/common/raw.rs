//! A client that speaks bytes, for what no library would send. Knows RFC 6455, no chat.

use super::{PATIENCE, TestServer};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// A request that is upgraded.
pub const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A request that is upgraded and offers these subprotocols, each in a header of its own.
pub fn upgrade_offering(offers: &[&str]) -> String {
    let offers: String = offers.iter().map(|offer| format!("Sec-WebSocket-Protocol: {offer}\r\n")).collect();
    format!("{}{offers}\r\n", UPGRADE.trim_end_matches("\r\n").to_owned() + "\r\n")
}

/// First bytes of frames, `FIN` included unless it says otherwise.
pub const CONTINUE: u8 = 0x80;
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// The bit in a message's first byte that says it is compressed.
pub const DEFLATED: u8 = 0x40;
const DEFLATED_TEXT: u8 = TEXT | DEFLATED;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame, its length in the shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// [`UPGRADE`] with an offer of extensions.
pub fn upgrade_with_extensions(offer: &str) -> String {
    UPGRADE.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"))
}

/// A message's payload as permessage-deflate sends it.
pub fn deflate(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 64);
    let mut codec = Compress::new(Compression::best(), false);
    codec.compress_vec(message, &mut payload, FlushCompress::Sync).expect("it compresses");
    assert!(payload.ends_with(&[0, 0, 0xff, 0xff]), "it had the room");
    payload.truncate(payload.len() - 4);
    payload
}

/// What a compressed payload says, read with a window of so many bits.
pub fn inflate(payload: &[u8], window: u8) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 << 20);
    let mut codec = Decompress::new_with_window_bits(false, window);
    let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
    codec.decompress_vec(&whole, &mut message, FlushDecompress::Sync).expect("it inflates");
    assert_eq!(codec.total_in(), whole.len() as u64, "all of it is one message");
    message
}

/// A command as a masked text frame.
pub fn text(command: &Value) -> Vec<u8> {
    frame(TEXT, command.to_string().as_bytes())
}

/// `auth` by name as a masked text frame.
pub fn auth(user: &str) -> Vec<u8> {
    text(&json!({"type": "auth", "username": user}))
}

/// A connection and what was read of it beyond the last frame.
pub struct Raw<S = TcpStream> {
    /// The connection.
    pub stream: S,
    unread: Vec<u8>,
}

impl Raw {
    /// An upgraded connection.
    pub fn upgraded(server: &TestServer) -> Self {
        let mut raw = Self::over(server.tcp());
        raw.write(UPGRADE.as_bytes());
        raw.expect_upgrade();
        raw
    }

    /// A user signed in by name.
    pub fn sign_in(server: &TestServer, user: &str) -> Self {
        Self::sign_in_over(server.tcp(), user)
    }

    /// A user signed in by name on a connection that agreed on permessage-deflate, offered in these words.
    pub fn sign_in_deflating(server: &TestServer, user: &str, offer: &str) -> Self {
        Self::sign_in_deflating_over(server.tcp(), user, offer)
    }
}

impl<S: Read + Write> Raw<S> {
    /// A connection on which nothing was said yet.
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// A user signed in by name over a connection of the test's own.
    pub fn sign_in_over(stream: S, user: &str) -> Self {
        let mut raw = Self::over(stream);
        raw.write(UPGRADE.as_bytes());
        raw.expect_upgrade();
        raw.write(&auth(user));
        assert_eq!(raw.expect_event()["type"], "authenticated");
        raw
    }

    /// As [`Raw::sign_in_deflating`], over a connection of the test's own.
    pub fn sign_in_deflating_over(stream: S, user: &str, offer: &str) -> Self {
        let mut raw = Self::over(stream);
        raw.write(upgrade_with_extensions(offer).as_bytes());
        let head = raw.expect_head();
        assert!(head.contains("\r\nsec-websocket-extensions: permessage-deflate; "), "{head}");
        raw.write(&auth(user));
        assert_eq!(raw.expect_event()["type"], "authenticated");
        raw
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection takes bytes");
    }

    /// Reads on; false at the end of the stream.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("nothing came within {PATIENCE:?}: {error}"),
        }
    }

    /// Whether the stream ends before anything more comes.
    pub fn is_at_end(&mut self) -> bool {
        self.unread.is_empty() && !self.fill()
    }

    /// Forgets what was read and not looked at.
    pub fn discard(&mut self) {
        self.unread.clear();
    }

    /// Reads an HTTP answer's head.
    pub fn expect_head(&mut self) -> String {
        loop {
            let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            assert!(self.fill(), "the connection ended before an answer");
        }
    }

    /// Reads the 101.
    pub fn expect_upgrade(&mut self) {
        let head = self.expect_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    /// Reads a frame: its first byte and its payload; `None` at the end of the stream.
    pub fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((start, end)) = whole(&self.unread) {
                let first = self.unread[0];
                let payload = self.unread[start..end].to_vec();
                self.unread.drain(..end);
                return Some((first, payload));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next event; pings are passed over, unanswered.
    pub fn expect_event(&mut self) -> Value {
        loop {
            match self.next_frame() {
                Some((TEXT, payload)) => return serde_json::from_slice(&payload).expect("events are JSON"),
                Some((DEFLATED_TEXT, payload)) => {
                    return serde_json::from_slice(&inflate(&payload, 15)).expect("events are JSON");
                }
                Some((PING | PONG, _)) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// Reads up to the server's close frame: its code and reason.
    pub fn expect_close(&mut self) -> (u16, String) {
        loop {
            match self.next_frame() {
                Some((CLOSE, payload)) if payload.len() >= 2 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    return (code, String::from_utf8_lossy(&payload[2..]).into_owned());
                }
                Some((TEXT | BINARY | DEFLATED_TEXT | PING | PONG, _)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Answers a close frame; a server that waits for no answer may be gone already.
    pub fn answer_close(&mut self, code: u16) {
        let _ = self.stream.write_all(&frame(CLOSE, &code.to_be_bytes()));
    }

    /// Reads up to the end of the stream; no frame is expected any more.
    pub fn expect_end(&mut self) {
        let next = self.next_frame();
        assert_eq!(next, None, "nothing follows the last frame");
    }
}

/// Where the payload of a whole server frame starts and ends.
pub fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let short = usize::from(bytes.get(1)? & 0x7f);
    assert_eq!(bytes[1] & 0x80, 0, "a server masks nothing");
    let (start, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, length),
    };
    (bytes.len() >= start + length).then_some((start, start + length))
}
