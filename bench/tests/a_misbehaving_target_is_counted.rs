//! A target that refuses, resets, or speaks nonsense is counted by what it did; the run ends in time, with a report and
//! exit status 1.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::frames::{CLOSE, PING, TEXT, close, frame, head, of_client, piece};
use common::{Fault, Kind, Outcome, Server, drain, raw, requested, run, upgraded};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Two connections to an echo server, for a moment.
fn echo(url: &str, more: &[&str]) -> Outcome {
    let load = ["--rate=100", "--warmup=0s", "--duration=300ms", "--drain=300ms", "--url", url];
    run(&[&["echo", "--connections=2"] as &[&str], &load, more].concat())
}

/// The run failed with this kind of end and no other, on one connection at least; it did not crash, and said why.
fn counted(outcome: &Outcome, what: &str, kind: &str) {
    assert_eq!(outcome.code, 1, "{what}: {outcome:?}");
    let failures = outcome.report["failures"].as_object().unwrap_or_else(|| panic!("{what}: {outcome:?}"));
    let kinds: Vec<&str> = failures.keys().map(String::as_str).collect();
    assert_eq!(kinds, [kind], "{what}: {outcome:?}");
    assert_eq!(Some(outcome.count("failed_connections")), failures[kind].as_u64(), "{what}: {outcome:?}");
    assert!(!outcome.said.contains("panicked"), "{what}: {outcome:?}");
}

/// What is said in place of the upgrade.
fn instead(answer: Vec<u8>) -> String {
    raw(move |_, mut stream| {
        requested(&mut stream);
        // The other side may have left.
        let _ = stream.write_all(&answer);
        drain(&stream);
    })
}

