//! Who was in a group is in it after a restart, with another number of cores too: the next message comes without joining again, those
//! missed are in the history, and who had left reads nothing.

mod common;

use common::TestServer;
use serde_json::json;

#[test]
fn membership_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |what: &str| json!({"type": "message", "group": "garden", "message": what, "id": what});
    let missed = {
        let server = TestServer::stored(1, folder.path());
        let mut people: Vec<_> = ["alice", "bob", "carol"].map(|name| server.sign_in(name)).into();
        for person in &mut people {
            person.ask(&json!({"type": "joinGroup", "group": "garden"}), "joined");
        }
        people[2].ask(&json!({"type": "leaveGroup", "group": "garden"}), "left");
        drop(people.split_off(1));
        let mut alice = server.sign_in("alice");
        alice.ask(&say("while Bob was away"), "ack")
    };
    for shards in [2, 1] {
        let server = TestServer::stored(shards, folder.path());
        let mut bob = server.sign_in("bob");
        let mut alice = server.sign_in("alice");
        let what = format!("with {shards}");
        let live = alice.ask(&say(&what), "ack");
        let message = bob.expect("message");
        assert_eq!((&message["seq"], &message["message"]), (&live["seq"], &json!(what)));
        let page = bob.ask(&json!({"type": "history", "conversation": "g:garden", "limit": 10}), "history");
        assert_eq!(page["messages"][0]["seq"], missed["seq"], "{page}");
        let members = bob.ask(&json!({"type": "members", "group": "garden"}), "members");
        assert_eq!(members["users"], json!(["alice", "bob"]), "{members}");
        let mut carol = server.sign_in("carol");
        assert_eq!(carol.ask(&json!({"type": "history", "conversation": "g:garden"}), "error")["code"], 403);
        assert_eq!(carol.ask(&say("may I?"), "error")["code"], 403);
    }
}
