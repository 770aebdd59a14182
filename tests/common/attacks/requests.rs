//! Attacks on the request that opens a connection. Knows HTTP/1.1, no frame.

use super::Does::{Acts, Says};
use super::Meets::{Close, Http};
use super::Stage::Connected;
use super::{Attack, attack, says};
use crate::common::PATIENCE;
use crate::common::raw::UPGRADE;
use longwire::metrics::Counter::{ClosedProtocol, HeadTimeouts, HttpAnswered};
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

/// Without what a row leaves out, or with what it puts in its place.
fn with(what: &str, instead: &str) -> Vec<u8> {
    assert!(UPGRADE.contains(what), "{what}");
    UPGRADE.replace(what, instead).into_bytes()
}

/// One header field more.
fn and(field: &str) -> Vec<u8> {
    with("Host: localhost\r\n", &format!("Host: localhost\r\n{field}\r\n"))
}

pub(super) fn all() -> Vec<Attack> {
    let tls_hello = [&b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"[..], &[0x5a; 194]].concat();
    let many: String = (0..500).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let row = |name, bytes, status| says(name, Connected, bytes, Http(status), HttpAnswered);
    let mut rows = vec![
        row("noise in place of a request", vec![0xff; 600], 400),
        row("a TLS hello where HTTP is spoken", tls_hello, 400),
        row("HTTP/2 where HTTP/1.1 is spoken", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        row("HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), 400),
        row("another method", with("GET", "POST"), 405),
        row("a path that is not there", with("GET /", "GET /../../etc/passwd"), 404),
        row("no Host", with("Host: localhost\r\n", ""), 400),
        row("two Hosts", and("Host: evil.example"), 400),
        row("another site's name as Host", with("Host: localhost", "Host: evil.example"), 403),
        row("a page of another site", and("Origin: https://evil.example"), 403),
        row("a page without a site", and("Origin: null"), 403),
        row("no Upgrade", with("Upgrade: websocket\r\n", ""), 400),
        row("an upgrade to something else", with("Upgrade: websocket", "Upgrade: h2c"), 400),
        row("no Connection", with("Connection: Upgrade\r\n", ""), 400),
        row("no key", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        row("a key of another length", with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        row("a key that is no base64", with("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!=="), 400),
        row("two keys", and("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
        row("an old version", with("Version: 13", "Version: 8"), 426),
        row("a header field with a zero byte", and("X: a\0b"), 400),
        row("one huge header field", and(&format!("X: {}", "x".repeat(9000))), 431),
        row("many header fields", and(many.trim_end()), 431),
        row("a line that never ends", vec![b'a'; 60_000], 431),
        says(
            "a body behind the request",
            Connected,
            [&and("Content-Length: 14")[..], b"GET / HTTP/1.1"].concat(),
            Close(1002),
            ClosedProtocol,
        ),
    ];
    let slow =
        |name, does| Attack { connections: 50, ..attack(name, Connected, does, Http(408), HeadTimeouts) };
    rows.push(slow("connections that say nothing", Says(Vec::new())));
    rows.push(slow("half a request each (slowloris)", Says(UPGRADE.as_bytes()[..60].to_vec())));
    rows.push(attack(
        "a request byte by byte",
        Connected,
        Acts(|_, _, raw| dribble(raw)),
        Http(408),
        HeadTimeouts,
    ));
    rows
}

/// A header field that goes on for as long as anyone listens.
fn dribble(raw: &mut crate::common::raw::Raw) {
    raw.write(b"GET / HTTP/1.1\r\nX: ");
    raw.stream.set_nonblocking(true).expect("a socket");
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "a request may take for ever");
        match raw.stream.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                raw.stream.write_all(b"x").expect("it is listened to until it is answered");
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => break,
        }
    }
    raw.stream.set_nonblocking(false).expect("a socket");
    let head = raw.expect_head();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
}
