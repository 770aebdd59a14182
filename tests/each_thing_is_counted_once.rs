//! What operators see are true numbers: one command, record, ack or delivery moves its counter by one.

mod common;

use common::TestServer;
use longwire::metrics::Counter;
use serde_json::json;

/// What each step moves, besides what it does not.
const COUNTED: [Counter; 9] = [
    Counter::CommandAuth,
    Counter::CommandMessage,
    Counter::CommandJoin,
    Counter::CommandPing,
    Counter::CommandRefused,
    Counter::Appended,
    Counter::Acked,
    Counter::Duplicates,
    Counter::Delivered,
];

#[test]
fn each_thing_is_counted_once() {
    let server = TestServer::chat(4, &[]);
    let (mut a, mut b) = (server.sign_in(&server.user_on(0, 0)), server.sign_in(&server.user_on(1, 0)));
    let message = json!({"type": "message", "to": server.user_on(1, 0), "message": 1, "id": "x"});
    a.ask(&message, "ack");
    a.ask(&message, "ack");
    b.expect("message");
    a.ask(&json!({"type": "joinGroup", "group": server.group_on(2, 0)}), "joined");
    a.ask(&json!({"type": "message", "group": server.group_on(3, 0), "message": 1}), "error");
    a.ask(&json!({"type": "joinGroup", "group": "no group"}), "error");
    a.ask(&json!({"type": "ping"}), "pong");
    assert_eq!(COUNTED.map(|counter| server.count(counter)), [2, 3, 1, 1, 2, 2, 1, 1, 1], "{COUNTED:?}");
}
