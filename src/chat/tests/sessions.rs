//! Sessions: sign-in, devices, limits, refresh, expiry, broadcasts, resync.

use super::world::{START, World, claims};
use crate::ids::{ConnId, Millis};
use crate::metrics::Counter;
use crate::wire::CloseCode;
use serde_json::json;

fn closed(world: &World) -> Vec<(ConnId, CloseCode)> {
    world.shells.iter().flat_map(|shell| shell.closed.clone()).collect()
}

#[test]
fn signing_in_is_answered_with_the_limits() {
    let mut world = World::new(3);
    let a = world.try_sign_in(claims("alice"), None).unwrap();
    let session = a.session.to_string();
    assert_eq!(
        world.take(a),
        [json!({"type":"authenticated","id":"hello","user":"alice","session":session,"heartbeat":25000,
            "time":START.0,"limits":{"messageSize":1000,"websocketMessageSize":65536}})]
    );
}

#[test]
fn the_same_device_replaces_its_older_connection() {
    let mut world = World::new(2);
    let old = world.try_sign_in(claims("alice"), Some("phone")).unwrap();
    let other = world.try_sign_in(claims("alice"), Some("laptop")).unwrap();
    let new = world.try_sign_in(claims("alice"), Some("phone")).unwrap();
    assert_eq!(closed(&world), [(old.conn, CloseCode::Replaced)]);
    [old, other, new].iter().for_each(|client| drop(world.take(*client)));
    world.close(old);
    world.send(old, r#"{"type":"ping"}"#);
    assert_eq!(world.take(old).len(), 0, "its session is over");
    let bob = world.sign_in("bob");
    world.send(bob, r#"{"type":"message","to":"alice","message":1}"#);
    assert_eq!((world.take(old).len(), world.take(other).len(), world.take(new).len()), (0, 1, 1));
}

#[test]
fn a_device_that_signs_in_again_stays_in_its_groups() {
    for stored in [false, true] {
        let mut world = World::with(2, |config| config.memberships_stored = stored);
        let old = world.try_sign_in(claims("alice"), Some("phone")).unwrap();
        world.send(old, r#"{"type":"joinGroup","group":"garden"}"#);
        let new = world.try_sign_in(claims("alice"), Some("phone")).unwrap();
        let bob = world.sign_in("bob");
        world.send(bob, r#"{"type":"joinGroup","group":"garden"}"#);
        world.take(new);
        world.send(bob, r#"{"type":"message","group":"garden","message":1}"#);
        assert_eq!(world.types(new), ["message"], "memberships stored: {stored}");
    }
}

#[test]
fn beyond_the_limit_the_new_connection_is_closed() {
    let mut world = World::with(2, |config| config.user_connection_limit = 2);
    world.try_sign_in(claims("alice"), Some("a")).unwrap();
    world.sign_in("alice");
    assert_eq!(world.try_sign_in(claims("alice"), None), None);
    assert_eq!(closed(&world), [(ConnId { index: 2, generation: 0 }, CloseCode::ConnectionLimit)]);
    assert!(world.try_sign_in(claims("alice"), Some("a")).is_some(), "a replaced one makes room");
    world.settle();
}

#[test]
fn users_are_bounded() {
    let mut world = World::with(1, |config| config.users_max = 1);
    let a = world.sign_in("alice");
    assert!(world.try_sign_in(claims("bob"), None).is_none());
    assert!(world.try_sign_in(claims("alice"), None).is_some());
    assert_eq!(closed(&world)[0].1, CloseCode::TooMany);
    world.close(a);
    world.settle();
}

#[test]
fn refreshing_is_for_the_same_user() {
    let mut world = World::new(2);
    let mut short = claims("alice");
    short.expires = Some(Millis(START.0 + 30_000));
    let a = world.try_sign_in(short, None).unwrap();
    world.take(a);
    let at = usize::from(a.session.shard.0);
    world.rules[at].refresh(a.session, claims("bob"), Some("r"), world.now, &mut world.shells[at]);
    let refused = world.take(a).remove(0);
    assert_eq!(
        (&refused["code"], &refused["id"], &refused["for"]),
        (&json!(403), &json!("r"), &json!("auth"))
    );
    let mut longer = claims("alice");
    longer.expires = Some(Millis(START.0 + 600_000));
    world.rules[at].refresh(a.session, longer, Some("r"), world.now, &mut world.shells[at]);
    assert_eq!(world.take(a)[0]["type"], "authenticated");
    world.now.wall.0 += 60_000;
    world.rules[at].expiry(a.session, world.now, &mut world.shells[at]);
    assert_eq!(world.take(a).len(), 0, "the newer token counts");
}

#[test]
fn a_token_warns_once_and_then_ends_the_session() {
    let mut world = World::new(1);
    let mut short = claims("alice");
    short.expires = Some(Millis(START.0 + 100_000));
    let a = world.try_sign_in(short, None).unwrap();
    world.take(a);
    for (after, told) in [(0, 0), (41_000, 1), (20_000, 0)] {
        world.now.wall.0 += after;
        world.rules[0].expiry(a.session, world.now, &mut world.shells[0]);
        assert_eq!(world.take(a).len(), told);
    }
    world.now.wall.0 += 50_000;
    world.rules[0].expiry(a.session, world.now, &mut world.shells[0]);
    assert_eq!(closed(&world), [(a.conn, CloseCode::Expired)]);
    assert_eq!(world.rules[0].gauges().users, 0);
}

#[test]
fn ping_is_answered() {
    let mut world = World::new(1);
    let a = world.sign_in("alice");
    assert_eq!(world.ask(a, r#"{"type":"ping","id":"p"}"#), json!({"type":"pong","id":"p","time":START.0}));
}

#[test]
fn everyone_else_gets_a_broadcast_in_slices() {
    for shards in [1, 3] {
        let mut world = World::with(shards, |config| config.fanout_slice = 5);
        let clients: Vec<_> = (0..60).map(|n| world.sign_in(&format!("u{n}"))).collect();
        world.post(clients[0], r#"{"type":"message","message":"hi","id":"1"}"#);
        world.post(clients[1], r#"{"type":"message","message":"ho"}"#);
        while world.deliver() {}
        for _ in 0..1000 {
            world.shells.iter_mut().for_each(|shell| shell.sends = 0);
            let more = world.turn();
            assert!(world.shells.iter().all(|shell| shell.sends <= 5));
            if !(world.deliver() | more) {
                break;
            }
        }
        for (n, client) in clients.iter().enumerate() {
            let got = world.take(*client);
            let texts: Vec<_> = got.iter().filter_map(|event| event["message"].as_str()).collect();
            match n {
                0 => assert_eq!((&got[0]["durability"], texts), (&json!("none"), vec!["ho"])),
                1 => assert_eq!(texts, ["hi"]),
                _ => assert_eq!(texts.len(), 2),
            }
        }
        assert_eq!(world.count(Counter::Appended), 0);
    }
}

#[test]
fn a_broadcast_needs_the_right_and_room() {
    let mut world = World::new(2);
    let mut bare = claims("alice");
    bare.broadcast = false;
    let a = world.try_sign_in(bare, None).unwrap();
    world.settle();
    world.take(a);
    assert_eq!(world.ask(a, r#"{"type":"message","message":"hi"}"#)["code"], 403);
    let b = world.sign_in("bob");
    (0..30).for_each(|_| world.post(b, r#"{"type":"message","message":"hi"}"#));
    while world.deliver() {}
    let refused = world.take(b).iter().filter(|event| event["code"] == 503).count();
    assert_eq!(refused, 30 - 1 - crate::limits::BROADCAST_QUEUE);
    world.settle();
    assert_eq!(world.types(a).len(), 30 - refused);
}

#[test]
fn missed_mail_tells_every_session_to_resync() {
    let mut world = World::with(1, |config| config.fanout_slice = 4);
    let clients: Vec<_> = (0..10).map(|n| world.sign_in(&format!("u{n}"))).collect();
    world.rules[0].missed();
    assert!(world.turn() && world.turn());
    world.settle();
    clients.iter().for_each(|client| assert_eq!(world.types(*client), ["resync"]));
    world.rules[0].resync(clients[0].session, &mut world.shells[0]);
    assert_eq!((world.types(clients[0]), world.count(Counter::Resyncs)), (vec!["resync".to_owned()], 11));
}
