//! Other bytes under an `id` already used are refused with 409; the scope of an `id` is its user and conversation.

mod common;

use common::TestServer;
use serde_json::json;

#[test]
fn other_content_under_the_same_id_is_a_conflict() {
    let server = TestServer::chat(4, &[("group.event_max_members", "0")]);
    let (alice, bob, carol) = (server.user_on(0, 0), server.user_on(1, 0), server.user_on(2, 0));
    let group = server.group_on(3, 0);
    let [mut a, mut b, mut c] = [&alice, &bob, &carol].map(|user| server.sign_in(user));
    let to_bob = json!({"type": "message", "to": bob, "message": "yes", "id": "x"});
    let first = a.ask(&to_bob, "ack");
    assert_eq!(b.expect("message")["message"], "yes");
    let error = a.ask(&json!({"type": "message", "to": bob, "message": "no", "id": "x"}), "error");
    assert_eq!((&error["code"], &error["id"], &error["for"]), (&json!(409), &json!("x"), &json!("message")));
    // Refused, not stored, and the connection and the id live on.
    assert_eq!(a.ask(&to_bob, "ack")["seq"], first["seq"]);
    b.expect_nothing();
    // The same id means another message elsewhere, and from somebody else.
    assert!(
        a.ask(&json!({"type": "message", "to": carol, "message": "no", "id": "x"}), "ack")
            .get("duplicate")
            .is_none()
    );
    assert_eq!(c.expect("message")["message"], "no");
    let back = b.ask(&json!({"type": "message", "to": alice, "message": "no", "id": "x"}), "ack");
    assert_eq!((back.get("duplicate"), &back["prev"]), (None, &first["seq"]));
    assert_eq!(a.expect("message")["seq"], back["seq"]);
    a.ask(&json!({"type": "joinGroup", "group": group}), "joined");
    let ack = a.ask(&json!({"type": "message", "group": group, "message": "no", "id": "x"}), "ack");
    assert!(ack.get("duplicate").is_none(), "{ack}");
}
