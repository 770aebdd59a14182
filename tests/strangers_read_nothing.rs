//! Whoever is no party to a conversation can neither read it nor write to it nor see its members, and is not told
//! whether it exists.

mod common;

use common::{Client, TestServer};
use serde_json::json;

#[test]
fn strangers_read_nothing() {
    let server = TestServer::chat(4, &[]);
    for home in 0..4 {
        let (alice, bob, eve) =
            (server.user_on(home, 0), server.user_on((home + 1) % 4, 0), server.user_on((home + 2) % 4, 1));
        let (group, unknown) = (server.group_on((home + 3) % 4, 0), server.group_on(home, 1));
        let [mut a, mut b, mut stranger] = [&alice, &bob, &eve].map(|user| server.sign_in(user));
        a.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        a.ask(&json!({"type": "message", "group": group, "message": "secret", "id": "1"}), "ack");
        let private = a.ask(&json!({"type": "message", "to": bob, "message": "secret", "id": "2"}), "ack");
        b.expect("message");
        let private = private["conversation"].as_str().expect("a name").to_owned();
        for (what, existing, missing) in [
            (
                "history",
                json!({"conversation": format!("g:{group}")}),
                json!({"conversation": format!("g:{unknown}")}),
            ),
            (
                "history",
                json!({"conversation": private}),
                json!({"conversation": format!("u:{alice}:{alice}x")}),
            ),
            ("members", json!({"group": group}), json!({"group": unknown})),
            (
                "message",
                json!({"group": group, "message": "hello?"}),
                json!({"group": unknown, "message": "hello?"}),
            ),
            ("typing", json!({"group": group}), json!({"group": unknown})),
        ] {
            let mut answers = [existing, missing].map(|mut ask| {
                ask["type"] = json!(what);
                ask["id"] = json!("same");
                stranger.ask(&ask, "error")
            });
            assert_eq!(answers[0]["code"], 403, "{what}: {}", answers[0]);
            assert_eq!(answers[0]["for"], what);
            let [existing, missing] = answers.each_mut();
            assert_eq!(existing, missing, "{what} tells whether it exists");
        }
        // Once a member, and once no member any more.
        stranger.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        a.expect("groupEvent");
        let history = json!({"type": "history", "conversation": format!("g:{group}")});
        assert_eq!(stranger.ask(&history, "history")["messages"][0]["message"], "secret");
        stranger.ask(&json!({"type": "leaveGroup", "group": group}), "left");
        a.expect("groupEvent");
        assert_eq!(stranger.ask(&history, "error")["code"], 403);
        [&mut a, &mut b, &mut stranger].into_iter().for_each(Client::expect_nothing);
    }
}