/// What follows the upgrade in the same write; then silence.
fn behind(bytes: Vec<u8>) -> String {
    raw(move |_, mut stream| {
        upgraded(&mut stream, &bytes);
        drain(&stream);
    })
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[test]
fn nobody_listens() {
    // Bound, so that nobody else gets the port.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let url = format!("ws://{}/", socket.local_addr().unwrap().as_socket().unwrap());
    counted(&echo(&url, &[]), "nobody listens", "refused");
}

#[test]
fn connections_that_end_before_the_upgrade() {
    counted(&echo(&raw(|_, stream| reset(stream)), &[]), "a reset", "reset");
    let after_request = raw(|_, mut stream| {
        requested(&mut stream);
        reset(stream);
    });
    counted(&echo(&after_request, &[]), "a reset after the request", "reset");
    let ended = raw(|_, mut stream| {
        requested(&mut stream);
    });
    counted(&echo(&ended, &[]), "an end", "ended without a close frame");
    let half = raw(|_, mut stream| {
        requested(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Pro");
    });
    counted(&echo(&half, &[]), "half an answer", "ended without a close frame");
}

#[test]
fn answers_that_are_no_upgrade() {
    let heads =
        ["503 Service Unavailable", "429 Too Many Requests", "400 Bad Request", "200 OK", "302 Found"];
    for head in heads {
        let outcome = echo(&instead(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").into()), &[]);
        counted(&outcome, head, "no upgrade");
        let notes = outcome.report["notes"].to_string();
        assert!(notes.contains(head), "the note names the answer: {outcome:?}");
    }
    let unsigned = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let signed =
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    for (what, answer) in [
        ("no accept", unsigned.as_bytes().to_vec()),
        ("a wrong accept", signed.as_bytes().to_vec()),
        ("garbage", [b"\x00\xff\x16\x03\x01 mumble" as &[u8], &[0xfe; 400], b"\r\n\r\n"].concat()),
        (
            "an endless header",
            [b"HTTP/1.1 101 Switching Protocols\r\nX: " as &[u8], &[b'x'; 100_000]].concat(),
        ),
    ] {
        counted(&echo(&instead(answer), &[]), what, "no upgrade");
    }
}

#[test]
fn an_upgrade_that_never_comes_is_waited_for_so_long() {
    for script in [b"" as &[u8], b"HTTP/1.1 101 Switching Protocols\r\n"] {
        let outcome = echo(&instead(script.to_vec()), &["--patience=1s"]);
        assert_eq!((outcome.code, outcome.count("failed_connections")), (1, 0), "{outcome:?}");
        let called_off = outcome.report["called_off"].as_str().unwrap_or_default();
        assert!(called_off.contains("not all of 2 connections were open"), "{outcome:?}");
    }
}

#[test]
fn close_frames_are_counted_by_their_code() {
    for (what, bytes, kind) in [
        ("a code", close(4001, "go away"), "closed with 4001"),
        ("a code and more behind it", [close(1008, "no"), frame(TEXT, b"#lw:")].concat(), "closed with 1008"),
        ("no code", frame(CLOSE, b""), "closed with 1005"),
        ("half a code", frame(CLOSE, b"\x03"), "closed with 1005"),
    ] {
        counted(&echo(&behind(bytes), &[]), what, kind);
    }
}

#[test]
fn frames_that_no_server_may_send() {
    let masked = [0x81, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9].to_vec();
    for (what, bytes) in [
        ("a masked frame", masked),
        ("a reserved bit", frame(0x40 | TEXT, b"compressed?")),
        ("a reserved opcode", frame(3, b"what is this")),
        ("a reserved control opcode", frame(11, b"")),
        ("a ping in pieces", piece(PING, b"half")),
        ("a ping too long", frame(PING, &[b'x'; 126])),
        ("a continuation of nothing", frame(0, b"and then")),
        ("a message within a message", [piece(TEXT, b"one"), frame(TEXT, b"two")].concat()),
        ("a frame too long", head(0x80 | TEXT, 100 << 20)),
        ("a frame longer than memory", [0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].to_vec()),
        (
            "a message too long in pieces",
            [piece(TEXT, &[b'x'; 3 << 20]), piece(0, &[b'x'; 3 << 20])].concat(),
        ),
    ] {
        counted(&echo(&behind(bytes), &[]), what, "no WebSocket");
    }
}

/// The rest never comes: nothing is wrong but that every message is lost.
#[test]
fn half_a_frame_and_silence() {
    for bytes in
        [vec![0x81], vec![0x81, 126, 1], head(0x81, 1000), [head(0x81, 1000), vec![b'x'; 999]].concat()]
    {
        let outcome = echo(&behind(bytes), &[]);
        assert_eq!((outcome.code, outcome.count("failed_connections")), (1, 0), "{outcome:?}");
        assert_eq!(outcome.faults(), [("lost".to_owned(), 30)], "{outcome:?}");
    }
}

#[test]
fn pings_are_answered_with_their_own_payload() {
    let (pongs, heard) = channel();
    let sent: Vec<Vec<u8>> = [0_usize, 1, 5, 125].iter().map(|&length| vec![b'p'; length]).collect();
    let pings: Vec<u8> = sent.iter().flat_map(|payload| frame(PING, payload)).collect();
    let url = raw(move |_, mut stream| {
        upgraded(&mut stream, &pings);
        pongs.send(drain(&stream)).unwrap();
    });
    let outcome = echo(&url, &[]);
    assert_eq!(outcome.report["heartbeats"], 8, "{outcome:?}");
    for _ in 0..2 {
        let bytes = heard.recv_timeout(Duration::from_mins(1)).unwrap();
        let (mut rest, mut answered) = (&bytes[..], Vec::new());
        while let Some((op, payload, length)) = of_client(rest) {
            if op == 10 {
                answered.push(payload);
            }
            rest = &rest[length..];
        }
        assert_eq!(answered, sent);
    }
}

/// Legal, and some servers do it: the message is whole when its last piece is.
#[test]
fn a_message_in_pieces_is_one_message() {
    let url = raw(|_, mut stream| {
        upgraded(&mut stream, b"");
        let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
        loop {
            match std::io::Read::read(&mut stream, &mut more) {
                Ok(read) if read > 0 => bytes.extend_from_slice(&more[..read]),
                _ => return,
            }
            while let Some((op, payload, length)) = of_client(&bytes) {
                bytes.drain(..length);
                // The pings within the messages are answered.
                if op != TEXT {
                    continue;
                }
                let (one, rest) = payload.split_at(10);
                let (two, three) = rest.split_at(20);
                let pieces =
                    [piece(TEXT, one), frame(PING, b"x"), piece(0, two), piece(0, b""), frame(0, three)];
                // The other side may have left.
                let _ = stream.write_all(&pieces.concat());
            }
        }
    });
    let outcome = echo(&url, &[]);
    assert_eq!((outcome.code, outcome.count("latency_us.count")), (0, 30), "{outcome:?}");
}

#[test]
fn a_connection_closed_on_the_way_is_one_failure() {
    let server = Server::of(Kind::Tutorial).wrong(Fault::Close, &[30]).start();
    let load = ["--rate=200", "--warmup=50ms", "--duration=500ms", "--drain=300ms", "--url", server.url()];
    let pairs = ["pairs", "--users=4", "--threads=2", "--dialect=tutorial"];
    let outcome = run(&[&pairs as &[&str], &load].concat());
    counted(&outcome, "closed on the way", "closed with 1005");
    assert_eq!(outcome.count("failed_connections"), 1, "{outcome:?}");
    // The other pair, and the way back of this one, go on.
    assert!(outcome.count("deliveries") >= 40 && outcome.count("faults.lost") >= 1, "{outcome:?}");
}

/// The server goes while megabytes are on their way to it.
#[test]
fn a_reset_with_bytes_unsent() {
    let url = raw(|_, mut stream| {
        upgraded(&mut stream, b"");
        std::thread::sleep(Duration::from_millis(200));
        reset(stream);
    });
    let outcome = echo(&url, &["--payload=1000000"]);
    counted(&outcome, "a reset with bytes unsent", "reset");
    assert_eq!(outcome.count("failed_connections"), 2, "{outcome:?}");
    assert!(outcome.count("faults.lost") >= 2, "{outcome:?}");
}
