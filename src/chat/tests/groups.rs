//! Groups: who gets what, membership, rights, order of acks, slices.

use super::world::{Client, World, claims};
use crate::ids::GroupName;
use crate::metrics::Counter;
use serde_json::json;

const JOIN: &str = r#"{"type":"joinGroup","group":"g","id":"j"}"#;
const LEAVE: &str = r#"{"type":"leaveGroup","group":"g","id":"l"}"#;

fn worlds() -> Vec<World> {
    [1, 2, 5].into_iter().map(World::new).collect()
}

/// Signs users in, joins them, and forgets what they were told.
fn members(world: &mut World, users: &[&str]) -> Vec<Client> {
    let clients: Vec<Client> = users.iter().map(|user| world.sign_in(user)).collect();
    clients.iter().for_each(|client| world.send(*client, JOIN));
    clients.iter().for_each(|client| drop(world.take(*client)));
    clients
}

fn say(n: u64) -> String {
    format!(r#"{{"type":"message","group":"g","message":{n},"id":"{n}"}}"#)
}

#[test]
fn everyone_but_the_sending_session_gets_a_group_message() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b", "c"]);
        let second = world.sign_in("a");
        let outsider = world.sign_in("z");
        let ack = world.ask(clients[0], &say(1));
        assert_eq!((&ack["type"], &ack["conversation"]), (&json!("ack"), &json!("g:g")));
        for client in [clients[1], clients[2], second] {
            let got = world.take(client);
            assert_eq!((got.len(), &got[0]["group"], &got[0]["seq"]), (1, &json!("g"), &ack["seq"]));
        }
        assert_eq!(world.take(outsider).len(), 0);
    }
}

#[test]
fn joining_tells_the_members_until_there_are_many() {
    for mut world in worlds() {
        let a = world.sign_in("a");
        let joined = world.ask(a, JOIN);
        assert_eq!(joined, json!({"type":"joined","id":"j","group":"g","members":1,"seq":0}));
        let b = members(&mut world, &["b"])[0];
        let told = json!({"type":"groupEvent","group":"g","event":"joined","user":"b","members":2});
        assert_eq!(world.take(a), [told]);
        world.send(b, LEAVE);
        assert_eq!(world.take(b), [json!({"type":"left","id":"l","group":"g"})]);
        let told = json!({"type":"groupEvent","group":"g","event":"left","user":"b","members":1});
        assert_eq!(world.take(a), [told]);
        members(&mut world, &["b", "c", "d"]);
        assert_eq!(world.types(a).len(), 2, "the fourth member is news to nobody");
    }
}

#[test]
fn joining_again_answers_without_an_event_or_a_record() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b"]);
        let appended = world.count(Counter::Appended);
        let joined = world.ask(clients[1], JOIN);
        assert_eq!(joined, json!({"type":"joined","id":"j","group":"g","members":2,"seq":0}));
        assert_eq!((world.take(clients[0]).len(), world.count(Counter::Appended)), (0, appended));
        world.ask(clients[1], LEAVE);
        let appended = world.count(Counter::Appended);
        assert_eq!(world.ask(clients[1], LEAVE)["type"], "left");
        assert_eq!(world.count(Counter::Appended), appended);
    }
}

#[test]
fn two_joins_before_the_commit_are_one() {
    let mut world = World::new(1);
    let a = world.sign_in("a");
    world.post(a, JOIN);
    world.post(a, JOIN);
    world.settle();
    assert_eq!(world.types(a), ["joined", "joined"]);
    assert_eq!(world.count(Counter::Appended), 1);
}

