//! A connection that has said nothing for a while is waited for in a cheaper way, and nothing it says or is told is missed.

mod common;

use common::TestServer;
use longwire::metrics::{Counter, Gauge};
use serde_json::json;

const CLIENTS: usize = 8;

/// Takes more than one receive buffer.
fn long() -> String {
    "x".repeat(9000)
}

#[test]
fn quiet_connections_hear_everything() {
    let server = TestServer::chat(2, &[("client.ping_interval", "1s")]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|n| server.sign_in(&format!("user{n}"))).collect();
    for round in 1..=2 {
        let all = (round * CLIENTS) as u64;
        server.wait_until("all are quiet", |server| server.count(Counter::GrewQuiet) == all);
        for n in 0..CLIENTS {
            let to = format!("user{}", (n + 1) % CLIENTS);
            let content = if n % 2 == 0 { json!(long()) } else { json!(n) };
            let message =
                json!({"type": "message", "to": to, "message": content, "id": format!("{round}-{n}")});
            clients[n].ask(&message, "ack");
            assert_eq!(clients[(n + 1) % CLIENTS].expect("message")["message"], content);
        }
    }
    drop(clients);
    server.wait_until("all have gone", |server| server.level(Gauge::Connections) == 0);
    server.wait_until_nothing_is_held();
}
