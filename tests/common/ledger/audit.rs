//! What a server has of what was said, held against the book; then the open messages are sent again.

use super::book::{Book, Sent, Town, content};
use super::client::{Connection, Said};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// Messages of a page.
const PAGE: usize = 100;
/// Of each user, about so many that were acked are sent again.
const AGAIN: usize = 3;
/// A server that starts knows the ids of so many of the newest messages of a conversation, whatever the others of a town have: 15 of one
/// shard leave each a sixteenth of 38 % of its ids, 8,800 at least. Some follow before a resend is sent.
const KNOWN: usize = 8000;

/// Looks at all that is new since the last audit: everything that was acked or heard is there, once, in its place, as it was sent; each
/// message names the one before it. What was not acked is then sent again: it is a duplicate exactly if it is there.
pub fn audit(address: SocketAddr, town: Town, book: &mut Book) {
    let mut expected = expected(town, book);
    let mut found = HashMap::new();
    for conversation in 0..town.all() {
        let expected = expected.remove(&conversation).unwrap_or_default();
        read(address, town, book, conversation, expected, &mut found);
    }
    let known = known(book, &found);
    for (number, place) in found {
        let sent = book.sent.get_mut(&number).expect("it was sent");
        let first = *sent.place.get_or_insert(place);
        assert_eq!(first, place, "message {number} is where it was said to be");
    }
    send_again(address, town, book, &known);
}

/// From which seq on the ids of a conversation's messages are known, where there are many new ones.
fn known(book: &Book, found: &HashMap<u64, super::Place>) -> HashMap<usize, u64> {
    let mut seqs: HashMap<usize, Vec<u64>> = HashMap::new();
    for (number, place) in found {
        seqs.entry(book.sent[number].conversation).or_default().push(place.seq);
    }
    let from = |(conversation, mut seqs): (usize, Vec<u64>)| {
        seqs.sort_unstable();
        Some((conversation, *seqs.get(seqs.len().checked_sub(KNOWN)?)?))
    };
    seqs.into_iter().filter_map(from).collect()
}

/// What must be there behind the last audit, by conversation and seq.
fn expected(town: Town, book: &Book) -> HashMap<usize, BTreeMap<u64, u64>> {
    let mut expected: HashMap<usize, BTreeMap<u64, u64>> = HashMap::new();
    for (number, sent) in &book.sent {
        let head = book.heads.get(&sent.conversation).map_or(0, |(head, _)| *head);
        let Some(place) = sent.place.filter(|place| place.seq > head) else { continue };
        let other = expected.entry(sent.conversation).or_default().insert(place.seq, *number);
        assert_eq!(other, None, "{} {} was given twice", town.name(sent.conversation), place.seq);
    }
    expected
}

fn read(
    address: SocketAddr,
    town: Town,
    book: &mut Book,
    conversation: usize,
    mut expected: BTreeMap<u64, u64>,
    found: &mut HashMap<u64, super::Place>,
) {
    let name = town.name(conversation);
    let mut reader = Connection::sign_in(address, &town.user(town.reader(conversation))).expect("a reader");
    let (head, count) = book.heads.entry(conversation).or_default();
    loop {
        let ask = format!(r#"{{"type":"history","conversation":"{name}","after":{head},"limit":{PAGE}}}"#);
        let answer = reader.ask(&ask).expect("a page");
        let page: Said<'_> = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(page.kind, "history", "{name}: {page:?}");
        for message in &page.messages {
            let (number, place) = (message.number().expect("an id of ours"), message.place());
            assert!(place.seq > *head, "{name}: {} behind {head}", place.seq);
            assert_eq!(place.prev, *head, "{name}: {} names the one before it", place.seq);
            assert_eq!(message.message.map(|raw| raw.get().to_owned()), Some(content(number)), "{name}");
            let sent = book.sent.get(&number).unwrap_or_else(|| panic!("{name} {number}: nobody sent it"));
            assert_eq!(sent.conversation, conversation, "{name} {number}: sent to another conversation");
            assert_eq!(found.insert(number, place), None, "{name}: message {number} is there twice");
            if let Some(other) = expected.remove(&place.seq) {
                assert_eq!(other, number, "{name} {}: another message was there", place.seq);
            }
            (*head, *count) = (place.seq, *count + 1);
        }
        if !page.more {
            break;
        }
    }
    let lost: Vec<_> = expected.iter().take(5).collect();
    assert!(lost.is_empty(), "{name}: {} acked messages are lost, like {lost:?}", expected.len());
}

fn send_again(address: SocketAddr, town: Town, book: &mut Book, known: &HashMap<usize, u64>) {
    let mut by_user: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for number in std::mem::take(&mut book.open) {
        let sent = &book.sent[&number];
        let from = known.get(&sent.conversation).copied().unwrap_or_default();
        if sent.place.is_none_or(|place| place.seq >= from) {
            by_user.entry(sent.from).or_default().push(number);
        }
    }
    for number in (0..book.next).rev().take(AGAIN * town.users) {
        let from = |sent: &Sent| known.get(&sent.conversation).copied().unwrap_or_default();
        let is_known = |sent: &&Sent| sent.place.is_some_and(|place| place.seq >= from(sent));
        if let Some(sent) = book.sent.get(&number).filter(is_known) {
            let numbers = by_user.entry(sent.from).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    for (user, numbers) in by_user {
        let mut connection = Connection::sign_in(address, &town.user(user)).expect("a sender");
        for number in &numbers {
            let (target, content) = (town.target(book.sent[number].conversation, user), content(*number));
            connection
                .queue(&format!(r#"{{"type":"message",{target},"message":{content},"id":"m{number}"}}"#));
        }
        connection.flush().expect("the server takes them");
        let mut left = numbers.len();
        while left > 0 {
            let answer = connection.next().expect("an answer");
            let said: Said<'_> = serde_json::from_slice(&answer).expect("JSON");
            match said.kind {
                "ack" => {
                    book.acked(said.number().expect("an id of ours"), said.place(), said.duplicate);
                    left -= 1;
                }
                "message" | "resync" | "groupEvent" => {}
                _ => panic!("{said:?}"),
            }
        }
    }
}
