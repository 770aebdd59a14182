//! Who comes, talks and goes, in every way a client can. Knows the ledger, which is told what was acked.

use crate::client::{Client, Event, Flavour, Target};
use crate::common::raw::{BINARY, CLOSE, DEFLATED, TEXT, UPGRADE, deflate, frame};
use crate::ledger::{Ledger, content};
use crate::server::{Address, Way};
use rand::prelude::*;
use rand::rngs::SmallRng;
use std::io::Write;
use std::time::{Duration, Instant};

/// Messages of a visit at most.
const MESSAGES: usize = 12;
/// Names of one visitor.
const NAMES: usize = 16;
/// Most visits end before so long a wait for the next (ms).
const PAUSE_MS: u64 = 40;

/// How a visit ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A close frame, answered.
    Goodbye,
    /// The end of the stream, without a word.
    Silent,
    /// A reset, with unread messages.
    Reset,
    /// In the middle of a frame.
    HalfAFrame,
    /// A frame that is not masked.
    Unmasked,
    /// Text that is none, or of the wrong kind.
    NoText,
    /// A small message that is a large one.
    Bomb,
    /// Another connection of the same device.
    Replaced,
}

const ENDS: [End; 8] = [
    End::Goodbye,
    End::Silent,
    End::Reset,
    End::HalfAFrame,
    End::Unmasked,
    End::NoText,
    End::Bomb,
    End::Replaced,
];

/// Most come by TCP, half of them encrypted.
const WAYS: [Way; 5] = [Way::Tcp, Way::Tcp, Way::Tls, Way::Tls, Way::Unix];

/// What it did.
#[derive(Default, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) visits: u64,
    pub(crate) messages: u64,
}

