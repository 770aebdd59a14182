//! Many users who talk in pairs and groups until their server is gone. Each notes what it sent, what was acked, what it heard.

use super::book::{Place, Sent, Town, content};
use super::client::{Connection, Said};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages of one user without an answer (number).
const WINDOW: usize = 16;

/// How long a user does nothing after a refusal.
const REFUSED_WAIT: Duration = Duration::from_millis(2);

/// What one user took down.
#[derive(Default)]
pub struct Heard {
    pub sent: HashMap<u64, Sent>,
    /// Copies of others' messages.
    pub copies: Vec<(u64, Place)>,
    pub acked: u64,
    /// Messages that were refused for now (503).
    pub refused: u64,
}

/// A crowd that talks.
pub struct Crowd {
    threads: Vec<JoinHandle<Heard>>,
    /// Acks of all of them so far.
    pub acked: Arc<AtomicU64>,
    /// Refusals of all of them so far.
    pub refused: Arc<AtomicU64>,
    quiet: Arc<AtomicBool>,
}

/// Has everybody join a group, for good.
pub fn settle(address: SocketAddr, town: Town) {
    for user in 0..town.users {
        let mut connection = Connection::sign_in(address, &town.user(user)).expect("a user");
        let group = town.group(town.conversations(user)[1]);
        let mut answer = connection.ask(&format!(r#"{{"type":"joinGroup","group":"{group}"}}"#));
        while !String::from_utf8_lossy(answer.as_ref().expect("an answer")).contains(r#""joined","group""#) {
            answer = connection.next();
        }
    }
}

struct Talker {
    town: Town,
    user: usize,
    next: u64,
    durability: &'static str,
    heard: Heard,
    waiting: usize,
    /// The last seq in each conversation.
    last: HashMap<usize, u64>,
    acked: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    quiet: Arc<AtomicBool>,
}

impl Crowd {
    /// Lets everybody in and begins; numbers of messages begin at `next`.
    pub fn begin(address: SocketAddr, town: Town, next: u64, durability: &'static str) -> Self {
        let (acked, refused, quiet) = (Arc::default(), Arc::default(), Arc::default());
        let all_in = Arc::new(Barrier::new(town.users + 1));
        let threads = (0..town.users).map(|user| {
            let talker = Talker {
                town,
                user,
                // Numbers of different users are apart.
                next: next.next_multiple_of(town.users as u64) + user as u64,
                durability,
                heard: Heard::default(),
                waiting: 0,
                last: HashMap::new(),
                acked: Arc::clone(&acked),
                refused: Arc::clone(&refused),
                quiet: Arc::clone(&quiet),
            };
            let all_in = Arc::clone(&all_in);
            std::thread::spawn(move || talker.talk(address, &all_in))
        });
        let threads = threads.collect();
        all_in.wait();
        Self { threads, acked, refused, quiet }
    }

    /// Nothing more is sent; those who have all their answers leave.
    pub fn be_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
    }

    /// What all of them took down, once the server has gone or they are quiet.
    pub fn end(self) -> Vec<Heard> {
        self.threads.into_iter().map(|thread| thread.join().expect("a user found a fault")).collect()
    }
}

impl Talker {
    fn talk(mut self, address: SocketAddr, all_in: &Barrier) -> Heard {
        let connection = Connection::sign_in(address, &self.town.user(self.user));
        all_in.wait();
        // Nothing but the server's end ends it.
        if let Ok(mut connection) = connection {
            let _ = self.go_on(&mut connection);
        }
        self.heard
    }

    fn go_on(&mut self, connection: &mut Connection) -> io::Result<()> {
        loop {
            let quiet = self.quiet.load(Ordering::Relaxed);
            if quiet && self.waiting == 0 {
                return Ok(());
            }
            while !quiet && self.waiting < WINDOW {
                self.send(connection);
            }
            connection.flush()?;
            let mut event = Some(connection.next()?);
            while let Some(bytes) = event {
                let said = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                    panic!("{error}: {}", String::from_utf8_lossy(&bytes));
                });
                self.hear(&said);
                event = connection.try_next();
            }
        }
    }

    fn send(&mut self, connection: &mut Connection) {
        let number = self.next;
        self.next += self.town.users as u64;
        // One in four goes to a group.
        let conversation = self.town.conversations(self.user)[usize::from(number >> 3 & 3 == 0)];
        let target = self.town.target(conversation, self.user);
        let content = content(number);
        connection.queue(&format!(r#"{{"type":"message",{target},"message":{content},"id":"m{number}"}}"#));
        self.heard.sent.insert(number, Sent { from: self.user, conversation, place: None });
        self.waiting += 1;
    }

    fn hear(&mut self, said: &Said<'_>) {
        match (said.kind, said.code) {
            ("ack", _) => {
                let number = said.number().expect("an id of ours");
                assert_eq!(said.durability, Some(self.durability), "{said:?}");
                assert!(!said.duplicate, "sent once: {said:?}");
                self.grows(said);
                let sent = self.heard.sent.get_mut(&number).expect("sent by us");
                assert_eq!(said.conversation, Some(&*self.town.name(sent.conversation)), "{said:?}");
                assert_eq!(sent.place.replace(said.place()), None, "acked once: {said:?}");
                self.heard.acked += 1;
                self.acked.fetch_add(1, Ordering::Relaxed);
                self.waiting -= 1;
            }
            ("message", _) => {
                let number = said.number().expect("an id of ours");
                assert_eq!(said.message.map(|raw| raw.get().to_owned()), Some(content(number)), "{said:?}");
                self.grows(said);
                self.heard.copies.push((number, said.place()));
            }
            ("error", Some(503)) => {
                assert!(said.number().is_some_and(|number| self.heard.sent.contains_key(&number)));
                self.heard.refused += 1;
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.waiting -= 1;
                // Who is told to try later does not come back at once.
                std::thread::sleep(REFUSED_WAIT);
            }
            ("resync" | "groupEvent", _) => {}
            _ => panic!("{said:?}"),
        }
    }

    /// Within a conversation a session sees strictly growing `seq`.
    fn grows(&mut self, said: &Said<'_>) {
        let conversation = self.town.number(said.conversation.expect("a conversation"));
        let seq = said.seq.expect("a seq");
        let last = self.last.insert(conversation, seq).unwrap_or_default();
        assert!(seq > last, "{seq} after {last}: {said:?}");
    }
}
