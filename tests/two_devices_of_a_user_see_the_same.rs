//! All devices of a user see the same conversations; a device that signs in again takes its own place, and one device
//! too many is sent away.

mod common;

use common::{Client, TestServer};
use serde_json::{Value, json};

const SHARDS: u16 = 4;

fn device(server: &TestServer, user: &str, device: &str) -> Client {
    server.sign_in_with(&json!({"type": "auth", "username": user, "device": device}))
}

fn say(from: &mut Client, to: &str, what: &str) -> Value {
    from.ask(&json!({"type": "message", "to": to, "message": what, "id": what}), "ack")
}

fn expect(client: &mut Client, ack: &Value) {
    let message = client.expect("message");
    assert_eq!(message["message"], ack["id"], "{message}");
    assert_eq!(message["seq"], ack["seq"], "{message}");
}

#[test]
fn two_devices_of_a_user_see_the_same() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    for shard in 0..SHARDS {
        let (alice, bob) = (server.user_on(shard, 0), server.user_on((shard + 1) % SHARDS, 1));
        let (mut phone, mut laptop) = (device(&server, &alice, "phone"), device(&server, &alice, "laptop"));
        let mut other = device(&server, &bob, "phone");
        let ack = say(&mut phone, &bob, "from the phone");
        expect(&mut laptop, &ack);
        expect(&mut other, &ack);
        let ack = say(&mut other, &alice, "back to both");
        expect(&mut phone, &ack);
        expect(&mut laptop, &ack);
        let ack = say(&mut laptop, &alice, "to myself");
        expect(&mut phone, &ack);
        // What follows shows that nobody had more than that.
        let ack = say(&mut other, &alice, "good night");
        expect(&mut phone, &ack);
        expect(&mut laptop, &ack);
        [&mut phone, &mut laptop, &mut other].into_iter().for_each(Client::expect_nothing);
    }
}

#[test]
fn a_device_that_signs_in_again_replaces_its_older_connection() {
    let server = TestServer::chat(usize::from(SHARDS), &[("client.user_connection_limit", "2")]);
    for shard in 0..SHARDS {
        let (alice, bob) = (server.user_on(shard, 0), server.user_on((shard + 1) % SHARDS, 1));
        let (mut old, mut laptop) = (device(&server, &alice, "phone"), device(&server, &alice, "laptop"));
        let mut new = device(&server, &alice, "phone");
        assert_eq!(old.expect_close(), 3503);
        let mut other = device(&server, &bob, "phone");
        let ack = say(&mut other, &alice, "who is there?");
        expect(&mut new, &ack);
        expect(&mut laptop, &ack);
    }
}

#[test]
fn a_connection_beyond_the_users_limit_is_sent_away_and_the_others_stay() {
    let server = TestServer::chat(usize::from(SHARDS), &[("client.user_connection_limit", "2")]);
    for shard in 0..SHARDS {
        let alice = server.user_on(shard, 0);
        let mut first = [device(&server, &alice, "phone"), device(&server, &alice, "laptop")];
        let mut third = server.connect();
        third.send(&json!({"type": "auth", "username": alice, "device": "tablet"}));
        assert_eq!(third.expect_close(), 3504);
        first.iter_mut().for_each(Client::expect_nothing);
    }
}
