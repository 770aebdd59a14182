//! Bytes that are no WebSocket, or no message, close their own connection with the code for it, and no other.

mod common;

use common::proto::{self, Binary, ask, field};
use common::raw::{
    BINARY, CLOSE, CONTINUE, DEFLATED, PING, Raw, TEXT, UPGRADE, auth, deflate, frame, upgrade_offering,
};
use common::{Client, TestServer};
use longwire::limits::FRAGMENTS_MIN;
use longwire::metrics::Counter;

const FIN: u8 = 0x80;

/// What is wrong, its bytes, and the code.
fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let mut unmasked = frame(TEXT, b"{}");
    unmasked[1] &= 0x7f;
    let begun = frame(TEXT & !FIN, b"{\"type\":");
    let head = |first: u8, length: u64| [&[first, FIN | 127][..], &length.to_be_bytes(), &[0; 4]].concat();
    let close = |code: u16| frame(CLOSE, &code.to_be_bytes());
    let text = |payload: &[u8]| frame(TEXT, payload);
    let mut faults = vec![
        ("not masked", unmasked, 1002),
        ("a fragmented control frame", frame(PING & !FIN, b""), 1002),
        ("a long control frame", frame(PING, &[b'x'; 126]), 1002),
        ("a long close frame", frame(CLOSE, &[b'x'; 126]), 1002),
        ("a continuation of nothing", frame(CONTINUE, b"x"), 1002),
        ("a continuation of a whole message", [text(b"{}"), frame(CONTINUE, b"x")].concat(), 1002),
        ("a message within a message", [&begun[..], &text(b"{}")].concat(), 1002),
        ("a length with its highest bit", head(TEXT, 1 << 63), 1002),
        ("a close frame of one byte", frame(CLOSE, b"x"), 1002),
        ("a close reason that is not UTF-8", frame(CLOSE, &[0x03, 0xe8, 0xff]), 1007),
        ("text that is not UTF-8", text(&[b'"', 0xff, b'"']), 1007),
        ("half a character at the end", text(&[b'"', 0xe2, 0x82]), 1007),
        (
            "fragments that are not UTF-8 together",
            [frame(TEXT & !FIN, &[0xf0, 0x9f]), frame(CONTINUE, &[0x41])].concat(),
            1007,
        ),
        ("not JSON", text(b"hello"), 1007),
        ("empty text", text(b""), 1007),
        ("two values", text(b"{} {}"), 1007),
        ("binary on a JSON connection", frame(BINARY, b"{}"), 1003),
        ("a header that announces too much", head(TEXT, 1025), 1009),
        ("a whole message that is too large", text(&[b' '; 1025]), 1009),
        (
            "fragments that are too large together",
            [frame(TEXT & !FIN, &[b' '; 1000]), frame(CONTINUE, &[b' '; 25])].concat(),
            1009,
        ),
        (
            "endless fragments without content",
            [frame(TEXT & !FIN, b""), frame(CONTINUE & !FIN, b"").repeat(FRAGMENTS_MIN)].concat(),
            1009,
        ),
    ];
    let bits = [0x40, 0x20, 0x10].map(|bit| ("a reserved bit", frame(TEXT | bit, b"{}"), 1002));
    let opcodes =
        [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf].map(|op| ("a reserved opcode", frame(FIN | op, b""), 1002));
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]
        .map(|code| ("a bad code", close(code), 1002));
    faults.extend(bits.into_iter().chain(opcodes).chain(codes));
    faults
}

