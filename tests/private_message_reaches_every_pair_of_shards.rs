//! A private message reaches its receiver, and its ack the sender, whichever shards the two are at home on.

mod common;

use common::TestServer;
use serde_json::json;

const SHARDS: u16 = 4;

#[test]
fn private_message_reaches_every_pair_of_shards() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    for from in 0..SHARDS {
        for to in 0..SHARDS {
            let (alice, bob) = (server.user_on(from, 0), server.user_on(to, 1));
            let (mut a, mut b) = (server.sign_in(&alice), server.sign_in(&bob));
            let ack =
                a.ask(&json!({"type": "message", "to": bob, "message": {"n": [1, null]}, "id": "x"}), "ack");
            let message = b.expect("message");
            assert_eq!(message["from"], alice.as_str());
            assert_eq!(message["to"], bob.as_str());
            assert_eq!(message["message"], json!({"n": [1, null]}));
            for field in ["conversation", "seq", "prev", "time"] {
                assert_eq!(message[field], ack[field], "{field} of {message} and {ack}");
            }
            a.expect_nothing();
            b.expect_nothing();
        }
    }
}