#[test]
fn membership_survives_a_close() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b"]);
        world.close(clients[1]);
        world.settle();
        world.ask(clients[0], &say(1));
        let again = world.sign_in("b");
        world.ask(clients[0], &say(2));
        let got = world.take(again);
        assert_eq!((got.len(), &got[0]["message"]), (1, &json!(2)));
        let page = world.ask(again, r#"{"type":"history","conversation":"g:g"}"#);
        assert_eq!(page["messages"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn who_is_no_member_gets_403() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b"]);
        world.ask(clients[1], LEAVE);
        for outsider in [clients[1], world.sign_in("z")] {
            for command in [
                r#"{"type":"message","group":"g","message":1}"#,
                r#"{"type":"members","group":"g"}"#,
                r#"{"type":"typing","group":"g"}"#,
                r#"{"type":"history","conversation":"g:g"}"#,
            ] {
                assert_eq!(world.ask(outsider, command)["code"], 403, "{command}");
            }
        }
        world.send(clients[0], r#"{"type":"message","group":"g","message":1}"#);
        assert_eq!(world.take(clients[1]).len(), 0);
    }
}

#[test]
fn closed_groups_need_a_claim() {
    let mut world = World::with(3, |config| config.group_open = false);
    let a = world.sign_in("a");
    assert_eq!(world.ask(a, JOIN)["code"], 403);
    let mut allowed = claims("b");
    allowed.groups.push(GroupName::new("g").unwrap());
    let b = world.try_sign_in(allowed, None).unwrap();
    world.take(b);
    assert_eq!(world.ask(b, JOIN)["type"], "joined");
    let bare = world.sign_in("b");
    assert_eq!(world.ask(bare, JOIN)["type"], "joined", "members need no claim");
}

#[test]
fn groups_and_members_are_bounded() {
    for shards in [1, 4] {
        let mut world = World::with(shards, |config| {
            config.group_max_members = 2;
            config.groups_per_user = 3;
        });
        let clients = members(&mut world, &["a", "b"]);
        let c = world.sign_in("c");
        assert_eq!(world.ask(c, JOIN)["code"], 403);
        for n in 0..3 {
            world.post(c, &format!(r#"{{"type":"joinGroup","group":"g{n}"}}"#));
        }
        world.post(c, r#"{"type":"joinGroup","group":"g3"}"#);
        world.settle();
        let types = world.types(c);
        assert_eq!(types.iter().filter(|t| *t == "joined").count(), 3, "the refused one counts no longer");
        assert_eq!(types.iter().filter(|t| *t == "error").count(), 1);
        world.ask(clients[0], LEAVE);
        world.send(c, r#"{"type":"leaveGroup","group":"g0"}"#);
        world.take(c);
        assert_eq!(world.ask(c, JOIN)["type"], "joined");
    }
}

#[test]
fn members_come_in_pages() {
    let mut world = World::with(2, |config| {
        config.group_max_members = 1000;
        config.users_max = 2000;
    });
    for n in 0..700 {
        members(&mut world, &[&format!("user{n:03}")]);
    }
    let reader = members(&mut world, &["zoe"])[0];
    let page = world.ask(reader, r#"{"type":"members","group":"g"}"#);
    let users = page["users"].as_array().unwrap();
    assert_eq!((users.len(), &users[499], &page["more"]), (500, &json!("user499"), &json!(true)));
    let rest = world.ask(reader, r#"{"type":"members","group":"g","after":"user499"}"#);
    assert_eq!((rest["users"].as_array().unwrap().len(), &rest["more"]), (201, &json!(false)));
}

#[test]
fn who_joins_later_gets_what_comes_later() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b"]);
        let first = world.ask(clients[0], &say(1));
        let c = world.sign_in("c");
        let joined = world.ask(c, JOIN);
        assert_eq!(joined["seq"], first["seq"]);
        world.take(clients[0]);
        let second = world.ask(clients[0], &say(2));
        let got = world.take(c);
        assert_eq!((got.len(), &got[0]["prev"], &second["prev"]), (1, &joined["seq"], &joined["seq"]));
    }
}

#[test]
fn a_message_right_behind_its_join_is_allowed() {
    let mut world = World::new(1);
    let b = members(&mut world, &["b"])[0];
    let a = world.sign_in("a");
    world.post(a, JOIN);
    world.post(a, &say(1));
    world.settle();
    assert_eq!(world.types(a), ["joined", "ack"]);
    assert_eq!(world.types(b), ["groupEvent", "message"]);
}

#[test]
fn typing_reaches_the_other_members() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b"]);
        let second = world.sign_in("a");
        world.send(clients[0], r#"{"type":"typing","group":"g"}"#);
        assert_eq!(world.take(clients[1]), [json!({"type":"typing","from":"a","group":"g"})]);
        assert_eq!((world.take(clients[0]).len(), world.take(second).len()), (0, 0));
    }
}

#[test]
fn fan_out_is_sliced_and_keeps_the_order_of_acks_and_messages() {
    for shards in [1, 3] {
        let mut world = World::with(shards, |config| config.fanout_slice = 7);
        let users: Vec<String> = (0..40).map(|n| format!("u{n}")).collect();
        let clients = members(&mut world, &users.iter().map(String::as_str).collect::<Vec<_>>());
        // Three messages in one go, from two senders.
        world.post(clients[0], &say(1));
        world.post(clients[1], &say(2));
        world.post(clients[0], &say(3));
        while world.deliver() | world.look() | world.commit() {}
        loop {
            world.shells.iter_mut().for_each(|shell| shell.sends = 0);
            let more = world.turn();
            assert!(
                world.shells.iter().all(|shell| shell.sends <= 7 + 3 + 2),
                "a slice, acks, the last one's other two"
            );
            world.rules.iter().for_each(crate::chat::Rules::invariants);
            if !more {
                break;
            }
        }
        for (n, client) in clients.iter().enumerate() {
            let got = world.take(*client);
            assert_eq!(got.len(), 3);
            let seqs: Vec<u64> = got.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
            assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
            let acks = got.iter().filter(|event| event["type"] == "ack").count();
            assert_eq!(acks, [2, 1].get(n).copied().unwrap_or(0));
        }
    }
}

#[test]
fn what_waits_for_a_group_reaches_each_member_together() {
    let mut world = World::with(1, |config| config.fanout_slice = 8);
    let users: Vec<String> = (0..60).map(|n| format!("u{n}")).collect();
    let clients = members(&mut world, &users.iter().map(String::as_str).collect::<Vec<_>>());
    (0..6).for_each(|n| world.post(clients[n % 3], &say(n as u64)));
    while world.deliver() | world.look() | world.commit() {}
    let mut turns = vec![Vec::new(); clients.len()];
    let mut more = true;
    while more {
        more = world.turn();
        for (turns, client) in turns.iter_mut().zip(&clients) {
            turns.extend(Some(world.take(*client)).filter(|got| !got.is_empty()));
        }
    }
    for (client, turns) in turns.iter().enumerate() {
        let sizes: Vec<usize> = turns.iter().map(Vec::len).collect();
        assert_eq!(sizes, [6], "{client}: all six in one turn");
        let seqs: Vec<u64> = turns.concat().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{client}: {seqs:?}");
    }
}

#[test]
fn past_the_bound_of_jobs_members_are_told_to_resync_and_acks_go_on() {
    let mut world = World::with(1, |config| config.fanout_slice = 2);
    let clients = members(&mut world, &["a", "b", "c", "d"]);
    world.rules[0].fan.max_jobs = 5;
    (0..10).for_each(|n| world.post(clients[0], &say(n)));
    world.commit();
    world.post(clients[1], r#"{"type":"typing","group":"g"}"#);
    world.settle();
    let acks = world.take(clients[0]);
    let seqs: Vec<u64> = acks.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(seqs.len() == 10 && seqs.is_sorted(), "{acks:?}");
    for client in &clients[1..] {
        let types = world.types(*client);
        assert_eq!(types, ["message", "message", "message", "message", "message", "resync"]);
    }
    assert_eq!((world.types(clients[0]), world.count(Counter::Resyncs)), (vec![], 4));
    assert_eq!(world.rules[0].gauges().fanout_jobs, 0);
    world.send(clients[0], &say(11));
    assert_eq!(world.types(clients[1]), ["message"], "and then it goes on");
}

#[test]
fn groups_take_turns() {
    let mut world = World::with(1, |config| {
        config.fanout_slice = 8;
        config.groups_per_user = 10;
    });
    let users: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let clients = members(&mut world, &users.iter().map(String::as_str).collect::<Vec<_>>());
    for client in &clients[..9] {
        world.send(*client, r#"{"type":"joinGroup","group":"small"}"#);
    }
    clients.iter().for_each(|client| drop(world.take(*client)));
    (0..20).for_each(|n| world.post(clients[0], &say(n)));
    world.post(clients[1], r#"{"type":"message","group":"small","message":1}"#);
    while world.deliver() | world.look() | world.commit() {}
    let small = |world: &mut World| world.take(clients[8]).iter().any(|event| event["group"] == "small");
    (0..4).for_each(|_| assert!(world.turn()));
    assert!(small(&mut world), "twenty messages to a hundred members do not hold up nine");
}

#[test]
fn leaving_and_closing_leave_nothing_behind() {
    for mut world in worlds() {
        let clients = members(&mut world, &["a", "b", "c"]);
        world.post(clients[0], &say(1));
        clients.iter().for_each(|client| world.close(*client));
        world.settle();
        for rules in &world.rules {
            let gauges = rules.gauges();
            assert_eq!(
                (gauges.sessions, gauges.local_groups, gauges.interests, gauges.fanout_jobs, gauges.pending),
                (0, 0, 0, 0, 0)
            );
        }
        assert_eq!(
            world.rules.iter().map(|rules| rules.gauges().users).sum::<usize>(),
            3,
            "memberships stay"
        );
        for user in ["a", "b", "c"] {
            let client = world.sign_in(user);
            world.send(client, LEAVE);
            world.close(client);
        }
        world.settle();
        assert_eq!(world.rules.iter().map(|rules| rules.gauges().users).sum::<usize>(), 0);
    }
}
