//! Each rule of the handshake by example.

use super::{Head, HttpRules, UpgradeRequest, accept, parse_request};
use crate::limits::REQUEST_HEAD_MAX;
use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;

const RULES: HttpRules = HttpRules {
    allowed_origins: Vec::new(),
    dev: false,
    supported: &["json.v1", "proto.v1"],
    deflate: false,
    head_max: REQUEST_HEAD_MAX,
};
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE: [&str; 5] = [
    "Host: localhost:9501",
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn head(line: &str, fields: &[&str]) -> Vec<u8> {
    let mut bytes = format!("{line}\r\n");
    for field in fields {
        bytes.push_str(field);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    bytes.into_bytes()
}

/// The upgrade's fields without those that start with `without`, and with `extra`.
fn fields<'f>(without: &str, extra: &[&'f str]) -> Vec<&'f str> {
    UPGRADE
        .iter()
        .copied()
        .filter(|field| without.is_empty() || !field.starts_with(without))
        .chain(extra.iter().copied())
        .collect()
}

fn upgrade(line: &str, extra: &[&str]) -> UpgradeRequest {
    match parse_request(&head(line, &fields("", extra)), &RULES) {
        Head::Upgrade { request, .. } => request,
        other => panic!("{line} {extra:?}: {other:?}"),
    }
}

