//! What a user may do in a time, on any number of shards.

use super::world::World;
use crate::meter::Rate;
use crate::metrics::Counter;
use serde_json::json;

fn say(to: &str) -> String {
    json!({"type": "message", "to": to, "message": "hi", "id": format!("to {to}")}).to_string()
}

fn join(group: &str) -> String {
    json!({"type": "joinGroup", "group": group, "id": group}).to_string()
}

#[test]
fn a_user_begins_so_many_conversations_an_hour_and_no_more() {
    for shards in 1..=3 {
        let mut world = World::with(shards, |config| config.rates.begun = Rate::per_hour(3));
        let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
        assert_eq!(world.ask(alice, &say("u1"))["type"], "ack");
        assert_eq!(world.ask(alice, &say("bob"))["type"], "ack");
        world.send(alice, &join("g1"));
        assert_eq!(world.types(alice), ["joined"]);
        // What goes on is not begun, and what somebody else began is theirs.
        let again = json!({"type": "message", "to": "u1", "message": "again", "id": "x"}).to_string();
        assert_eq!(world.ask(alice, &again)["type"], "ack");
        world.take(bob);
        assert_eq!(world.ask(bob, &say("alice"))["type"], "ack");
        world.take(alice);
        let mut wait = 0;
        for (command, name) in [(say("u2"), "message"), (join("g2"), "joinGroup")] {
            let error = world.ask(alice, &command);
            assert_eq!((&error["code"], &error["for"]), (&json!(429), &json!(name)), "{error}");
            wait = error["retryAfter"].as_u64().unwrap();
        }
        assert_eq!(world.count(Counter::LimitedBegun), 2);
        // Going away and coming back changes nothing, and neither do others.
        world.close(alice);
        let alice = world.sign_in("alice");
        assert_eq!(world.ask(alice, &say("u3"))["code"], 429);
        for to in ["v1", "v2", "v3"] {
            assert_eq!(world.ask(bob, &say(to))["type"], "ack");
        }
        assert_eq!(world.ask(bob, &say("v4"))["code"], 429);
        world.now.uptime += wait;
        assert_eq!(world.ask(alice, &say("u4"))["type"], "ack");
        assert_eq!(world.ask(alice, &say("u5"))["code"], 429);
        // Of what is refused nothing is left: the groups of a user are limited too.
        for n in 0..20 {
            assert_eq!(world.ask(alice, &join(&format!("h{n}")))["code"], 429);
        }
    }
}

#[test]
fn what_was_begun_at_the_same_time_is_paid_for_afterwards() {
    let mut world = World::with(3, |config| config.rates.begun = Rate::per_hour(10));
    let alice = world.sign_in("alice");
    for n in 0..40 {
        world.post(alice, &say(&format!("u{n}")));
    }
    world.settle();
    let acked = world.types(alice).iter().filter(|kind| *kind == "ack").count();
    assert!((10..=40).contains(&acked), "{acked}");
    // All that came through counts.
    let error = world.ask(alice, &say("late"));
    let hour = 3_600_000;
    let owed = (acked as u64 + 1 - 10) * hour / 10;
    let wait = error["retryAfter"].as_u64().unwrap();
    assert!((owed..owed + 1000).contains(&wait), "{wait} for {acked}");
}

#[test]
fn what_the_log_did_not_take_was_not_begun() {
    for shards in 1..=3 {
        let mut world = World::with(shards, |config| config.rates.begun = Rate::per_hour(2));
        let alice = world.sign_in("alice");
        world.shells.iter_mut().for_each(|shell| shell.log_full = true);
        for n in 0..10 {
            assert_eq!(world.ask(alice, &say(&format!("u{n}")))["code"], 503);
            assert_eq!(world.ask(alice, &join(&format!("g{n}")))["code"], 503);
        }
        world.shells.iter_mut().for_each(|shell| shell.log_full = false);
        assert_eq!(world.ask(alice, &say("u1"))["type"], "ack");
        assert_eq!(world.ask(alice, &join("g1"))["type"], "joined");
        assert_eq!(world.ask(alice, &say("u2"))["code"], 429);
    }
}
