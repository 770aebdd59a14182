//! After a restart, also with another number of cores, `seq` goes on where it was and `prev` names the last message from before.

mod common;

use common::{Client, TestServer};
use serde_json::{Value, json};

const PEOPLE: usize = 8;

/// The next ack; others' messages come in between.
fn ack(client: &mut Client) -> Value {
    loop {
        let next = client.next();
        match next["type"].as_str() {
            Some("ack") => return next,
            Some("message") => {}
            _ => panic!("{next}"),
        }
    }
}

/// Each writes to the next, which is a conversation of its own, after the messages that `last` has.
fn talk(server: &TestServer, round: usize, last: &mut [u64; PEOPLE]) {
    let mut clients: Vec<Client> = (0..PEOPLE).map(|n| server.sign_in(&format!("user{n}"))).collect();
    for (n, last) in last.iter_mut().enumerate() {
        let to = format!("user{}", (n + 1) % PEOPLE);
        for message in 0..3 {
            let id = format!("{round}-{message}");
            clients[n].send(&json!({"type": "message", "to": to, "message": message, "id": id}));
        }
        for _ in 0..3 {
            let ack = ack(&mut clients[n]);
            let number = |field: &str| ack[field].as_u64().expect("a number");
            assert!(number("prev") == *last && number("seq") > *last, "round {round}: {ack} after {last}");
            *last = number("seq");
        }
    }
}

#[test]
fn seq_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = [0; PEOPLE];
    for (round, shards) in [1, 2, 1, 3].into_iter().enumerate() {
        talk(&TestServer::stored(shards, folder.path()), round, &mut last);
    }
}
