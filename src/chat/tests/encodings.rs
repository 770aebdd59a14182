//! Encodings: what many get is written once in each one that somebody speaks, and shared; what comes too late for a
//! session's encoding is read again.

use super::world::{Client, World, claims};
use crate::chat::Mail;
use crate::frame::{ENCODINGS, Frame};
use crate::ids::ShardId;
use crate::metrics::Counter;
use crate::wire::{Encoding, Event};
use std::collections::HashSet;

const SHARDS: u16 = 5;
const GROUP: &str = r#"{"type":"joinGroup","group":"g"}"#;
const TO_GROUP: &str = r#"{"type":"message","group":"g","message":1}"#;

impl World {
    /// Signs in a session of this encoding and forgets what it was told.
    fn sign_in_as(&mut self, encoding: Encoding, user: &str) -> Client {
        let client = self.try_sign_in_as(encoding, claims(user), None).unwrap();
        self.settle();
        self.frames(client);
        client
    }

    /// The frames that a client got since it was last asked.
    fn frames(&mut self, client: Client) -> Vec<Frame> {
        self.take(client);
        let frames = &mut self.shells[usize::from(client.session.shard.0)].frames;
        frames.extract_if(.., |(conn, _)| *conn == client.conn).map(|(_, frame)| frame).collect()
    }

    /// How many frames for many `step` writes, by encoding.
    fn written(&mut self, step: impl FnOnce(&mut Self)) -> [u32; ENCODINGS] {
        let before = self.all.written.replace([0; ENCODINGS]);
        step(self);
        self.all.written.replace(before)
    }
}

/// A user at home on a shard.
fn user_on(world: &World, shard: u16, n: usize) -> String {
    let names = (0..).map(|n| format!("user{n}"));
    let mut here = names.filter(|name| world.router.home_of_user(&super::world::user(name)).0 == shard);
    here.nth(n).unwrap()
}

fn written_as(encoding: Encoding, event: &Event<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoding.encode(event, &mut bytes);
    bytes
}

/// What all of a group's members got: one allocation for each encoding, whichever shard they are on.
fn assert_shared(world: &mut World, members: &[(Encoding, Client)]) {
    let mut places = [(); ENCODINGS].map(|()| HashSet::new());
    for (encoding, client) in members {
        let frames = world.frames(*client);
        assert_eq!(frames.len(), 1);
        places[encoding.index()].insert(frames[0].bytes().as_ptr());
    }
    assert!(places.iter().all(|places| places.len() == 1), "{places:?}");
    assert_eq!(places.iter().flatten().collect::<HashSet<_>>().len(), ENCODINGS);
}

