//! Membership is the user's, not the connection's: after a close nothing of the session is left, and on return the
//! group's next message comes without joining again.

mod common;

use common::TestServer;
use longwire::metrics::Gauge;
use serde_json::json;

const SHARDS: u16 = 4;

#[test]
fn membership_survives_a_close() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    for home in 0..SHARDS {
        let group = server.group_on(home, 0);
        let (alice, bob) = (server.user_on(home, 0), server.user_on((home + 1) % SHARDS, 0));
        let say = |what: &str| json!({"type": "message", "group": group, "message": what, "id": what});
        let mut a = server.sign_in(&alice);
        a.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        let mut b = server.sign_in(&bob);
        b.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        a.expect("groupEvent");
        drop(b);
        server.wait_until("Bob is gone", |server| server.level(Gauge::Connections) == 1);
        assert_eq!(server.sessions(), 1);
        let missed = a.ask(&say("while he was away"), "ack");
        let mut b = server.sign_in(&bob);
        let live = a.ask(&say("when he was back"), "ack");
        let message = b.expect("message");
        assert_eq!((&message["seq"], &message["prev"]), (&live["seq"], &missed["seq"]));
        // Joining again answers, and tells nobody.
        assert_eq!(b.ask(&json!({"type": "joinGroup", "group": group}), "joined")["members"], 2);
        b.ask(&json!({"type": "leaveGroup", "group": group}), "left");
        assert_eq!(a.expect("groupEvent")["event"], "left");
        a.ask(&json!({"type": "leaveGroup", "group": group}), "left");
        drop((a, b));
        server.wait_until("all is gone", |server| {
            [Gauge::Connections, Gauge::Users, Gauge::FanOutJobs, Gauge::OutboxBytes]
                .iter()
                .all(|gauge| server.level(*gauge) == 0)
                && server.sessions() == 0
        });
    }
}
