//! Every message that anyone sent, and what is known of each. Knows no connection.

use super::crowd::Heard;
use std::collections::HashMap;

/// Where a message is, as an ack or a copy of it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub seq: u64,
    pub prev: u64,
    pub time: u64,
}

/// Who is there, and who talks with whom: users in pairs, and all of them in groups.
#[derive(Clone, Copy, Debug)]
pub struct Town {
    pub users: usize,
    pub groups: usize,
}

impl Town {
    pub fn user(self, n: usize) -> String {
        format!("u{n:04}")
    }

    /// The conversations of a user: with the neighbour, and in a group.
    pub fn conversations(self, user: usize) -> [usize; 2] {
        [user / 2, self.users / 2 + user % self.groups]
    }

    pub fn all(self) -> usize {
        self.users / 2 + self.groups
    }

    pub fn is_group(self, conversation: usize) -> bool {
        conversation >= self.users / 2
    }

    pub fn group(self, conversation: usize) -> String {
        format!("g{}", conversation - self.users / 2)
    }

    /// As the protocol names it.
    pub fn name(self, conversation: usize) -> String {
        if self.is_group(conversation) {
            return format!("g:{}", self.group(conversation));
        }
        format!("u:{}:{}", self.user(2 * conversation), self.user(2 * conversation + 1))
    }

    pub fn number(self, name: &str) -> usize {
        match name.split(':').collect::<Vec<_>>()[..] {
            ["g", group] => self.users / 2 + group[1..].parse::<usize>().expect("a group of the town"),
            ["u", user, _] => user[1..].parse::<usize>().expect("a user of the town") / 2,
            _ => panic!("no conversation of the town: {name}"),
        }
    }

    /// Someone who may read it.
    pub fn reader(self, conversation: usize) -> usize {
        if self.is_group(conversation) { conversation - self.users / 2 } else { 2 * conversation }
    }

    /// `"to"` or `"group"` of a command.
    pub fn target(self, conversation: usize, from: usize) -> String {
        if self.is_group(conversation) {
            return format!(r#""group":"{}""#, self.group(conversation));
        }
        format!(r#""to":"{}""#, self.user(from ^ 1))
    }
}

/// What a message with this number says, as it is sent: nobody has to remember it. Most are short, some longer than a page of a disk.
pub fn content(number: u64) -> String {
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = match dice >> 60 {
        0 => 2000 + (dice >> 48 & 0xfff),
        _ => dice >> 56 & 0x7f,
    };
    let words = ["sieben", "Zauberer", "brauen", "Tee", "aus", "grünen", "Blättern", "\\u2615"];
    let text: Vec<_> = (0..len / 5).map(|n| words[(dice.rotate_left(n as u32 * 3) & 7) as usize]).collect();
    format!(r#"{{"n":{number},  "text":"{}"}}"#, text.join(" "))
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub from: usize,
    pub conversation: usize,
    /// Where it is, once that was told.
    pub place: Option<Place>,
}

/// All of them by number; ids are `m` and the number.
#[derive(Default)]
pub struct Book {
    pub sent: HashMap<u64, Sent>,
    /// Messages whose fate is open.
    pub open: Vec<u64>,
    /// What the audit has found, by conversation: the last message, and how many there are.
    pub heads: HashMap<usize, (u64, u64)>,
    pub acked: u64,
    pub next: u64,
}

impl Book {
    /// Takes down what a crowd sent and heard, to be held against what the next server has.
    pub fn close(&mut self, heard: &[Heard]) {
        for one in heard {
            for (number, sent) in &one.sent {
                self.next = self.next.max(number + 1);
                if sent.place.is_none() {
                    self.open.push(*number);
                }
                assert!(self.sent.insert(*number, sent.clone()).is_none(), "a number is used once");
            }
            self.acked += one.acked;
        }
        // What reached anyone is as good as acked.
        for (number, place) in heard.iter().flat_map(|one| &one.copies) {
            let sent = self.sent.get_mut(number).expect("nobody hears what was not sent");
            let first = *sent.place.get_or_insert(*place);
            assert_eq!(first, *place, "message {number} is in one place");
        }
    }

    /// It was told where a message is.
    pub fn acked(&mut self, number: u64, place: Place, duplicate: bool) {
        let sent = self.sent.get_mut(&number).expect("it was sent");
        assert_eq!(duplicate, sent.place.is_some(), "message {number}: a duplicate, if it is there");
        let first = *sent.place.get_or_insert(place);
        assert_eq!(first, place, "message {number} is in one place");
        self.acked += u64::from(!duplicate);
    }
}
