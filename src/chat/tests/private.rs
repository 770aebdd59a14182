//! Private messages: who gets them, acks, repeated and conflicting ids, numbers.

use super::world::{World, user};
use crate::metrics::Counter;
use serde_json::{Value, json};

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap()
}

/// A world in which two users live on different shards, or on one.
fn pairs() -> Vec<World> {
    [1, 2, 3, 7].into_iter().map(World::new).collect()
}

#[test]
fn a_message_reaches_the_other_and_its_ack_the_sender() {
    for mut world in pairs() {
        let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
        let ack = world.ask(a, r#"{"type":"message","to":"bob","message":{"x":[1]},"id":"1"}"#);
        let got = world.take(b);
        assert_eq!(got.len(), 1);
        assert_eq!(
            got[0],
            json!({"type":"message","from":"alice","to":"bob","message":{"x":[1]},"id":"1",
                "conversation":"u:alice:bob","seq":seq(&ack),"prev":0,"time":world.now.wall.0})
        );
        assert_eq!(
            ack,
            json!({"type":"ack","id":"1","conversation":"u:alice:bob","seq":seq(&ack),"prev":0,
                "time":world.now.wall.0,"durability":"memory"})
        );
    }
}

#[test]
fn without_an_id_there_is_no_ack() {
    let mut world = World::new(2);
    let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
    world.send(a, r#"{"type":"message","to":"bob","message":null}"#);
    assert_eq!((world.take(a).len(), world.take(b).len()), (0, 1));
}

#[test]
fn all_other_devices_of_both_get_it() {
    for mut world in pairs() {
        let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
        let (a2, b2) = (world.sign_in("alice"), world.sign_in("bob"));
        world.send(a2, r#"{"type":"message","to":"bob","message":1}"#);
        assert_eq!(world.types(a), ["message"]);
        assert_eq!(world.types(a2), [""; 0]);
        assert_eq!((world.types(b).len(), world.types(b2).len()), (1, 1));
    }
}

#[test]
fn to_oneself_only_the_other_devices_get_it() {
    let mut world = World::new(2);
    let (a, a2) = (world.sign_in("alice"), world.sign_in("alice"));
    let ack = world.ask(a, r#"{"type":"message","to":"alice","message":1,"id":"x"}"#);
    assert_eq!(ack["type"], "ack");
    assert_eq!(world.types(a2), ["message"]);
}

#[test]
fn each_message_names_the_one_before() {
    for mut world in pairs() {
        let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
        let mut last = 0;
        for n in 0..5 {
            let (from, to) = if n % 2 == 0 { (a, "bob") } else { (b, "alice") };
            let ack = world.ask(from, &format!(r#"{{"type":"message","to":"{to}","message":1,"id":"{n}"}}"#));
            assert_eq!(ack["prev"], last);
            assert!(seq(&ack) > last);
            last = seq(&ack);
            world.take(a);
            world.take(b);
        }
    }
}

#[test]
fn a_repeated_id_is_acked_again_and_delivered_once() {
    for mut world in pairs() {
        let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
        let text = r#"{"type":"message","to":"bob","message":"hi","id":"1"}"#;
        let first = world.ask(a, text);
        world.now.wall.0 += 5000;
        let other = world.sign_in("alice");
        let again = world.ask(other, text);
        assert_eq!(again["duplicate"], true);
        for field in ["seq", "prev", "time", "durability", "conversation"] {
            assert_eq!(again[field], first[field]);
        }
        assert_eq!(world.take(b).len(), 1);
        assert_eq!(world.count(Counter::Duplicates), 1);
    }
}

#[test]
fn other_content_under_the_same_id_is_a_conflict() {
    let mut world = World::new(2);
    let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
    world.ask(a, r#"{"type":"message","to":"bob","message":"hi","id":"1"}"#);
    let refused = world.ask(a, r#"{"type":"message","to":"bob","message":"ho","id":"1"}"#);
    assert_eq!(
        (&refused["code"], &refused["id"], &refused["for"]),
        (&json!(409), &json!("1"), &json!("message"))
    );
    let elsewhere = world.ask(a, r#"{"type":"message","to":"carol","message":"ho","id":"1"}"#);
    assert_eq!(elsewhere["type"], "ack", "ids are each conversation's own");
    world.take(b);
    let theirs = world.ask(b, r#"{"type":"message","to":"alice","message":"ho","id":"1"}"#);
    assert_eq!(theirs["type"], "ack", "and each user's own");
}

#[test]
fn a_repeat_before_the_commit_waits_for_it() {
    let mut world = World::new(1);
    let (a, b) = (world.sign_in("alice"), world.sign_in("bob"));
    world.send(a, r#"{"type":"message","to":"bob","message":0}"#);
    world.take(b);
    let text = r#"{"type":"message","to":"bob","message":"hi","id":"1"}"#;
    world.post(a, text);
    world.post(a, text);
    world.turn();
    assert_eq!(world.take(a).len(), 0, "nothing is acked before it is committed");
    world.settle();
    let acks = world.take(a);
    assert_eq!((acks.len(), &acks[0]["seq"]), (2, &acks[1]["seq"]));
    assert_eq!((&acks[0]["duplicate"], &acks[1]["duplicate"]), (&Value::Null, &json!(true)));
    assert_eq!(world.take(b).len(), 1);
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let mut world = World::new(1);
    let a = world.sign_in("alice");
    let long = format!(r#"{{"type":"message","to":"bob","message":"{}","id":"1"}}"#, "x".repeat(999));
    assert_eq!(world.ask(a, &long)["code"], 413);
}

#[test]
fn a_busy_server_says_so() {
    let mut world = World::new(2);
    let a = world.sign_in("alice");
    let text = r#"{"type":"message","to":"bob","message":"hi","id":"1"}"#;
    world.shells.iter_mut().for_each(|shell| shell.log_full = true);
    assert_eq!(world.ask(a, text)["code"], 503);
    world.shells.iter_mut().for_each(|shell| (shell.log_full, shell.accepting) = (false, false));
    let home = world.router.home_of_user(&user("alice"));
    let mut others = (0..20).map(|n| format!("zoe{n}"));
    let far = others.find(|other| world.router.home_of_user(&user(other)) != home).unwrap();
    let far = world.sign_in(&far);
    let refused = world.ask(far, r#"{"type":"message","to":"alice","message":"hi","id":"1"}"#);
    assert_eq!((&refused["code"], &refused["id"]), (&json!(503), &json!("1")));
    assert_eq!(world.ask(a, text)["type"], "ack", "the refused one left nothing behind");
}

#[test]
fn typing_reaches_the_other_side_only() {
    for mut world in pairs() {
        let (a, a2, b) = (world.sign_in("alice"), world.sign_in("alice"), world.sign_in("bob"));
        world.send(a, r#"{"type":"typing","to":"bob"}"#);
        assert_eq!(world.take(b), [json!({"type":"typing","from":"alice","to":"bob"})]);
        assert_eq!((world.take(a).len(), world.take(a2).len()), (0, 0));
        world.send(a, r#"{"type":"typing","to":"alice"}"#);
        assert_eq!(world.take(a2).len(), 0);
    }
}

#[test]
fn history_is_for_its_parties() {
    for mut world in pairs() {
        let (a, b, c) = (world.sign_in("alice"), world.sign_in("bob"), world.sign_in("carol"));
        for n in 0..30 {
            world.send(a, &format!(r#"{{"type":"message","to":"bob","message":{n}}}"#));
        }
        world.take(b);
        let page = world.ask(b, r#"{"type":"history","conversation":"u:alice:bob","id":"h"}"#);
        let messages = page["messages"].as_array().unwrap();
        assert_eq!((messages.len(), &page["more"], &page["id"]), (20, &json!(true), &json!("h")));
        assert_eq!((&messages[0]["message"], &messages[19]["message"]), (&json!(10), &json!(29)));
        let first = seq(&messages[0]);
        let older = world.ask(
            b,
            &format!(r#"{{"type":"history","conversation":"u:alice:bob","before":{first},"limit":1000}}"#),
        );
        assert_eq!((older["messages"].as_array().unwrap().len(), &older["more"]), (10, &json!(false)));
        assert_eq!(world.ask(c, r#"{"type":"history","conversation":"u:alice:bob"}"#)["code"], 403);
    }
}
