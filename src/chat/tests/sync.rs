//! `sync`: what a device has missed, and nothing else.

use super::world::{Client, World};
use crate::metrics::Counter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a `sync` says of each conversation.
fn sync(world: &mut World, client: Client, command: &str) -> BTreeMap<String, Value> {
    let answer = world.ask(client, command);
    assert_eq!(answer["type"], "sync", "{answer}");
    assert!(answer["next"].is_null(), "{answer}");
    by_name(&answer)
}

fn by_name(answer: &Value) -> BTreeMap<String, Value> {
    let all = answer["conversations"].as_array().unwrap();
    all.iter().map(|one| (one["conversation"].as_str().unwrap().to_owned(), one.clone())).collect()
}

fn contents(conversation: &Value) -> Vec<String> {
    let messages = conversation["messages"].as_array().unwrap();
    messages.iter().map(|message| message["message"].as_str().unwrap().to_owned()).collect()
}

fn say(world: &mut World, from: Client, whom: &str, what: &str) -> u64 {
    let id = &what[..what.len().min(60)];
    let command = format!(r#"{{"type":"message",{whom},"message":"{what}","id":"{id}"}}"#);
    world.send(from, &command);
    let got = world.take(from);
    let ack = got.iter().find(|event| event["type"] == "ack").unwrap_or_else(|| panic!("{got:?}"));
    ack["seq"].as_u64().unwrap()
}

#[test]
fn a_new_device_gets_the_newest_of_everything() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
        for client in [alice, bob] {
            world.ask(client, r#"{"type":"joinGroup","group":"room"}"#);
        }
        world.ask(bob, r#"{"type":"joinGroup","group":"quiet"}"#);
        let last = (0..30).map(|n| say(&mut world, alice, r#""to":"bob""#, &format!("p{n}"))).last().unwrap();
        let first = say(&mut world, bob, r#""group":"room""#, "g0");
        let head = say(&mut world, alice, r#""group":"room""#, "g1");
        world.close(bob);
        let phone = world.sign_in("bob");
        let found = sync(&mut world, phone, r#"{"type":"sync"}"#);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["g:quiet", "g:room", "u:alice:bob"]);
        let (room, private, quiet) = (&found["g:room"], &found["u:alice:bob"], &found["g:quiet"]);
        assert_eq!((contents(room), room["more"].as_bool()), (vec!["g0".into(), "g1".into()], Some(false)));
        assert_eq!((room["first"].as_u64(), room["head"].as_u64()), (Some(first), Some(head)));
        assert_eq!(
            (room["read"].as_u64(), room["unread"].as_u64()),
            (Some(first), Some(1)),
            "bob has read what he said"
        );
        assert_eq!(contents(private), (10..30).map(|n| format!("p{n}")).collect::<Vec<_>>());
        assert_eq!((private["more"].as_bool(), private["unread"].as_u64()), (Some(true), Some(30)));
        assert_eq!((private["head"].as_u64(), private["read"].as_u64()), (Some(last), Some(0)));
        assert_eq!((quiet["head"].as_u64(), contents(quiet).len()), (Some(0), 0));
    }
}

#[test]
fn a_device_gets_what_it_lacks() {
    let mut world = World::new(3);
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    let seqs: Vec<u64> = (0..30).map(|n| say(&mut world, alice, r#""to":"bob""#, &format!("m{n}"))).collect();
    world.take(bob);
    for (held, expected, more) in
        [(29, 30..30, false), (28, 29..30, false), (20, 21..30, false), (2, 10..30, true)]
    {
        let command = format!(r#"{{"type":"sync","cursors":{{"u:alice:bob":{}}}}}"#, seqs[held]);
        let found = sync(&mut world, bob, &command);
        let private = &found["u:alice:bob"];
        assert_eq!(contents(private), expected.map(|n| format!("m{n}")).collect::<Vec<_>>());
        assert_eq!((private["more"].as_bool(), private["unread"].as_u64()), (Some(more), Some(30)));
    }
    // Of others' conversations, or those that never were, nothing is said.
    let found = sync(&mut world, bob, r#"{"type":"sync","cursors":{"g:room":5,"u:alice:carol":1}}"#);
    assert_eq!(found.len(), 1);
}

#[test]
fn nothing_new_costs_no_look_at_the_view() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
        for client in [alice, bob] {
            world.ask(client, r#"{"type":"joinGroup","group":"room"}"#);
        }
        let private = say(&mut world, alice, r#""to":"bob""#, "hi");
        let group = say(&mut world, alice, r#""group":"room""#, "all");
        world.take(bob);
        sync(&mut world, bob, r#"{"type":"sync"}"#);
        world.send(bob, &format!(r#"{{"type":"read","conversation":"u:alice:bob","seq":{private}}}"#));
        world.send(bob, &format!(r#"{{"type":"read","conversation":"g:room","seq":{group}}}"#));
        let asked = world.asked();
        let cursors = format!(r#"{{"type":"sync","cursors":{{"u:alice:bob":{private},"g:room":{group}}}}}"#);
        for _ in 0..3 {
            world.close(bob);
            let again = world.sign_in("bob");
            assert_eq!(sync(&mut world, again, &cursors), BTreeMap::new());
            world.close(again);
        }
        assert_eq!(world.asked(), asked, "all of it was known");
        assert!(world.count(Counter::HeadsHit) >= 6);
    }
}

#[test]
fn messages_kept_in_memory_are_not_read() {
    let mut world = World::with(3, |config| config.tails_max_bytes = 1 << 20);
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    let first = say(&mut world, alice, r#""to":"bob""#, "m0");
    world.take(bob);
    sync(&mut world, bob, r#"{"type":"sync"}"#);
    for n in 1..40 {
        say(&mut world, alice, r#""to":"bob""#, &format!("m{n}"));
    }
    world.take(bob);
    let asked = world.asked();
    let found = sync(&mut world, bob, &format!(r#"{{"type":"sync","cursors":{{"u:alice:bob":{first}}}}}"#));
    assert_eq!(contents(&found["u:alice:bob"]), (20..40).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(
        (found["u:alice:bob"]["unread"].as_u64(), found["u:alice:bob"]["more"].as_bool()),
        (Some(40), Some(true))
    );
    let page = world.ask(bob, r#"{"type":"history","conversation":"u:alice:bob","limit":100}"#);
    assert_eq!(
        (contents(&page).len(), page["first"].as_u64(), page["more"].as_bool()),
        (40, Some(first), Some(false))
    );
    assert_eq!(world.asked(), asked, "nothing was read");
}

#[test]
fn who_left_hears_nothing_of_the_group() {
    let mut world = World::new(3);
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    for client in [alice, bob] {
        world.ask(client, r#"{"type":"joinGroup","group":"room"}"#);
    }
    say(&mut world, alice, r#""group":"room""#, "one");
    world.take(bob);
    assert_eq!(sync(&mut world, bob, r#"{"type":"sync"}"#).len(), 1);
    world.ask(bob, r#"{"type":"leaveGroup","group":"room"}"#);
    assert_eq!(sync(&mut world, bob, r#"{"type":"sync"}"#).len(), 0);
    let refused = world.ask(bob, r#"{"type":"read","conversation":"g:room","seq":9}"#);
    assert_eq!((refused["code"].as_u64(), refused["for"].as_str()), (Some(403), Some("read")));
    // Back again, what was said before counts as read.
    world.ask(bob, r#"{"type":"joinGroup","group":"room"}"#);
    let found = sync(&mut world, bob, r#"{"type":"sync"}"#);
    assert_eq!((found["g:room"]["unread"].as_u64(), contents(&found["g:room"]).len()), (Some(0), 1));
}

#[test]
fn pages_hold_each_conversation_once() {
    let small = |config: &mut crate::chat::Config| {
        config.queue_max_size = 4096;
        config.users_max = 1000;
    };
    let mut world = World::with(3, small);
    let alice = world.sign_in("alice");
    let names: Vec<String> = (0..60).map(|n| format!("user{n}")).collect();
    for name in &names {
        say(&mut world, alice, &format!(r#""to":"{name}""#), "hello");
    }
    let (mut seen, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = world.ask(alice, &format!(r#"{{"type":"sync"{next}}}"#));
        assert!(answer.to_string().len() <= 4096, "{answer}");
        seen.extend(by_name(&answer).into_keys());
        pages += 1;
        let Some(token) = answer["next"].as_str() else { break };
        next = format!(r#","next":"{token}""#);
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("u:alice:{name}")).collect();
    expected.sort();
    assert_eq!(seen, expected);
    assert!(pages > 3, "{pages}");
    let refused = world.ask(alice, r#"{"type":"sync","next":"never said"}"#);
    assert_eq!(refused["code"], 400);
}

#[test]
fn messages_are_shared_out_among_conversations() {
    let mut world = World::with(2, |config| config.queue_max_size = 16 * 1024);
    let alice = world.sign_in("alice");
    for n in 0..8 {
        for m in 0..8 {
            say(&mut world, alice, &format!(r#""to":"user{n}""#), &format!("{n}-{m}-{}", "x".repeat(300)));
        }
    }
    let answer = world.ask(alice, r#"{"type":"sync"}"#);
    assert!(answer.to_string().len() <= 16 * 1024);
    for (name, found) in by_name(&answer) {
        let messages = contents(&found);
        assert!((1..8).contains(&messages.len()), "{name}: {}", messages.len());
        assert!(
            messages.last().unwrap().contains("-7-") && found["more"] == true,
            "the newest, and there are others"
        );
    }
}

/// Commits, mail and looks at the view in any order: what a `sync` does not say comes live, and nothing is missing between.
#[test]
fn sync_and_live_delivery_leave_no_gap() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let tails = if random.random() { 1 << 20 } else { 0 };
        let mut world = World::with(random.random_range(1..4), |config| config.tails_max_bytes = tails);
        let alice = world.sign_in("alice");
        world.ask(alice, r#"{"type":"joinGroup","group":"room"}"#);
        let bob = world.sign_in("bob");
        world.ask(bob, r#"{"type":"joinGroup","group":"room"}"#);
        world.close(bob);
        let mut bob = None;
        let (mut said, mut syncs) = (0, 0);
        for _ in 0..200 {
            match random.random_range(0..12) {
                0 if bob.is_none() => {
                    bob = world.try_sign_in(super::world::claims("bob"), None);
                    world.post(bob.unwrap(), r#"{"type":"sync","id":"s"}"#);
                    syncs += 1;
                }
                1..4 => {
                    let whom = if random.random() { r#""to":"bob""# } else { r#""group":"room""# };
                    world.post(alice, &format!(r#"{{"type":"message",{whom},"message":"{said}"}}"#));
                    said += 1;
                }
                4..7 => drop(world.deliver()),
                7..9 => drop(world.look()),
                9..11 => drop(world.commit()),
                _ => drop(world.turn()),
            }
        }
        world.settle();
        let Some(bob) = bob else { continue };
        let events = world.take(bob);
        let synced: Vec<&Value> = events.iter().filter(|event| event["type"] == "sync").collect();
        assert_eq!(synced.len(), syncs);
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        for (name, found) in by_name(synced[0]) {
            let messages = found["messages"].as_array().unwrap();
            assert_eq!(
                messages.last().map_or(0, |last| last["seq"].as_u64().unwrap()),
                found["head"].as_u64().unwrap()
            );
            newest.insert(name, found["head"].as_u64().unwrap());
        }
        for event in events.iter().filter(|event| event["type"] == "message") {
            let newest = newest.entry(event["conversation"].as_str().unwrap().to_owned()).or_default();
            let (seq, prev) = (event["seq"].as_u64().unwrap(), event["prev"].as_u64().unwrap());
            assert!(prev <= *newest, "a gap before {event}: {newest}");
            *newest = seq.max(*newest);
        }
        let again = sync(&mut world, bob, r#"{"type":"sync"}"#);
        for (name, found) in again {
            assert_eq!(newest.get(&name).copied(), found["head"].as_u64(), "{name}: all of it has come");
        }
    }
}
