//! Who offers permessage-deflate gets it, on whichever core he is at home; who does not, or may not, is spoken to plainly.

mod common;

use common::TestServer;
use common::raw::{
    CONTINUE, DEFLATED, PING, PONG, Raw, TEXT, UPGRADE, auth, deflate, frame, inflate, text,
    upgrade_with_extensions,
};
use longwire::metrics::Counter;
use serde_json::{Value, json};

const FIN: u8 = 0x80;
const OFFER: &str = "permessage-deflate; client_max_window_bits";

fn extensions(server: &TestServer, request: &str) -> Option<String> {
    let mut raw = Raw::over(server.tcp());
    raw.write(request.as_bytes());
    let head = raw.expect_head();
    let line = head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
    line.map(str::to_owned)
}

/// The next message's first byte and what it says.
fn next(raw: &mut Raw) -> (u8, Value) {
    let (first, payload) = raw.next_frame().expect("the connection lives");
    let payload = if first & DEFLATED == 0 { payload } else { inflate(&payload, 15) };
    (first, serde_json::from_slice(&payload).expect("events are JSON"))
}

#[test]
fn compression_is_agreed_on_and_used() {
    const SHARDS: u16 = 3;
    let server = TestServer::chat(SHARDS.into(), &[("client.ping_interval", "1h")]);
    let content = "say it again, ".repeat(100);
    for shard in 0..SHARDS {
        let (alice, bob) = (server.user_on(shard, 0), server.user_on((shard + 1) % SHARDS, 1));
        let mut one = Raw::sign_in_deflating(&server, &alice, OFFER);
        let mut two = Raw::sign_in_deflating(&server, &bob, OFFER);
        let mut plain = Raw::sign_in(&server, &bob);
        let message = json!({"type": "message", "to": bob, "message": content}).to_string();
        let packed = deflate(message.as_bytes());
        let (begin, end) = packed.split_at(packed.len() / 2);
        // Plain, compressed, and compressed in pieces with control frames and an empty one between them.
        for bytes in [
            frame(TEXT, message.as_bytes()),
            frame(TEXT | DEFLATED, &packed),
            [
                frame(TEXT & !FIN | DEFLATED, begin),
                frame(PING, b"between"),
                frame(CONTINUE & !FIN, b""),
                frame(CONTINUE, end),
            ]
            .concat(),
        ] {
            one.write(&bytes);
            let (first, event) = next(&mut two);
            assert_eq!((first, &event["message"]), (TEXT | DEFLATED, &json!(content)));
            let (first, event) = next(&mut plain);
            assert_eq!((first, &event["message"]), (TEXT, &json!(content)));
        }
        assert_eq!(one.next_frame(), Some((PONG, b"between".to_vec())));
        // What is small is not worth it.
        one.write(&frame(TEXT | DEFLATED, &deflate(br#"{"type":"ping","id":"small"}"#)));
        let (first, event) = next(&mut one);
        assert_eq!((first, &event["id"]), (TEXT, &json!("small")));
    }
    assert_eq!(server.count(Counter::FramesInflated), 3 * u64::from(SHARDS));
}

#[test]
fn what_follows_the_upgrade_on_the_same_write_may_be_compressed() {
    let server = TestServer::chat(2, &[]);
    for shard in 0..2 {
        let user = server.user_on(shard, 0);
        let sign_in = frame(TEXT | DEFLATED, &deflate(&auth_text(&user)));
        let ping = frame(TEXT | DEFLATED, &deflate(br#"{"type":"ping"}"#));
        let mut raw = Raw::over(server.tcp());
        raw.write(&[upgrade_with_extensions(OFFER).as_bytes(), &sign_in, &ping].concat());
        raw.expect_upgrade();
        assert_eq!(raw.expect_event()["type"], "authenticated");
        assert_eq!(raw.expect_event()["type"], "pong");
    }
}

fn auth_text(user: &str) -> Vec<u8> {
    json!({"type": "auth", "username": user}).to_string().into_bytes()
}

#[test]
fn an_answer_names_what_holds_and_nothing_that_was_not_offered() {
    const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let server = TestServer::echo(&[]);
    assert_eq!(extensions(&server, UPGRADE), None);
    assert_eq!(extensions(&server, &upgrade_with_extensions("x-other")), None);
    assert_eq!(extensions(&server, &upgrade_with_extensions(OFFER)).as_deref(), Some(ANSWER));
    let offer = "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=11";
    let expected = format!("{ANSWER}; server_max_window_bits=11");
    assert_eq!(extensions(&server, &upgrade_with_extensions(offer)), Some(expected));
}

#[test]
fn an_echo_comes_back_in_the_window_that_was_asked_for() {
    let server = TestServer::echo(&[]);
    for bits in [9, 12, 15] {
        let mut raw = Raw::over(server.tcp());
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        raw.write(upgrade_with_extensions(&offer).as_bytes());
        raw.expect_upgrade();
        // Far enough apart that a larger window would be seen.
        let message: Vec<u8> = (0..40_000_u32).map(|n| (n % 3000 * 37 / 5) as u8).collect();
        raw.write(&frame(0x82 | DEFLATED, &deflate(&message)));
        let (first, payload) = raw.next_frame().expect("the connection lives");
        assert_eq!(first, 0x82 | DEFLATED);
        assert_eq!(inflate(&payload, bits), message);
    }
}

#[test]
fn it_can_be_turned_off() {
    let server = TestServer::chat(1, &[("websocket.compression", "false")]);
    assert_eq!(extensions(&server, &upgrade_with_extensions(OFFER)), None);
    let mut raw = Raw::over(server.tcp());
    raw.write(upgrade_with_extensions(OFFER).as_bytes());
    raw.expect_upgrade();
    raw.write(&auth("alice"));
    assert_eq!(raw.expect_event()["type"], "authenticated");
    raw.write(&text(&json!({"type": "ping"})));
    assert_eq!(raw.expect_event()["type"], "pong");
    raw.write(&frame(TEXT | DEFLATED, &deflate(b"{}")));
    assert_eq!(raw.expect_close().0, 1002);
}