/// One thread's visitor.
pub(crate) struct Visitor<'a> {
    pub(crate) number: usize,
    pub(crate) address: &'a Address,
    pub(crate) ledger: &'a Ledger,
    pub(crate) regulars: &'a [String],
    pub(crate) groups: &'a [String],
    pub(crate) dice: SmallRng,
    sent: u64,
    /// Messages that were sent and not acked yet, and whose they are.
    pending: Vec<(String, Target)>,
    user: String,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(
        number: usize,
        address: &'a Address,
        ledger: &'a Ledger,
        (regulars, groups): (&'a [String], &'a [String]),
        seed: u64,
    ) -> Self {
        let dice = SmallRng::seed_from_u64(seed.wrapping_add(number as u64));
        let (sent, pending, user) = (0, Vec::new(), String::new());
        Self { number, address, ledger, regulars, groups, dice, sent, pending, user }
    }

    /// Visits until the time is up; then all that was sent is acked.
    pub(crate) fn visit_until(&mut self, end: Instant) -> Done {
        let mut done = Done::default();
        let before = self.sent;
        while Instant::now() < end {
            if self.dice.random_ratio(1, 6) {
                self.come_and_go();
            } else {
                self.visit();
            }
            done.visits += 1;
            std::thread::sleep(Duration::from_millis(self.dice.random_range(0..PAUSE_MS)));
        }
        if !self.pending.is_empty() {
            let mut client = self.arrive();
            self.send(&mut client, 0);
            self.read_acks(&mut client);
            self.leave(client, End::Goodbye);
        }
        done.messages = self.sent - before;
        done
    }

    fn flavour(&mut self) -> Flavour {
        Flavour {
            binary: self.dice.random(),
            window: *[None, None, Some(15), Some(10)].choose(&mut self.dice).expect("one"),
            way: *WAYS.choose(&mut self.dice).expect("one"),
        }
    }

    fn arrive(&mut self) -> Client {
        let flavour = self.flavour();
        Client::sign_in(self.address, flavour, &self.user, "out")
    }

    /// A visit without a word that is heard.
    fn come_and_go(&mut self) {
        let flavour = self.flavour();
        match self.dice.random_range(0..6) {
            0 => drop(self.address.connect(flavour.way)),
            1 => {
                let mut stream = self.address.connect(flavour.way);
                let size = self.dice.random_range(1..UPGRADE.len());
                stream.write_all(&UPGRADE.as_bytes()[..size]).expect("a part of a head");
            }
            2 => {
                let mut stream = self.address.connect(flavour.way);
                stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
            }
            3 => drop(Client::connect(self.address, flavour)),
            4 => {
                let mut stream = self.address.connect_to_tls();
                let hello = [&[22, 3, 1, 1, 0][..], UPGRADE.as_bytes()].concat();
                let size = self.dice.random_range(1..hello.len());
                // It may be refused while it is written.
                let _ = stream.write_all(&hello[..size]);
            }
            _ => {
                let mut client = Client::connect(self.address, flavour);
                let bytes = client.framed(b"cut off by the end of the stream");
                client.write(&bytes[..bytes.len() / 2]);
            }
        }
    }

    fn visit(&mut self) {
        // What is not acked has to be sent again by the same user.
        if self.pending.is_empty() {
            self.user = format!("visitor-{}-{}", self.number, self.dice.random_range(0..NAMES));
        }
        let end = *ENDS.choose(&mut self.dice).expect("one");
        let mut client = self.arrive();
        let group = self.number % self.groups.len();
        client.join(&self.groups[group]);
        let count = self.dice.random_range(0..=MESSAGES);
        self.send(&mut client, count);
        let hurried = matches!(end, End::Silent | End::Reset | End::HalfAFrame) && self.dice.random();
        if !hurried {
            self.read_acks(&mut client);
            if self.dice.random_ratio(1, 20) {
                self.tell_everyone(&mut client);
            }
        }
        self.leave(client, end);
    }

    /// Sends what is pending again, and so many new messages, in one write.
    fn send(&mut self, client: &mut Client, count: usize) {
        for _ in 0..count {
            self.sent += 1;
            let target = if self.dice.random_ratio(1, 3) {
                Target::Group(self.groups[self.number % self.groups.len()].clone())
            } else {
                Target::User(self.regulars.choose(&mut self.dice).expect("one").clone())
            };
            self.pending.push((format!("{}-{}", self.number, self.sent), target));
        }
        let frames = self.pending.iter().map(|(id, target)| client.message(target, &content(id), id));
        let bytes = frames.collect::<Vec<_>>().concat();
        client.write(&bytes);
    }

    fn read_acks(&mut self, client: &mut Client) {
        while !self.pending.is_empty() {
            let Event::Ack { id, conversation, seq, .. } =
                client.read_until(|event| matches!(event, Event::Ack { .. }))
            else {
                unreachable!("an ack");
            };
            let place = self.pending.iter().position(|(pending, _)| *pending == id).expect("it was sent");
            self.pending.swap_remove(place);
            self.ledger.acked(&id, conversation, seq);
        }
    }

    /// What goes to everyone is not known again, so it is said only where the ack is waited for.
    fn tell_everyone(&mut self, client: &mut Client) {
        self.sent += 1;
        let id = format!("{}-{}", self.number, self.sent);
        let bytes = client.message(&Target::Everyone, &content(&id), &id);
        client.write(&bytes);
        let fits = |event: &Event| matches!(event, Event::Ack { id: acked, .. } if *acked == id);
        client.read_until(fits);
        self.ledger.acked(&id, String::new(), 0);
    }

    fn leave(&mut self, mut client: Client, end: End) {
        let expected = match end {
            End::Goodbye => {
                client.write(&frame(CLOSE, &1000_u16.to_be_bytes()));
                1000
            }
            End::Silent => return,
            End::Reset => {
                return client.stream.reset();
            }
            End::HalfAFrame => {
                let bytes = client.framed(&[b'x'; 300]);
                return client.write(&bytes[..bytes.len() - 7]);
            }
            End::Unmasked => {
                client.write(b"\x81\x02{}");
                1002
            }
            End::NoText => {
                client.write(&frame(if self.dice.random() { TEXT } else { BINARY }, b"\xff\xff no command"));
                0
            }
            End::Bomb if client.deflates => {
                client.write(&frame(BINARY | DEFLATED, &deflate(&vec![b' '; 1 << 20])));
                1009
            }
            End::Bomb => {
                client.write(&[&[BINARY, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat());
                1009
            }
            End::Replaced => {
                let other = self.arrive();
                client.read_until(|event| matches!(event, Event::Closed(3503)));
                return self.leave(other, End::Goodbye);
            }
        };
        let code = client.read_until(|event| matches!(event, Event::Closed(_)));
        let Event::Closed(code) = code else { unreachable!("a close frame") };
        // Text that is none is 1007, and a message of the other encoding's kind 1003.
        assert!(code == expected || expected == 0 && matches!(code, 1003 | 1007), "{code} after {end:?}");
    }
}
