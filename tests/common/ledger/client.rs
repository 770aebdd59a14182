//! One connection: commands as masked frames, many at a time, and what comes back. Fast enough for a million messages.

use super::book::Place;
use crate::common::PATIENCE;
use crate::common::raw::{PING, TEXT, UPGRADE, frame, whole};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a server says, as far as it matters here.
#[derive(Deserialize, Debug)]
pub struct Said<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub id: Option<&'a str>,
    pub conversation: Option<&'a str>,
    pub seq: Option<u64>,
    pub prev: Option<u64>,
    pub time: Option<u64>,
    pub durability: Option<&'a str>,
    #[serde(default)]
    pub duplicate: bool,
    pub code: Option<u16>,
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    #[serde(default)]
    pub messages: Vec<Said<'a>>,
    #[serde(default)]
    pub more: bool,
}

impl Said<'_> {
    pub fn place(&self) -> Place {
        let place = self.seq.zip(self.prev).zip(self.time);
        let ((seq, prev), time) = place.unwrap_or_else(|| panic!("no place: {self:?}"));
        Place { seq, prev, time }
    }

    /// The message's number, by its id.
    pub fn number(&self) -> Option<u64> {
        self.id?.strip_prefix('m')?.parse().ok()
    }
}

pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    start: usize,
    out: Vec<u8>,
}

impl Connection {
    /// Signs a user in by name.
    pub fn sign_in(address: SocketAddr, user: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream, unread: Vec::new(), start: 0, out: Vec::new() };
        connection.stream.write_all(UPGRADE.as_bytes())?;
        connection.queue(&format!(r#"{{"type":"auth","username":"{user}"}}"#));
        connection.flush()?;
        loop {
            let head = connection.unread.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = head {
                connection.unread.drain(..end + 4);
                break;
            }
            connection.fill()?;
        }
        let first = connection.next()?;
        let said: Said<'_> = serde_json::from_slice(&first)?;
        assert_eq!(said.kind, "authenticated", "{said:?}");
        Ok(connection)
    }

    /// Queues a command.
    pub fn queue(&mut self, command: &str) {
        self.out.extend_from_slice(&frame(TEXT, command.as_bytes()));
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// The next event's bytes, if a whole one came already.
    pub fn try_next(&mut self) -> Option<Vec<u8>> {
        loop {
            let (start, end) = whole(&self.unread[self.start..])?;
            let (first, from) = (self.unread[self.start], self.start);
            self.start += end;
            match first {
                TEXT => return Some(self.unread[from + start..from + end].to_vec()),
                PING => {}
                other => panic!("a frame that begins with {other:x}"),
            }
        }
    }

    /// The next event's bytes.
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(event) = self.try_next() {
                return Ok(event);
            }
            self.fill()?;
        }
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, command: &str) -> io::Result<Vec<u8>> {
        self.queue(command);
        self.flush()?;
        self.next()
    }

    fn fill(&mut self) -> io::Result<()> {
        self.unread.drain(..self.start);
        self.start = 0;
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            length => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }
}
