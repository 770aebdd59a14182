//! When the log fails, when the view forgets, when conversations are evicted.

use super::world::{Client, World};
use crate::log::Outcome;
use serde_json::{Value, json};

const HELLO: &str = r#"{"type":"message","to":"bob","message":"hi","id":"1"}"#;

fn pair(world: &mut World) -> (Client, Client) {
    (world.sign_in("alice"), world.sign_in("bob"))
}

fn fate(world: &mut World, fate: Option<fn(crate::log::Ticket) -> Outcome>) {
    world.shells.iter_mut().for_each(|shell| shell.fate = fate);
}

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap()
}

#[test]
fn what_was_not_stored_is_refused_and_can_be_sent_again() {
    for what in [Outcome::Failed as fn(_) -> _, Outcome::Fenced, Outcome::Unknown] {
        for shards in [1, 3] {
            let mut world = World::new(shards);
            let (a, b) = pair(&mut world);
            let first = world.ask(a, r#"{"type":"message","to":"bob","message":0,"id":"0"}"#);
            world.take(b);
            fate(&mut world, Some(what));
            let refused = world.ask(a, HELLO);
            assert_eq!((&refused["code"], &refused["id"]), (&json!(503), &json!("1")));
            fate(&mut world, None);
            let again = world.ask(a, HELLO);
            assert_eq!((&again["type"], &again["prev"]), (&json!("ack"), &first["seq"]));
            assert!(seq(&again) > seq(&first) + 1, "no number is given twice");
            assert_eq!(again["duplicate"], Value::Null);
            assert_eq!(world.take(b).len(), 1);
        }
    }
}

#[test]
fn a_join_that_failed_can_be_asked_again() {
    let mut world = World::with(2, |config| config.groups_per_user = 1);
    let (a, b) = pair(&mut world);
    let join = r#"{"type":"joinGroup","group":"g"}"#;
    world.ask(b, join);
    for what in [Outcome::Failed as fn(_) -> _, Outcome::Unknown] {
        fate(&mut world, Some(what));
        assert_eq!(world.ask(a, join)["code"], 503);
        fate(&mut world, None);
        assert_eq!(world.ask(a, r#"{"type":"message","group":"g","message":1}"#)["code"], 403);
    }
    assert_eq!(world.ask(a, join)["members"], 2);
}

#[test]
fn numbers_survive_eviction_and_a_clock_that_goes_back() {
    let mut world = World::with(1, |config| config.active_conversations_max = 2);
    let (a, b) = pair(&mut world);
    let first = world.ask(a, HELLO);
    world.take(b);
    for n in 0..5 {
        world.send(a, &format!(r#"{{"type":"message","to":"other{n}","message":1}}"#));
    }
    assert_eq!(world.rules[0].gauges().conversations, 2);
    world.now.wall.0 -= 3_600_000;
    let again = world.ask(a, HELLO);
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &first["seq"]));
    let next = world.ask(a, r#"{"type":"message","to":"bob","message":"hi","id":"2"}"#);
    assert!(seq(&next) > seq(&first));
    assert_eq!(next["prev"], first["seq"]);
}

#[test]
fn a_number_that_was_not_stored_is_not_given_again_after_eviction() {
    let mut world = World::with(1, |config| config.active_conversations_max = 1);
    let (a, _) = pair(&mut world);
    fate(&mut world, Some(Outcome::Failed));
    world.ask(a, HELLO);
    fate(&mut world, None);
    world.send(a, r#"{"type":"message","to":"other","message":1}"#);
    world.now.wall.0 -= 3_600_000;
    assert_eq!(world.ask(a, HELLO)["prev"], 0);
}

#[test]
fn commands_wait_for_an_activation_up_to_a_bound() {
    let mut world = World::new(1);
    let (a, _) = pair(&mut world);
    for _ in 0..crate::limits::ACTIVATION_QUEUE + 3 {
        world.post(a, r#"{"type":"message","to":"bob","message":1}"#);
    }
    assert_eq!(world.types(a), ["error"; 3]);
}

#[test]
fn busy_conversations_are_not_evicted() {
    let mut world = World::with(1, |config| config.active_conversations_max = 2);
    let (a, _) = pair(&mut world);
    for n in 0..3 {
        world.post(a, &format!(r#"{{"type":"message","to":"other{n}","message":1}}"#));
    }
    assert_eq!(world.types(a), ["error"]);
    world.settle();
    world.send(a, r#"{"type":"message","to":"other2","message":1}"#);
    assert_eq!(world.types(a), [""; 0]);
}

#[test]
fn numbers_go_on_above_what_was_reserved_whatever_was_lost() {
    let reserved = 1 << 52;
    let mut world = World::with(2, |config| config.seqs_reserved = Some(crate::ids::Seq(reserved)));
    let (a, _) = pair(&mut world);
    // The view knows of nothing that an earlier process has given, and the clock is far behind.
    assert_eq!(seq(&world.ask(a, HELLO)), reserved + 1);
    world.now.wall.0 += 3_600_000;
    let next = world.ask(a, r#"{"type":"message","to":"bob","message":"hi","id":"2"}"#);
    assert_eq!(seq(&next), reserved + 2, "the clock has no say where numbers are reserved");
}

#[test]
fn a_page_of_a_group_that_is_known_activates_nothing() {
    let mut world = World::with(1, |config| config.active_conversations_max = 1);
    let (a, b) = pair(&mut world);
    for client in [a, b] {
        world.ask(client, r#"{"type":"joinGroup","group":"room"}"#);
    }
    world.take(a);
    world.ask(a, r#"{"type":"message","group":"room","message":1,"id":"g"}"#);
    world.take(b);
    world.ask(b, r#"{"type":"sync"}"#);
    // Another conversation takes the only place.
    world.ask(a, HELLO);
    world.take(b);
    let before = world.activated();
    let page = world.ask(b, r#"{"type":"history","conversation":"g:room"}"#);
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.activated(), before);
    let carol = world.sign_in("carol");
    let refused = world.ask(carol, r#"{"type":"history","conversation":"g:room"}"#);
    assert_eq!(refused["code"], 403);
}
