//! Nothing that clients see depends on the number of cores, and numbers go on growing over restarts.

mod common;

use common::TestServer;
use serde_json::{Value, json};

/// A day of a small chat; the numbers it gave.
fn day(server: &TestServer, seqs: &mut Vec<u64>) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut clients: Vec<_> = (0..12).map(|n| server.sign_in(&format!("user{n}"))).collect();
    for client in &mut clients {
        let joined = client.ask(&json!({"type": "joinGroup", "group": "everyone"}), "joined");
        seen.push(joined["members"].clone());
    }
    for n in 0..12 {
        let to = (n + 5) % 12;
        for target in [("group", "everyone".to_owned()), ("to", format!("user{to}"))] {
            let id = format!("{n} in {}", target.0);
            let ack = clients[n]
                .ask(&json!({"type": "message", target.0: target.1, "message": n, "id": id}), "ack");
            seqs.push(ack["seq"].as_u64().expect("a number"));
            seen.push(ack["conversation"].clone());
            for (other, client) in clients.iter_mut().enumerate() {
                if other != n && (target.0 == "group" || other == to) {
                    let message = client.expect("message");
                    assert_eq!(message["seq"], ack["seq"]);
                    seen.extend([message["from"].clone(), message["message"].clone()]);
                }
            }
        }
    }
    clients.iter_mut().for_each(common::Client::expect_nothing);
    seen
}

#[test]
fn restart_with_another_number_of_cores() {
    let mut highest = 0;
    let mut first = None;
    for shards in [1, 4, 3, 2, 1] {
        let server = TestServer::chat(shards, &[("group.event_max_members", "0")]);
        let mut seqs = Vec::new();
        let seen = day(&server, &mut seqs);
        assert_eq!(seen, *first.get_or_insert(seen.clone()), "as with one core, with {shards}");
        let lowest = seqs.iter().copied().min();
        assert!(lowest > Some(highest), "{shards} cores: {lowest:?} was given before, up to {highest}");
        highest = seqs.iter().copied().max().unwrap_or(highest);
        assert!(highest < 1 << 53);
    }
}