#[test]
fn a_message_is_encoded_once_per_encoding_in_use() {
    let mut world = World::new(SHARDS);
    let mut members = Vec::new();
    for n in 0..40_usize {
        let encoding = Encoding::ALL[n / usize::from(SHARDS) % ENCODINGS];
        let name = user_on(&world, n as u16 % SHARDS, n / usize::from(SHARDS));
        let client = world.sign_in_as(encoding, &name);
        world.send(client, GROUP);
        members.push((encoding, client));
    }
    members.iter().for_each(|(_, client)| drop(world.frames(*client)));
    let sender = world.sign_in("sender");
    world.send(sender, GROUP);
    members.iter().for_each(|(_, client)| drop(world.frames(*client)));
    assert_eq!(world.written(|world| world.send(sender, TO_GROUP)), [1; ENCODINGS]);
    assert_shared(&mut world, &members);
    // What is not stored and what goes to everyone is no other.
    assert_eq!(world.written(|world| world.send(sender, r#"{"type":"typing","group":"g"}"#)), [1; ENCODINGS]);
    assert_shared(&mut world, &members);
    assert_eq!(
        world.written(|world| world.send(sender, r#"{"type":"message","message":1}"#)),
        [1; ENCODINGS]
    );
    assert_shared(&mut world, &members);
}

#[test]
fn what_nobody_speaks_is_not_written() {
    let mut world = World::new(SHARDS);
    let (alice, bob) = (world.sign_in("alice"), world.sign_in("bob"));
    let to_bob = r#"{"type":"message","to":"bob","message":1}"#;
    assert_eq!(world.written(|world| world.send(alice, to_bob)), [1, 0]);
    let other = world.sign_in_as(Encoding::Proto, "somebody");
    assert_eq!(world.written(|world| world.send(alice, to_bob)), [1, 1]);
    world.close(other);
    assert_eq!(world.written(|world| world.send(alice, to_bob)), [1, 0]);
    assert_eq!(world.types(bob), ["message"; 3]);
    assert_eq!(world.count(Counter::Unencoded), 0);
}

#[test]
fn answers_are_written_for_their_session_alone() {
    let mut world = World::new(SHARDS);
    let clients = Encoding::ALL.map(|encoding| world.sign_in_as(encoding, encoding.subprotocol()));
    for (encoding, client) in Encoding::ALL.into_iter().zip(clients) {
        for (command, names) in [
            (r#"{"type":"ping","id":"1"}"#, "pong"),
            (r#"{"type":"joinGroup","group":"g","id":"2"}"#, "joined"),
            (r#"{"type":"members","group":"g","id":"3"}"#, "members"),
            (r#"{"type":"message","group":"g","message":1,"id":"4"}"#, "ack"),
            (r#"{"type":"message","group":"g","message":1,"id":"4"}"#, "ack"),
            (r#"{"type":"message","group":"g","message":2,"id":"4"}"#, "error"),
            (r#"{"type":"history","conversation":"g:g","id":"5"}"#, "history"),
            (r#"{"type":"leaveGroup","group":"g","id":"6"}"#, "left"),
            (r#"{"type":"history","conversation":"g:g","id":"7"}"#, "error"),
        ] {
            let many = u32::from(command.contains("Group") || command.contains(r#"message":1,"id":"4""#));
            let written = world.written(|world| world.send(client, command));
            let told = world.frames(client);
            assert!(written.iter().all(|times| *times <= many), "{command} is for one: {written:?}");
            assert_eq!(told.len(), 1, "{command}");
            let is_json = told[0].bytes().starts_with(format!(r#"{{"type":"{names}""#).as_bytes());
            assert_eq!(is_json, encoding == Encoding::Json, "{command} in {encoding:?}");
        }
    }
}

#[test]
fn a_message_written_before_its_encoding_was_spoken_is_read_again() {
    let mut world = World::new(SHARDS);
    // The conversation is at home with the first of its names: one mail is all that lies between it and the other's.
    let first = user_on(&world, 0, 0);
    let name = (0..).map(|n| user_on(&world, 1, n)).find(|name| *name > first).unwrap();
    let alice = world.sign_in(&first);
    for n in 1..=3 {
        world.post(alice, &format!(r#"{{"type":"message","to":"{name}","message":{n}}}"#));
    }
    while world.look() | world.commit() {}
    assert!(matches!(world.shells[0].outbox.back(), Some((ShardId(1), Mail::Private { .. }))));
    let [json, proto] = Encoding::ALL.map(|encoding| {
        let client = world.try_sign_in_as(encoding, claims(&name), None).unwrap();
        world.frames(client);
        client
    });
    world.settle();
    assert_eq!(world.types(json), ["message"; 3]);
    // Once is enough: whoever reads then finds all three.
    let told = world.frames(proto);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].bytes(), written_as(Encoding::Proto, &Event::Resync));
    assert_eq!((world.count(Counter::Unencoded), world.count(Counter::Resyncs)), (3, 1));
    assert_eq!(world.count(Counter::Delivered), 3);
}

#[test]
fn a_place_taken_while_a_message_is_under_way_is_told_to_read_it() {
    // One send a turn: the fan-out stands still when we want it to.
    let mut world = World::with(1, |config| config.fanout_slice = 1);
    let sender = world.sign_in("sender");
    let members = ["a", "b", "c"].map(|name| world.sign_in(name));
    for client in members.into_iter().chain([sender]) {
        world.send(client, GROUP);
    }
    (0..3).for_each(|_| world.post(sender, TO_GROUP));
    while !(world.look() | world.commit()) {}
    assert!(world.rules[0].gauges().fanout_jobs > 0);
    // The last member's place becomes a session's of another encoding, for which nothing was written.
    world.close(members[2]);
    let late = world.try_sign_in_as(Encoding::Proto, claims("c"), None).unwrap();
    world.frames(late);
    // Nor is there anything that is not stored for it.
    world.settle();
    let told = world.frames(late);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].bytes(), written_as(Encoding::Proto, &Event::Resync));
    assert_eq!((world.count(Counter::Unencoded), world.count(Counter::Resyncs)), (3, 1));
}

#[test]
fn what_is_not_stored_and_came_too_early_is_not_sent() {
    let mut world = World::new(2);
    let runner = world.sign_in(&user_on(&world, 0, 0));
    let late = user_on(&world, 1, 0);
    world.post(runner, r#"{"type":"message","message":"to everyone"}"#);
    world.post(runner, &format!(r#"{{"type":"typing","to":"{late}"}}"#));
    let late = world.try_sign_in_as(Encoding::Proto, claims(&late), None).unwrap();
    world.frames(late);
    world.settle();
    assert!(world.frames(late).is_empty());
    assert_eq!((world.count(Counter::Unencoded), world.count(Counter::Resyncs)), (2, 0));
}

#[test]
fn a_resync_reaches_every_encoding() {
    let mut world = World::new(1);
    let before = world.sign_in("a");
    // Encoded, and kept, while nobody spoke the other one.
    world.rules[0].missed();
    world.settle();
    assert_eq!(world.types(before), ["resync"]);
    let after = world.sign_in_as(Encoding::Proto, "b");
    world.rules[0].missed();
    world.settle();
    assert_eq!(world.types(before), ["resync"]);
    assert_eq!(world.frames(after)[0].bytes(), written_as(Encoding::Proto, &Event::Resync));
    assert_eq!(world.count(Counter::Unencoded), 0);
}
