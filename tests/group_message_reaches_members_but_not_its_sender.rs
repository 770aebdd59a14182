//! A group message reaches every member's every device, on whichever shards, but not the session that sent it, which
//! has its ack; whoever is no member gets nothing.

mod common;

use common::TestServer;
use serde_json::json;

const SHARDS: u16 = 4;

#[test]
fn group_message_reaches_members_but_not_its_sender() {
    let server = TestServer::chat(usize::from(SHARDS), &[("group.event_max_members", "0")]);
    for home in 0..SHARDS {
        let group = server.group_on(home, 0);
        let mut members: Vec<_> =
            (0..SHARDS).map(|shard| server.sign_in(&server.user_on(shard, 0))).collect();
        // A second device of the first member, and somebody who is not in the group.
        members.push(server.sign_in(&server.user_on(0, 0)));
        let mut stranger = server.sign_in(&server.user_on(home, 1));
        for member in &mut members {
            member.ask(&json!({"type": "joinGroup", "group": group}), "joined");
        }
        // In turn, so that what one sender must not get is followed by what it must.
        let mut prev = None;
        for sender in 0..members.len() {
            let message =
                json!({"type": "message", "group": group, "message": sender, "id": format!("id{sender}")});
            let ack = members[sender].ask(&message, "ack");
            assert_eq!(ack["prev"], *prev.get_or_insert(ack["prev"].clone()));
            prev = Some(ack["seq"].clone());
            for (_, member) in members.iter_mut().enumerate().filter(|(n, _)| *n != sender) {
                let got = member.expect("message");
                assert_eq!(got["group"], group.as_str());
                assert_eq!(got["from"], server.user_on(sender as u16 % SHARDS, 0));
                assert_eq!(got["message"], sender);
                assert!(got.get("to").is_none(), "{got}");
                for field in ["conversation", "seq", "prev", "time", "id"] {
                    assert_eq!(got[field], ack[field], "{field} of {got} and {ack}");
                }
            }
        }
        members.iter_mut().for_each(common::Client::expect_nothing);
        stranger.expect_nothing();
    }
}
