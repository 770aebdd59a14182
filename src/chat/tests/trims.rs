//! Where a conversation is trimmed, everyone is told at once of where it begins, and how much is still unread.

use super::world::{Client, World};
use crate::ids::{ConversationId, Seq, UserName};
use crate::limits::TRIMS_WAITING;
use crate::log::Outcome;
use crate::metrics::Counter;

fn conversation() -> ConversationId {
    let [alice, bob] = ["alice", "bob"].map(|name| UserName::new(name).unwrap());
    ConversationId::private(&alice, &bob)
}

/// Alice has sent bob six messages, which are kept in memory beside the view; both, and their numbers.
fn talk(world: &mut World) -> (Client, Client, Vec<u64>) {
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    world.ask(bob, r#"{"type":"sync"}"#);
    let say = |n| {
        world.send(alice, &format!(r#"{{"type":"message","to":"bob","message":{n},"id":"{n}"}}"#));
        world.take(bob);
        world.take(alice).iter().find_map(|event| event["seq"].as_u64()).unwrap()
    };
    let seqs = (0..6).map(say).collect();
    (alice, bob, seqs)
}

fn trim(world: &mut World, first: u64) {
    let home = usize::from(world.router.home_of_conversation(&conversation()).0);
    world.rules[home].trim(conversation(), Seq(first), &mut world.shells[home]);
    world.settle();
}

/// What a sync and the history say: `first`, what is unread, and the numbers of messages.
fn told(world: &mut World, bob: Client) -> (u64, u64, Vec<u64>) {
    let synced = world.ask(bob, r#"{"type":"sync"}"#);
    let standing = &synced["conversations"][0];
    let ask = r#"{"type":"history","conversation":"u:alice:bob","limit":100}"#;
    let page = world.ask(bob, ask);
    assert_eq!((&page["first"], &page["messages"]), (&standing["first"], &standing["messages"]));
    let seqs = page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap());
    (page["first"].as_u64().unwrap(), standing["unread"].as_u64().unwrap(), seqs.collect())
}

#[test]
fn what_went_is_told_no_more_and_is_not_unread() {
    for shards in [1, 3] {
        let mut world = World::with(shards, |config| config.tails_max_bytes = 1 << 20);
        let (alice, bob, seqs) = talk(&mut world);
        assert_eq!(told(&mut world, bob), (seqs[0], 6, seqs.clone()));
        trim(&mut world, seqs[2]);
        assert_eq!(told(&mut world, bob), (seqs[2], 4, seqs[2..].to_vec()));
        trim(&mut world, seqs[5] + 1);
        assert_eq!(told(&mut world, bob), (0, 0, Vec::new()));
        world.send(alice, r#"{"type":"message","to":"bob","message":"new","id":"new"}"#);
        let ack = world.take(alice).remove(0);
        assert_eq!(ack["prev"], seqs[5], "the chain goes on: {ack}");
        world.take(bob);
        let seq = ack["seq"].as_u64().unwrap();
        assert_eq!(told(&mut world, bob), (seq, 1, vec![seq]));
        world.rules.iter().for_each(crate::chat::Rules::invariants);
    }
}

#[test]
fn a_trim_that_is_not_written_changes_nothing() {
    let mut world = World::with(2, |config| config.tails_max_bytes = 1 << 20);
    let (_, bob, seqs) = talk(&mut world);
    world.shells.iter_mut().for_each(|shell| shell.fate = Some(Outcome::Failed));
    trim(&mut world, seqs[2]);
    world.shells.iter_mut().for_each(|shell| shell.fate = None);
    assert_eq!(told(&mut world, bob), (seqs[0], 6, seqs.clone()));
    // One that is asked for again is.
    trim(&mut world, seqs[2]);
    assert_eq!(told(&mut world, bob), (seqs[2], 4, seqs[2..].to_vec()));
}

#[test]
fn trims_that_wait_are_bounded() {
    let mut world = World::new(1);
    let (_, _, seqs) = talk(&mut world);
    let before = world.count(Counter::Appended);
    for _ in 0..TRIMS_WAITING + 10 {
        world.rules[0].trim(conversation(), Seq(seqs[1]), &mut world.shells[0]);
    }
    world.settle();
    assert_eq!(world.count(Counter::Appended), before + TRIMS_WAITING as u64);
    trim(&mut world, seqs[2]);
    assert_eq!(world.count(Counter::Appended), before + TRIMS_WAITING as u64 + 1);
}