/// What is wrong on a binary connection only.
fn binary_faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let binary = |payload: &[u8]| frame(BINARY, payload);
    vec![
        ("text on a binary connection", frame(TEXT, br#"{"type":"ping"}"#), 1003),
        ("a message that ends early", binary(&[0x42, 5, 1]), 1007),
        ("a number that does not end", binary(&[0x80; 11]), 1007),
        ("a wire type that there is not", binary(&[0x47]), 1007),
        (
            "a string that is not UTF-8",
            binary(&[proto::command(ask::PING, &[], ""), field(15, [0xff])].concat()),
            1007,
        ),
        ("JSON", binary(br#"{"type":"ping"}"#), 1007),
        ("a command inside that ends early", binary(&field(ask::AUTH, [0x12, 9, b'x'])), 1007),
        ("a whole message that is too large", binary(&[0; 1025]), 1009),
    ]
}

/// A server with little room for a message.
fn server() -> TestServer {
    TestServer::chat(4, &[("websocket.message_size_limit", "1024B"), ("message.size_limit", "512B")])
}

/// Does wrong before sign-in, behind one on the same write, and in the middle of a conversation; each ends its connection.
fn assert_closes(
    server: &TestServer,
    upgrade: &str,
    auth: &[u8],
    (what, bytes, code): &(&str, Vec<u8>, u16),
) {
    let mut early = Raw::over(server.tcp());
    early.write(upgrade.as_bytes());
    early.expect_upgrade();
    early.write(bytes);
    let mut moving = Raw::over(server.tcp());
    moving.write(&[upgrade.as_bytes(), auth, bytes].concat());
    moving.expect_upgrade();
    let mut live = Raw::over(server.tcp());
    live.write(&[upgrade.as_bytes(), auth].concat());
    live.expect_upgrade();
    assert!(matches!(live.next_frame(), Some((TEXT | BINARY, _))), "authenticated");
    live.write(bytes);
    for raw in [&mut early, &mut moving, &mut live] {
        let (got, reason) = raw.expect_close();
        assert_eq!(got, *code, "{what}: {reason}");
        raw.answer_close(got);
        raw.expect_end();
    }
}

#[test]
fn malformed_frames_close_with_their_code() {
    let server = server();
    let users: Vec<String> = (0..4).map(|shard| server.user_on(shard, 0)).collect();
    let mut bystanders: Vec<Client> = users.iter().map(|user| server.sign_in(user)).collect();
    for (n, fault) in faults().iter().enumerate() {
        assert_closes(&server, UPGRADE, &auth(&users[n % 4]), fault);
        bystanders[n % 4].expect_nothing();
    }
    bystanders.iter_mut().for_each(Client::expect_nothing);
}

#[test]
fn malformed_protobuf_closes_with_its_code() {
    let server = server();
    let users: Vec<String> = (0..4).map(|shard| server.user_on(shard, 0)).collect();
    let mut bystanders: Vec<Binary> = users.iter().map(|user| Binary::sign_in(&server, user)).collect();
    for (n, fault) in binary_faults().iter().enumerate() {
        let auth = frame(BINARY, &proto::auth(&users[n % 4]));
        assert_closes(&server, &upgrade_offering(&[proto::SUBPROTOCOL]), &auth, fault);
        bystanders[n % 4].expect_nothing();
    }
    bystanders.iter_mut().for_each(Binary::expect_nothing);
}

#[test]
fn a_polite_close_is_answered_with_its_code() {
    let server = TestServer::chat(2, &[]);
    for code in [1000, 1001, 1011, 3000, 4999] {
        let mut raw = Raw::sign_in(&server, &server.user_on(code % 2, 0));
        raw.write(&frame(CLOSE, &[&code.to_be_bytes()[..], b"bye"].concat()));
        assert_eq!(raw.expect_close().0, code);
        raw.expect_end();
    }
    let mut raw = Raw::sign_in(&server, &server.user_on(0, 0));
    raw.write(&frame(CLOSE, b""));
    assert_eq!(raw.next_frame(), Some((CLOSE, Vec::new())));
    raw.expect_end();
}

#[test]
fn requests_that_are_no_upgrade_are_answered_and_cost_only_their_sender() {
    let server = TestServer::chat(2, &[]);
    let mut bystander = server.sign_in("alice");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "200"),
        ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "404"),
        (UPGRADE.replace("Version: 13", "Version: 8"), "426"),
        (UPGRADE.replace("Host: localhost", "Host: localhost\r\nOrigin: http://evil.example"), "403"),
        (UPGRADE.replace("Host: localhost", "Host: evil.example"), "403"),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(9000)), "431"),
        ("\x16\x03\x01\r\n\r\n".to_owned(), "400"),
    ] {
        let mut raw = Raw::over(server.tcp());
        raw.write(request.as_bytes());
        let head = raw.expect_head();
        assert_eq!(head.split(' ').nth(1), Some(status), "{request:.60}: {head}");
    }
    bystander.expect_nothing();
}

#[test]
fn what_is_too_large_is_counted_by_what_it_was() {
    let server = TestServer::chat(
        1,
        &[
            ("websocket.message_size_limit", "1024B"),
            ("message.size_limit", "512B"),
            ("websocket.fragments_limit", "5"),
            ("client.head_size_limit", "1KiB"),
        ],
    );
    let frames = |count: usize| {
        let middle = frame(CONTINUE & !FIN, b"").repeat(count - 2);
        [frame(TEXT & !FIN, b"{\"type\":"), middle, frame(CONTINUE, b"\"ping\"}")].concat()
    };
    let mut raw = Raw::sign_in(&server, "alice");
    raw.write(&frames(5));
    assert_eq!(raw.expect_event()["type"], "pong");
    raw.write(&frames(6));
    assert_eq!(raw.expect_close().0, 1009);
    let mut raw = Raw::sign_in(&server, "alice");
    raw.write(&frame(TEXT, &[b' '; 1025]));
    assert_eq!(raw.expect_close().0, 1009);
    let mut raw = Raw::sign_in_deflating(&server, "alice", "permessage-deflate");
    raw.write(&frame(TEXT | DEFLATED, &deflate(&[b' '; 1025])));
    assert_eq!(raw.expect_close().0, 1009);
    for (length, status) in [(700, "101"), (1100, "431")] {
        let mut raw = Raw::over(server.tcp());
        let field = format!("\r\nX: {}\r\n\r\n", "x".repeat(length));
        raw.write(UPGRADE.replacen("\r\n\r\n", &field, 1).as_bytes());
        let head = raw.expect_head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    let over = [Counter::OverFragments, Counter::OverMessage, Counter::OverInflated, Counter::OverHead];
    assert_eq!(over.map(|counter| server.count(counter)), [1; 4]);
    assert_eq!(server.count(Counter::ClosedTooBig), 3);
}
