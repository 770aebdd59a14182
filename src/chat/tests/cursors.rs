//! `received` and `read`: shared by a user's devices, told to the other side, written once in a while.

use super::world::{Client, World};
use crate::log::Outcome;
use crate::metrics::Counter;
use serde_json::Value;

/// Two who talk: alice, bob, and the numbers of what alice said.
fn talk(world: &mut World, messages: usize) -> (Client, Client, Vec<u64>) {
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    let seqs = (0..messages).map(|n| {
        let ack = world.ask(alice, &format!(r#"{{"type":"message","to":"bob","message":{n},"id":"{n}"}}"#));
        ack["seq"].as_u64().unwrap()
    });
    let seqs = seqs.collect();
    world.take(bob);
    (alice, bob, seqs)
}

fn of_bob(world: &mut World, device: Client) -> (u64, u64) {
    let answer = world.ask(device, r#"{"type":"sync"}"#);
    let found = &answer["conversations"][0];
    (found["read"].as_u64().unwrap(), found["unread"].as_u64().unwrap())
}

fn read(seq: u64) -> String {
    format!(r#"{{"type":"read","conversation":"u:alice:bob","seq":{seq}}}"#)
}

#[test]
fn cursors_are_shared_and_go_forward_only() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (_, bob, seqs) = talk(&mut world, 5);
        let phone = world.sign_in("bob");
        assert_eq!(of_bob(&mut world, phone), (0, 5));
        world.send(bob, &read(seqs[2]));
        assert_eq!(of_bob(&mut world, phone), (seqs[2], 2));
        world.send(phone, &read(seqs[1]));
        assert_eq!(of_bob(&mut world, bob), (seqs[2], 2), "never back");
        world.send(phone, &read(u64::from(u32::MAX) << 20));
        assert_eq!(of_bob(&mut world, bob), (seqs[4], 0), "no further than the head");
        assert_eq!((world.take(bob), world.take(phone)), (vec![], vec![]), "neither is answered");
    }
}

#[test]
fn who_sends_has_read() {
    let mut world = World::new(3);
    let (alice, bob, _) = talk(&mut world, 5);
    assert_eq!(of_bob(&mut world, bob).1, 5);
    let ack = world.ask(bob, r#"{"type":"message","to":"alice","message":"all read","id":"r"}"#);
    world.take(alice);
    assert_eq!(of_bob(&mut world, bob), (ack["seq"].as_u64().unwrap(), 0));
    // Also for who asks the view for the first time.
    let found = world.ask(alice, r#"{"type":"sync"}"#);
    assert_eq!(found["conversations"][0]["unread"], 1);
}

#[test]
fn receipts_are_told_to_the_other_side_once_in_a_while() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (alice, bob, seqs) = talk(&mut world, 9);
        for seq in &seqs[..4] {
            world.send(bob, &format!(r#"{{"type":"received","conversation":"u:alice:bob","seq":{seq}}}"#));
        }
        world.send(bob, &read(seqs[1]));
        assert_eq!(world.take(alice), Vec::<Value>::new(), "others may follow");
        world.pass(200);
        let receipts = world.take(alice);
        assert_eq!(receipts.len(), 1);
        let receipt = &receipts[0];
        assert_eq!((receipt["type"].as_str(), receipt["from"].as_str()), (Some("receipt"), Some("bob")));
        assert_eq!((receipt["received"].as_u64(), receipt["read"].as_u64()), (Some(seqs[3]), Some(seqs[1])));
        assert_eq!(world.take(bob), Vec::<Value>::new());
        world.send(bob, &read(seqs[0]));
        world.pass(200);
        assert_eq!(world.take(alice), Vec::<Value>::new(), "nothing has moved");
    }
}

#[test]
fn receipts_are_given_in_small_groups_only() {
    for (members, told) in [(50, 1), (51, 0)] {
        let mut world =
            World::with(3, |config| (config.group_event_max_members, config.users_max) = (0, 1000));
        let all: Vec<Client> = (0..members).map(|n| world.sign_in(&format!("user{n}"))).collect();
        for client in &all {
            world.ask(*client, r#"{"type":"joinGroup","group":"room"}"#);
        }
        let ack = world.ask(all[0], r#"{"type":"message","group":"room","message":1,"id":"x"}"#);
        let seq = ack["seq"].as_u64().unwrap();
        all.iter().for_each(|client| drop(world.take(*client)));
        world.send(all[1], &format!(r#"{{"type":"read","conversation":"g:room","seq":{seq}}}"#));
        world.pass(200);
        for (n, client) in all.iter().enumerate() {
            assert_eq!(world.take(*client).len(), if n == 1 { 0 } else { told }, "{n} of {members}");
        }
    }
}

#[test]
fn a_cursor_is_written_once_a_second() {
    let mut world = World::new(2);
    let (alice, bob, seqs) = talk(&mut world, 6);
    let before = world.count(Counter::Appended);
    for seq in &seqs[..5] {
        world.send(bob, &read(*seq));
        world.pass(100);
    }
    assert_eq!(world.count(Counter::Appended), before);
    world.pass(1000);
    assert_eq!(world.count(Counter::Appended), before + 1, "one record for all");
    world.pass(5000);
    assert_eq!(world.count(Counter::Appended), before + 1);
    world.take(alice);
    // A log that fails gets it again.
    world.shells.iter_mut().for_each(|shell| shell.fate = Some(Outcome::Failed));
    world.send(bob, &read(seqs[5]));
    world.pass(1000);
    world.shells.iter_mut().for_each(|shell| shell.fate = None);
    let appended = world.count(Counter::Appended);
    world.pass(2500);
    assert_eq!(world.count(Counter::Appended), appended + 1, "written again, once");
}

#[test]
fn a_shard_that_goes_down_writes_at_once() {
    let mut world = World::new(1);
    let (_, bob, seqs) = talk(&mut world, 1);
    let before = world.count(Counter::Appended);
    world.send(bob, &read(seqs[0]));
    world.rules[0].hurry();
    world.settle();
    assert_eq!(world.count(Counter::Appended), before + 1);
}

#[test]
fn strangers_move_no_cursor() {
    let mut world = World::new(3);
    let (_, _, seqs) = talk(&mut world, 1);
    let carol = world.sign_in("carol");
    for conversation in ["u:alice:bob", "g:room"] {
        for command in ["received", "read"] {
            let text = format!(r#"{{"type":"{command}","conversation":"{conversation}","seq":{}}}"#, seqs[0]);
            let refused = world.ask(carol, &text);
            assert_eq!((refused["code"].as_u64(), refused["for"].as_str()), (Some(403), Some(command)));
        }
    }
}
