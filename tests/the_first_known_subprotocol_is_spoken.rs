//! A client's first subprotocol that the server knows decides what is spoken, and the answer names it; where none is known,
//! or none is offered, none is named and JSON is spoken.

mod common;

use common::TestServer;
use common::proto::{self, ask, said};
use common::raw::{BINARY, Raw, TEXT, frame, text, upgrade_offering};
use longwire::wire::Encoding;
use serde_json::json;

#[test]
fn the_first_known_subprotocol_is_spoken() {
    let server = TestServer::chat(2, &[]);
    let [json, binary] = Encoding::ALL.map(Encoding::subprotocol);
    assert_eq!((json, binary), ("longwire.json.v1", proto::SUBPROTOCOL));
    for (offers, chosen) in [
        (vec![], None),
        (vec![json], Some(json)),
        (vec![binary], Some(binary)),
        (vec!["longwire.proto.v1, longwire.json.v1"], Some(binary)),
        (vec!["longwire.json.v1, longwire.proto.v1"], Some(json)),
        (vec!["soap,longwire.proto.v1 , longwire.json.v1"], Some(binary)),
        (vec!["longwire.proto.v2", binary, json], Some(binary)),
        (vec!["soap", "LONGWIRE.PROTO.V1"], None),
    ] {
        let mut raw = Raw::over(server.tcp());
        raw.write(upgrade_offering(&offers).as_bytes());
        let head = raw.expect_head();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
        assert_eq!(named.map(|(_, value)| value), chosen, "{offers:?}");
        if chosen == Some(binary) {
            raw.write(&frame(BINARY, &proto::command(ask::PING, &[], "1")));
            let Some((BINARY, pong)) = raw.next_frame() else { panic!("an event in binary") };
            let pong = proto::read(&pong);
            assert_eq!((pong.what, &*pong.id), (said::PONG, "1"));
        } else {
            raw.write(&text(&json!({"type": "ping", "id": "1"})));
            let Some((TEXT, pong)) = raw.next_frame() else { panic!("an event in text") };
            assert!(pong.starts_with(br#"{"type":"pong","id":"1","#), "{offers:?}");
        }
    }
}
