//! Compressed messages that are too large, broken, or not agreed on close their own connection with the code for it, and no other.

mod common;

use common::raw::{
    BINARY, CLOSE, CONTINUE, DEFLATED, PING, Raw, TEXT, UPGRADE, auth, deflate, frame,
    upgrade_with_extensions,
};
use common::{Client, TestServer};
use longwire::metrics::{Counter, Gauge};
use serde_json::json;

const FIN: u8 = 0x80;
const OFFER: &str = "permessage-deflate";
/// `websocket.message_size_limit` here (bytes).
const LIMIT: usize = 4096;

/// What is wrong, its bytes, and the code, on a connection that agreed on compression.
fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |payload: &[u8]| frame(TEXT | DEFLATED, payload);
    let hello = deflate(br#"{"type":"ping","id":"hello hello hello"}"#);
    let bomb = deflate(&vec![b' '; 2 << 20]);
    let bomb_in_pieces = {
        let pieces: Vec<&[u8]> = bomb.chunks(300).collect();
        let first = frame(TEXT & !FIN | DEFLATED, b"");
        let middle: Vec<u8> = pieces.iter().flat_map(|piece| frame(CONTINUE & !FIN, piece)).collect();
        [first, middle, frame(CONTINUE, b"")].concat()
    };
    let noise: Vec<u8> = (0..2 * LIMIT as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("a bomb", text(&bomb), 1009),
        ("a bomb in binary", frame(BINARY | DEFLATED, &deflate(&vec![0; 2 << 20])), 1009),
        ("a bomb in pieces", bomb_in_pieces, 1009),
        ("one byte too many", text(&deflate(&[b' '; LIMIT + 1])), 1009),
        ("a header that announces too much", frame(TEXT | DEFLATED, &noise), 1009),
        (
            "pieces that are too large together",
            [frame(TEXT & !FIN | DEFLATED, &noise[..LIMIT]), frame(CONTINUE & !FIN, &noise[..LIMIT])]
                .concat(),
            1009,
        ),
        ("what is no deflate data", text(b"hello"), 1007),
        ("a reserved kind of block", text(&[7]), 1007),
        ("a message that was cut off", text(&hello[..hello.len() - 3]), 1007),
        ("a message with its tail on", text(&[&hello[..], &[0, 0xff, 0xff, 0xff]].concat()), 1007),
        ("a distance behind the beginning", text(&[0xf2, 0x00, 0x11, 0x00, 0x00]), 1007),
        ("text that is not UTF-8", text(&deflate(b"\"gr\xfc\xdfe\"")), 1007),
        ("half a character at the end", text(&deflate(&[b'"', 0xe2, 0x82])), 1007),
        ("not JSON", text(&deflate(b"hello")), 1007),
        ("nothing", text(&[]), 1007),
        ("an empty text", text(&[0]), 1007),
        ("binary on a JSON connection", frame(BINARY | DEFLATED, &hello), 1003),
        ("the bit on a ping", frame(PING | DEFLATED, b""), 1002),
        ("the bit on a close", frame(CLOSE | DEFLATED, &[3, 0xe8]), 1002),
        ("the bit on a continuation of nothing", frame(CONTINUE | DEFLATED, &hello), 1002),
        (
            "the bit on a continuation",
            [frame(TEXT & !FIN | DEFLATED, &hello[..5]), frame(CONTINUE | DEFLATED, &hello[5..])].concat(),
            1002,
        ),
        (
            "a message within a compressed one",
            [frame(TEXT & !FIN | DEFLATED, &hello[..5]), frame(TEXT, b"{}")].concat(),
            1002,
        ),
        ("another reserved bit", frame(TEXT | DEFLATED | 0x20, &hello), 1002),
        ("the last reserved bit", frame(TEXT | DEFLATED | 0x10, &hello), 1002),
    ]
}

#[test]
fn a_compressed_bomb_costs_only_its_sender() {
    let limits = [("websocket.message_size_limit", "4096B"), ("message.size_limit", "1024B")];
    let server = TestServer::chat(2, &limits);
    let users: Vec<String> = (0..2).map(|shard| server.user_on(shard, 0)).collect();
    let mut bystanders: Vec<Client> = users.iter().map(|user| server.sign_in(user)).collect();
    for (n, (what, bytes, code)) in faults().into_iter().enumerate() {
        // Behind the sign-in on the same write, which may move it, and in the middle of a conversation.
        let mut moving = Raw::over(server.tcp());
        moving.write(&[upgrade_with_extensions(OFFER).as_bytes(), &auth(&users[n % 2]), &bytes].concat());
        moving.expect_upgrade();
        let mut live = Raw::sign_in_deflating(&server, &users[n % 2], OFFER);
        live.write(&bytes);
        for raw in [&mut moving, &mut live] {
            let (got, reason) = raw.expect_close();
            assert_eq!(got, code, "{what}: {reason}");
            raw.answer_close(got);
        }
        bystanders[n % 2].expect_nothing();
    }
    // As large as a message may be, it is read.
    let mut live = Raw::sign_in_deflating(&server, &users[0], OFFER);
    let mut exact = br#"{"type":"ping"}"#.to_vec();
    exact.resize(LIMIT, b' ');
    live.write(&frame(TEXT | DEFLATED, &deflate(&exact)));
    assert_eq!(live.expect_event()["type"], "pong");
    server.wait_until("nothing half-received is left", |server| server.level(Gauge::AssemblyBytes) == 0);
    bystanders.iter_mut().for_each(Client::expect_nothing);
}

#[test]
fn the_bit_without_an_agreement_closes_with_1002() {
    let server = TestServer::chat(1, &[]);
    for request in
        [UPGRADE.to_owned(), upgrade_with_extensions("permessage-deflate; server_max_window_bits=8")]
    {
        let mut raw = Raw::over(server.tcp());
        raw.write(request.as_bytes());
        raw.expect_upgrade();
        raw.write(&auth("alice"));
        assert_eq!(raw.expect_event()["type"], "authenticated");
        raw.write(&frame(TEXT | DEFLATED, &deflate(json!({"type": "ping"}).to_string().as_bytes())));
        assert_eq!(raw.expect_close().0, 1002);
    }
    assert_eq!(server.count(Counter::FramesInflated), 0);
}
