//! Half-received messages of others cost nobody anything: where they take too much together, those that were begun first are
//! given up, and before sign-in none is large.

mod common;

use common::TestServer;
use common::raw::{CLOSE, CONTINUE, Raw, TEXT, UPGRADE, auth, frame, text};
use common::tls::{TLS13, TlsServer};
use longwire::limits::{ASSEMBLY_BYTES_PER_SHARD, RELIEF_PERCENT};
use longwire::meter::TICK_MS;
use longwire::metrics::{Counter, Gauge};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// The largest message here (bytes), and one that is not whole yet.
const LARGEST: usize = 16 << 20;
const HALF: usize = LARGEST - 4096;
const HOLDERS: usize = ASSEMBLY_BYTES_PER_SHARD / LARGEST;

const SETTINGS: [(&str, &str); 4] = [
    ("websocket.message_size_limit", "16MiB"),
    ("client.queue_max_size", "16MiB"),
    ("client.queues_max_size", "64MiB"),
    ("rate.connection_bytes", "0"),
];

fn server() -> TestServer {
    TestServer::chat(1, &SETTINGS)
}

/// Writes most of a message, and waits until it is there.
fn hold(server: &TestServer, raw: &mut Raw, part: &[u8]) {
    let before = server.level(Gauge::AssemblyBytes);
    raw.write(part);
    server.wait_until("it is there", |server| {
        server.level(Gauge::AssemblyBytes) >= before + HALF as u64 || server.count(Counter::ClosedTooMany) > 0
    });
}

#[test]
fn whoever_sends_a_message_in_two_pieces_beside_many_halves_is_served() {
    let server = server();
    let part = frame(TEXT & 0x7f, &vec![b' '; HALF]);
    let mut holders: Vec<Raw> = (0..HOLDERS).map(|n| Raw::sign_in(&server, &format!("holder{n}"))).collect();
    for holder in &mut holders {
        hold(&server, holder, &part);
    }
    let mut alice = Raw::sign_in(&server, "alice");
    for n in 0..20 {
        let id = n.to_string();
        let message = text(&json!({"type": "message", "to": "bob", "message": "x".repeat(5000), "id": id}));
        let (one, two) = message.split_at(3000);
        let before = server.count(Counter::BytesReceived);
        alice.write(one);
        server.wait_until("a part of it has come", |server| {
            server.count(Counter::BytesReceived) >= before + one.len() as u64
        });
        alice.write(two);
        let ack = alice.expect_event();
        assert_eq!((&ack["type"], &ack["id"]), (&json!("ack"), &json!(id)));
        // A head in two pieces is read as well.
        let mut late = Raw::over(server.tcp());
        late.write(&UPGRADE.as_bytes()[..50]);
        server.wait_until("half a head has come", |server| {
            server.count(Counter::BytesReceived) >= before + message.len() as u64 + 50
        });
        late.write(&UPGRADE.as_bytes()[50..]);
        late.expect_upgrade();
    }
    // Those who were first went, and no more of them than it takes.
    let closed = server.count(Counter::ClosedTooMany) as usize;
    let enough = ASSEMBLY_BYTES_PER_SHARD / 100 * (100 - RELIEF_PERCENT);
    assert!((1..=enough.div_ceil(HALF) + 1).contains(&closed), "{closed} of {HOLDERS}");
    assert_eq!(holders[0].expect_close().0, 3013);
    let last = holders.last_mut().expect("there are some");
    last.write(&frame(CONTINUE, b"{\"type\":\"ping\"}"));
    assert_eq!(last.expect_event()["type"], "pong", "the last one goes on");
}

#[test]
fn a_record_that_trickles_in_grows_old_all_the_same() {
    let wss = TlsServer::chat(1, &SETTINGS);
    let mut trickler =
        Raw::sign_in_over(wss.connect(&Arc::new(wss.made.client(&TLS13))), "trickler").stream.sock;
    // A record's header: 16 KiB are to follow.
    trickler.write_all(&[23, 3, 3, 0x40, 0]).expect("it takes bytes");
    wss.server.wait_until("it is there", |server| server.level(Gauge::AssemblyBytes) > 0);
    // So that it is older than the others by more than its age is told by.
    std::thread::sleep(Duration::from_millis(2 * TICK_MS));
    let part = frame(TEXT & 0x7f, &vec![b' '; HALF]);
    let mut holders: Vec<Raw> =
        (0..=HOLDERS).map(|n| Raw::sign_in_over(wss.plain(), &format!("holder{n}"))).collect();
    for holder in &mut holders {
        if wss.server.count(Counter::ClosedTooMany) > 0 {
            break;
        }
        let before = wss.server.count(Counter::BytesReceived);
        trickler.write_all(&[7]).expect("it takes bytes");
        wss.server.wait_until("that has come", |server| server.count(Counter::BytesReceived) > before);
        hold(&wss.server, holder, &part);
    }
    let closed = wss.server.count(Counter::ClosedTooMany) as usize;
    assert!((1..HOLDERS / 2).contains(&closed), "{closed}");
    assert_eq!(wss.server.level(Gauge::TlsConnections), 0, "it was first and did not go");
}

#[test]
fn a_message_before_sign_in_is_small() {
    let server = server();
    for whole in [true, false] {
        let mut raw = Raw::upgraded(&server);
        let first = if whole { TEXT } else { TEXT & 0x7f };
        let message = frame(first, &[b' '; 20_000]);
        // What follows the header need not come.
        raw.write(&message[..100]);
        let (code, _) = raw.expect_close();
        assert_eq!(code, 1009);
        raw.answer_close(code);
    }
    // With the sign-in the limit is the one that is set, at once.
    let mut raw = Raw::over(server.tcp());
    let mut ping = br#"{"type":"ping"}"#.to_vec();
    ping.resize(1_000_000, b' ');
    raw.write(&[UPGRADE.as_bytes(), &auth("alice"), &frame(TEXT, &ping), &frame(CLOSE, b"")].concat());
    raw.expect_upgrade();
    assert_eq!(raw.expect_event()["type"], "authenticated");
    assert_eq!(raw.expect_event()["type"], "pong");
}

#[test]
fn what_follows_an_auth_that_moves_waits_for_it() {
    let server = TestServer::chat(2, &[]);
    for shard in [0, 1, 0, 1, 0, 1] {
        let user = server.user_on(shard, 0);
        let mut raw = Raw::over(server.tcp());
        let mut ping = br#"{"type":"ping"}"#.to_vec();
        ping.resize(1000, b' ');
        let writer = raw.stream.try_clone().expect("a second handle");
        let bytes = [UPGRADE.as_bytes(), &auth(&user), &frame(TEXT, &ping).repeat(1000)].concat();
        let writer = std::thread::spawn(move || Raw::over(writer).write(&bytes));
        raw.expect_upgrade();
        assert_eq!(raw.expect_event()["type"], "authenticated");
        for _ in 0..1000 {
            assert_eq!(raw.expect_event()["type"], "pong");
        }
        writer.join().expect("all is taken");
    }
}
