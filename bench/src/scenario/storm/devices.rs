//! What the storm's users of one thread hold of their conversations, and what they ask for by it. Knows no connection.
use super::super::entry::user_name;
use crate::wire::sync::{self, Synced};
use std::collections::HashMap;
use std::ops::Range;

/// Each user has private conversations with so many others: those next to it, in a ring of all of the storm's.
pub(super) struct Devices {
    run: u32,
    /// The numbers of all users of the storm.
    everyone: Range<usize>,
    /// The number of this thread's first.
    first: usize,
    /// Conversations of each, an even number.
    each: usize,
    /// The newest message that each holds, by user and place in the ring.
    heads: Vec<u64>,
}

impl Devices {
    pub(super) fn new(run: u32, everyone: Range<usize>, (first, count): (usize, usize), each: usize) -> Self {
        Self { run, everyone, first, each, heads: vec![0; count * each] }
    }

    /// Whom a user writes to, so that each conversation is begun by one side.
    pub(super) fn writes_to(&self, conn: usize) -> impl Iterator<Item = String> + '_ {
        (0..self.each).step_by(2).map(move |place| user_name(self.run, self.partner(conn, place)))
    }

    /// How many that are.
    pub(super) fn writes(&self) -> usize {
        self.each / 2
    }

    /// Asks for all that a new device does not hold.
    pub(super) fn ask_all(next: Option<&str>) -> Vec<u8> {
        sync::ask(std::iter::empty(), next)
    }

    /// Asks for what is new since it was there last.
    pub(super) fn ask(&self, conn: usize, next: Option<&str>) -> Vec<u8> {
        let names: Vec<String> = (0..self.each).map(|place| self.conversation(conn, place)).collect();
        let heads = self.heads[conn * self.each..].iter().copied();
        sync::ask(names.iter().map(String::as_str).zip(heads), next)
    }

    /// Takes the heads that a user was told; gives what says that all of it is read.
    pub(super) fn learn(&mut self, conn: usize, told: &Synced<'_>) -> Vec<Vec<u8>> {
        let places: HashMap<String, usize> =
            (0..self.each).map(|place| (self.conversation(conn, place), place)).collect();
        let mut read = Vec::new();
        for known in &told.conversations {
            if let Some(place) = places.get(&*known.conversation) {
                self.heads[conn * self.each + place] = known.head;
                if known.unread > 0 {
                    read.push(sync::read(&known.conversation, known.head));
                }
            }
        }
        read
    }

    /// Conversations of a user of which it knows nothing.
    pub(super) fn unknown(&self, conn: usize) -> usize {
        self.heads[conn * self.each..][..self.each].iter().filter(|head| **head == 0).count()
    }

    fn partner(&self, conn: usize, place: usize) -> usize {
        let (all, distance) = (self.everyone.len(), place / 2 + 1);
        let at = self.first + conn - self.everyone.start;
        let at = if place.is_multiple_of(2) { at + distance } else { at + all - distance };
        self.everyone.start + at % all
    }

    fn conversation(&self, conn: usize, place: usize) -> String {
        let own = user_name(self.run, self.first + conn);
        sync::conversation(&own, &user_name(self.run, self.partner(conn, place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_user_has_its_conversations_and_each_is_begun_once() {
        let devices = Devices::new(7, 10..31, (10, 21), 20);
        let mut begun = HashSet::new();
        for conn in 0..21 {
            let own: HashSet<String> = (0..20).map(|place| devices.conversation(conn, place)).collect();
            assert_eq!(own.len(), 20);
            for other in devices.writes_to(conn) {
                assert!(begun.insert(sync::conversation(&user_name(7, 10 + conn), &other)));
            }
        }
        assert_eq!(begun.len(), 21 * 20 / 2);
    }

    #[test]
    fn what_was_told_is_what_is_held() {
        let mut devices = Devices::new(7, 0..5, (3, 2), 2);
        assert_eq!(devices.unknown(1), 2);
        let name = devices.conversation(1, 1);
        let text = format!(
            r#"{{"conversations":[{{"conversation":"{name}","head":9,"unread":1}},{{"conversation":"g:x","head":1,"unread":1}}]}}"#
        );
        let read = devices.learn(1, &sync::answer(text.as_bytes()).unwrap());
        assert_eq!((read, devices.unknown(1)), (vec![sync::read(&name, 9)], 1));
        let asked = String::from_utf8(devices.ask(1, None)).unwrap();
        assert!(asked.contains(&format!(r#""{name}":9"#)), "{asked}");
    }
}
