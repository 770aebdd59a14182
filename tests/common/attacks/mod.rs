//! Attacks by name: what each sends, what its sender meets for it, and which counter tells. Knows no server's inside.
#![allow(unreachable_pub)] // as a module of a test it has no other crate to reach

mod connections;
mod content;
mod encrypted;
mod floods;
mod frames;
mod requests;
mod signing_in;

use crate::common::raw::{Raw, UPGRADE, auth, upgrade_offering, upgrade_with_extensions};
use crate::common::tls::TlsServer;
use crate::common::{PATIENCE, proto};
use longwire::metrics::Counter;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How far a connection has come before the attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Nothing was said on it.
    Connected,
    /// It speaks WebSocket, nobody signed in.
    Upgraded,
    /// A user signed in.
    SignedIn,
    /// The same, and permessage-deflate was agreed on.
    Deflating,
    /// The same in the binary encoding.
    Binary,
    /// Nothing was said on it, where TLS is spoken.
    Tls,
}

/// What an attack does on each of its connections.
pub enum Does {
    /// Writes this, once.
    Says(Vec<u8>),
    /// Writes this so many times, while another thread reads what is answered.
    Floods(Vec<u8>, usize),
    /// Anything else, its own look at what it meets included. `user` is signed in, or is a name that nobody has.
    Acts(fn(wss: &TlsServer, user: &str, raw: &mut Raw)),
}

/// What the sender meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meets {
    /// An HTTP answer with this status, and the end.
    Http(u16),
    /// A close frame with this code.
    Close(u16),
    /// An error with this code; the connection lives on.
    Error(u16),
    /// The end of the connection, without a word; where TLS is spoken it may say more of itself before.
    End,
    /// An alert of TLS that anyone can read, and the end.
    Alert,
    /// No word: it is read no further.
    Silence,
}

/// One attack.
pub struct Attack {
    /// As the page on attacks lists it.
    pub name: &'static str,
    pub stage: Stage,
    /// On how many connections at once.
    pub connections: usize,
    pub does: Does,
    pub meets: Meets,
    /// What moves by at least one for each connection.
    pub counts: Counter,
}

/// A row with one connection.
fn attack(name: &'static str, stage: Stage, does: Does, meets: Meets, counts: Counter) -> Attack {
    Attack { name, stage, connections: 1, does, meets, counts }
}

/// A row that says something once, on one connection.
fn says(name: &'static str, stage: Stage, bytes: Vec<u8>, meets: Meets, counts: Counter) -> Attack {
    attack(name, stage, Does::Says(bytes), meets, counts)
}

/// Every attack.
pub fn all() -> Vec<Attack> {
    let parts = [
        requests::all(),
        signing_in::all(),
        frames::all(),
        content::all(),
        floods::all(),
        connections::all(),
        encrypted::all(),
    ];
    parts.into_iter().flatten().collect()
}

impl Stage {
    /// A connection that has come so far.
    pub fn reach(self, wss: &TlsServer, user: &str) -> Raw {
        let mut raw = Raw::over(if self == Self::Tls { wss.tcp() } else { wss.plain() });
        match self {
            Self::Connected | Self::Tls => return raw,
            Self::Upgraded => {
                raw.write(UPGRADE.as_bytes());
                raw.expect_upgrade();
                return raw;
            }
            Self::SignedIn => raw.write(&[UPGRADE.as_bytes(), &auth(user)].concat()),
            Self::Deflating => {
                raw.write(&[upgrade_with_extensions("permessage-deflate").as_bytes(), &auth(user)].concat());
            }
            Self::Binary => {
                let sign_in = crate::common::raw::frame(crate::common::raw::BINARY, &proto::auth(user));
                raw.write(&[upgrade_offering(&[proto::SUBPROTOCOL]).as_bytes(), &sign_in].concat());
            }
        }
        raw.expect_upgrade();
        assert!(raw.next_frame().is_some(), "authenticated");
        raw
    }
}

impl Attack {
    /// Does it, on all connections at once, and looks at what their sender meets; they are still open when it returns,
    /// as far as it is for the sender to end them.
    pub fn carry_out(&self, wss: &TlsServer, users: &mut impl Iterator<Item = String>) -> Vec<Raw> {
        let reached = |user: String| (self.stage.reach(wss, &user), user);
        let mut all: Vec<(Raw, String)> = users.take(self.connections).map(reached).collect();
        for (raw, user) in &mut all {
            match &self.does {
                // A server that has ended it already takes no more.
                Does::Says(bytes) => drop(raw.stream.write_all(bytes)),
                Does::Floods(bytes, times) => flood(raw, bytes, *times, self),
                Does::Acts(act) => act(wss, user, raw),
            }
        }
        if matches!(self.does, Does::Says(_)) {
            all.iter_mut().for_each(|(raw, _)| self.expect(raw));
        }
        all.into_iter().map(|(raw, _)| raw).collect()
    }

    fn expect(&self, raw: &mut Raw) {
        if self.stage == Stage::Connected && matches!(self.meets, Meets::Close(_) | Meets::Error(_)) {
            raw.expect_upgrade();
        }
        match self.meets {
            Meets::Http(status) => {
                let head = raw.expect_head();
                assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{}: {head}", self.name);
                read_to_end(raw);
            }
            Meets::Close(code) => {
                let (got, reason) = raw.expect_close();
                assert_eq!(got, code, "{}: {reason}", self.name);
            }
            Meets::Error(code) => expect_error(raw, code, self),
            Meets::End if self.stage == Stage::Tls => read_to_end(raw),
            Meets::End => raw.expect_end(),
            Meets::Alert => {
                let mut record = [0; 2];
                raw.stream.read_exact(&mut record).expect("an alert");
                assert_eq!(record, [21, 3], "{}", self.name);
                read_to_end(raw);
            }
            Meets::Silence => {}
        }
    }
}

/// Reads up to an error with this code.
fn expect_error(raw: &mut Raw, code: u16, attack: &Attack) {
    loop {
        match attack.stage {
            Stage::Binary => {
                let (_, payload) = raw.next_frame().expect("an answer");
                let answer = proto::read(&payload);
                if answer.what == proto::said::ERROR {
                    return assert_eq!(answer.event.number(1), u64::from(code), "{}", attack.name);
                }
            }
            _ => {
                let event = raw.expect_event();
                if event["type"] == "error" {
                    return assert_eq!(event["code"], code, "{}: {event}", attack.name);
                }
            }
        }
    }
}

/// Reads what is left, whatever it is.
fn read_to_end(raw: &mut Raw) {
    let mut rest = [0; 4096];
    loop {
        match raw.stream.read(&mut rest) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Ok(_) => {}
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// Writes again and again, while it reads: without that the server would pause it, not refuse it. First all at once, then as
/// much as it takes on a machine that stands still now and then.
fn flood(raw: &mut Raw, bytes: &[u8], times: usize, attack: &Attack) {
    let mut writer = raw.stream.try_clone().expect("a second handle");
    writer.set_write_timeout(Some(PATIENCE)).expect("a time-out");
    let met = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut burst = bytes.repeat(times);
            // Closed on the way, or there is nothing more to be met.
            while writer.write_all(&burst).is_ok() && !met.load(Ordering::Relaxed) {
                burst.truncate(bytes.len() * 10);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        attack.expect(raw);
        met.store(true, Ordering::Relaxed);
    });
}

/// Lets the kernel hold little of what this side does not read.
fn with_small_window(raw: &Raw) {
    SockRef::from(&raw.stream).set_recv_buffer_size(4096).expect("a small buffer");
}