fn refused(bytes: &[u8], rules: &HttpRules) -> (u16, String) {
    match parse_request(bytes, rules) {
        Head::Answer { response, status } => {
            let text = String::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            (status, text)
        }
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn status(bytes: &[u8]) -> u16 {
    refused(bytes, &RULES).0
}

#[test]
fn an_upgrade_is_accepted_byte_by_byte_with_frames_behind_it() {
    for path in ["/", "/ws", "/ws?x=1", "http://localhost:9501/ws"] {
        let mut bytes = head(&format!("GET {path} HTTP/1.1"), &UPGRADE);
        let length = bytes.len();
        for part in 0..length {
            assert!(matches!(parse_request(&bytes[..part], &RULES), Head::Incomplete), "{path} at {part}");
        }
        bytes.extend_from_slice(b"\x81\x80abcd");
        let Head::Upgrade { consumed, request } = parse_request(&bytes, &RULES) else { panic!("{path}") };
        assert_eq!(consumed, length);
        assert_eq!((request.token.as_deref(), request.subprotocol), (None, None));
    }
}

#[test]
fn the_response_is_what_a_client_expects() {
    let key = generate_key();
    let field = format!("Sec-WebSocket-Key: {key}");
    let mut all = fields("Sec-WebSocket-Key", &["Sec-WebSocket-Extensions: permessage-deflate"]);
    all.push(&field);
    all.push("Sec-WebSocket-Protocol: other, proto.v1");
    let Head::Upgrade { request, .. } = parse_request(&head("GET / HTTP/1.1", &all), &RULES) else {
        panic!()
    };
    let bytes = accept(&request);
    let (size, response) = Response::try_parse(&bytes).unwrap().unwrap();
    assert_eq!(size, bytes.len());
    assert_eq!(response.status(), 101);
    let expected = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", &derive_accept_key(key.as_bytes())),
        ("sec-websocket-protocol", "proto.v1"),
    ];
    assert_eq!(response.headers().len(), expected.len());
    for (name, value) in expected {
        assert_eq!(response.headers()[name], value);
    }
}

#[test]
fn the_first_offered_subprotocol_that_is_spoken_is_chosen() {
    let chosen = |offers: &[&str]| upgrade("GET / HTTP/1.1", offers).subprotocol;
    assert_eq!(chosen(&[]), None);
    assert_eq!(chosen(&["Sec-WebSocket-Protocol: soap"]), None);
    assert_eq!(chosen(&["Sec-WebSocket-Protocol: soap,proto.v1 , json.v1"]), Some("proto.v1"));
    assert_eq!(chosen(&["Sec-WebSocket-Protocol: soap", "Sec-WebSocket-Protocol: json.v1"]), Some("json.v1"));
    let none = accept(&upgrade("GET / HTTP/1.1", &["Sec-WebSocket-Protocol: soap"]));
    assert!(!String::from_utf8(none).unwrap().to_lowercase().contains("sec-websocket-protocol"));
}

#[test]
fn a_token_comes_by_header_or_by_query() {
    let token = |line: &str, extra: &[&str]| upgrade(line, extra).token;
    assert_eq!(token("GET / HTTP/1.1", &["Authorization: Bearer a.b.c"]).as_deref(), Some("a.b.c"));
    assert_eq!(token("GET / HTTP/1.1", &["authorization: bearer  a.b"]).as_deref(), Some("a.b"));
    assert_eq!(token("GET / HTTP/1.1", &["Authorization: Basic eDp5"]), None);
    assert_eq!(token("GET /ws?a=1&token=x%2Ey%20&b HTTP/1.1", &[]).as_deref(), Some("x.y "));
    assert_eq!(token("GET /?token=%ff%zz HTTP/1.1", &[]).as_deref(), Some("\u{fffd}%zz"));
    assert_eq!(token("GET /?token=q HTTP/1.1", &["Authorization: Bearer h"]).as_deref(), Some("h"));
    assert_eq!(token("GET /?nottoken=q HTTP/1.1", &[]), None);
}

#[test]
fn a_look_at_the_root_is_greeted() {
    let (status, text) = refused(&head("GET / HTTP/1.1", &["Host: x"]), &RULES);
    assert_eq!(status, 200);
    assert!(text.contains("WebSocket") && text.contains("docs/protocol.md"));
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let (got, text) = refused(&head("GET / HTTP/1.1", &["Host: x"]), &RULES);
    let Head::Answer { response, status } = parse_request(&head("HEAD / HTTP/1.1", &["Host: x"]), &RULES)
    else {
        panic!("granted");
    };
    assert_eq!(status, got);
    assert_eq!(response, &text.as_bytes()[..text.find("\r\n\r\n").unwrap() + 4]);
    assert!(matches!(
        parse_request(&head("HEAD /ws HTTP/1.1", &UPGRADE), &RULES),
        Head::Answer { status: 405, .. }
    ));
}

#[test]
fn what_is_no_upgrade_is_answered() {
    assert_eq!(status(&head("GET /ws HTTP/1.1", &["Host: x"])), 400);
    assert_eq!(status(&head("GET /chat HTTP/1.1", &UPGRADE)), 404);
    assert_eq!(status(&head("POST / HTTP/1.1", &UPGRADE)), 405);
    assert_eq!(status(&head("GET / HTTP/1.0", &UPGRADE)), 400);
    for missing in ["Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Host"] {
        assert_eq!(status(&head("GET /ws HTTP/1.1", &fields(missing, &[]))), 400, "{missing}");
    }
    for (name, other) in [
        ("Connection", "Connection: close"),
        ("Upgrade", "Upgrade: h2c"),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: short"),
        ("Origin", "Origin: http://evil.net\r\nOrigin: http://localhost:9501"),
        ("", "Host: localhost:9502"),
    ] {
        assert_eq!(status(&head("GET / HTTP/1.1", &fields(name, &[other]))), 400, "{other}");
    }
}

#[test]
fn another_websocket_version_is_told_the_right_one() {
    let other = fields("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]);
    let (status, text) = refused(&head("GET / HTTP/1.1", &other), &RULES);
    assert_eq!(status, 426);
    assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn a_head_has_its_limit() {
    let long = format!("X: {}", "x".repeat(REQUEST_HEAD_MAX));
    let bytes = head("GET / HTTP/1.1", &fields("", &[&long]));
    assert_eq!(status(&bytes), 431);
    assert!(matches!(parse_request(&bytes[..REQUEST_HEAD_MAX - 1], &RULES), Head::Incomplete));
    assert_eq!(status(&bytes[..REQUEST_HEAD_MAX]), 431);
    let many: Vec<String> = (0..200).map(|n| format!("X{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(status(&head("GET / HTTP/1.1", &many)), 431);
}

#[test]
fn what_is_not_http_is_answered_as_soon_as_it_is_seen() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..],
        b"PRI * HTTP/2.0\r\n",
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"\x81\x85abcdefghi",
    ] {
        assert_eq!(status(bytes), 400, "{bytes:?}");
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let from = |origin: &str| head("GET / HTTP/1.1", &fields("", &[&format!("Origin: {origin}")]));
    assert!(matches!(parse_request(&from("http://localhost:9501"), &RULES), Head::Upgrade { .. }));
    assert_eq!(status(&from("https://evil.net")), 403);
    let listed = HttpRules { allowed_origins: vec!["https://evil.net".into()], ..RULES };
    assert!(matches!(parse_request(&from("https://evil.net"), &listed), Head::Upgrade { .. }));
    let dev = HttpRules { dev: true, ..RULES };
    let rebound = fields("Host", &["Host: evil.net:9501", "Origin: http://evil.net:9501"]);
    assert_eq!(refused(&head("GET / HTTP/1.1", &rebound), &dev).0, 403);
    assert!(matches!(parse_request(&from("http://localhost:9501"), &dev), Head::Upgrade { .. }));
}

#[test]
fn the_accept_key_is_the_rfcs() {
    let response = accept(&upgrade("GET / HTTP/1.1", &[]));
    assert!(String::from_utf8(response).unwrap().contains(&derive_accept_key(KEY.as_bytes())));
}

#[test]
fn a_damaged_request_is_answered_or_granted_and_never_a_panic() {
    let whole = head("GET /ws?token=a%20b HTTP/1.1", &fields("", &["Origin: http://localhost:9501"]));
    for at in 0..whole.len() {
        for byte in 0..=255_u8 {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            if let Head::Answer { response, status } = parse_request(&damaged, &RULES) {
                let line = format!("HTTP/1.1 {status} ");
                assert!(response.starts_with(line.as_bytes()), "byte {byte:x} at {at}");
            }
        }
    }
}
