//! Whoever breaks TLS, by accident or not, gets an alert or an answer where one can be given, and costs nobody else anything.

mod common;

use common::raw::{Raw, UPGRADE, auth, text};
use common::tls::{TLS12, TLS13, TlsServer, secure};
use longwire::metrics::{Counter, Gauge};
use rustls::{ClientConnection, Connection};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

/// A record of a handshake.
fn record(body: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// The hello of a client that knows nothing newer than this version (`0x0301` is TLS 1.0).
fn old_hello(version: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    // No session; AES128-SHA and ECDHE-RSA-AES128-SHA; no compression; no extensions.
    body.extend([0, 0, 4, 0, 0x2f, 0xc0, 0x13, 1, 0, 0, 0]);
    let head = [&[1, 0][..], &(body.len() as u16).to_be_bytes()].concat();
    record(&[head, body].concat())
}

/// All that comes until the end.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the connection goes on: {error}"),
        _ => heard,
    }
}

/// What one of them sends, what it hears at the end in plain bytes, and whether it ends at all by itself.
struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    hears: &'static [u8],
}

fn attacks() -> Vec<Attack> {
    let attack = |name, bytes, hears| Attack { name, bytes, hears };
    let endless = [&[1, 0, 0xff, 0xff][..], &[0; 16_000]].concat();
    let tiny: Vec<u8> = endless.iter().flat_map(|byte| record(&[*byte])).collect();
    vec![
        attack("garbage", vec![0x5a; 4000], b"HTTP/1.1 400 Bad Request\r\n"),
        attack("binary garbage", vec![0xa5; 4000], &[21, 3]),
        attack("plain HTTP", UPGRADE.into(), b"HTTP/1.1 400 Bad Request\r\n"),
        attack(
            "a record longer than records are",
            [&[22, 3, 1, 0xff, 0xff][..], &[1; 99]].concat(),
            &[21, 3],
        ),
        attack("data before the handshake", vec![23, 3, 3, 0, 2, 1, 1], &[21, 3]),
        attack("an endless hello", [record(&endless), record(&[0; 16_000])].concat(), &[]),
        attack("an endless hello in tiny fragments", tiny, &[]),
        // A fatal alert, which is all that such a client understands.
        attack("TLS 1.0", old_hello(0x0301), &[21, 3, 3, 0, 2, 2]),
        attack("TLS 1.1", old_hello(0x0302), &[21, 3, 3, 0, 2, 2]),
    ]
}

/// Two honest users, who must not notice.
struct Pair(Raw<common::tls::Secure>, Raw<TcpStream>, usize);

impl Pair {
    fn new(wss: &TlsServer) -> Self {
        let config = Arc::new(wss.made.client(&TLS13));
        Self(Raw::sign_in_over(wss.connect(&config), "alice"), Raw::sign_in_over(wss.plain(), "bob"), 0)
    }

    fn talk(&mut self) {
        self.2 += 1;
        self.0.write(&text(
            &json!({"type": "message", "to": "bob", "message": "hello", "id": self.2.to_string()}),
        ));
        assert_eq!(self.0.expect_event()["type"], "ack");
        assert_eq!(self.1.expect_event()["type"], "message");
    }
}

/// Waits until only the pair is left, and nothing is held for anybody.
fn nothing_is_left(wss: &TlsServer, of: &str) {
    wss.server.wait_until(&format!("nothing is left of {of}"), |server| {
        server.level(Gauge::Connections) == 2
            && server.level(Gauge::TlsConnections) == 1
            && server.level(Gauge::AssemblyBytes) == 0
    });
}

#[test]
fn what_is_no_tls_gets_its_answer_and_the_end() {
    let wss = TlsServer::chat(2, &[]);
    let mut pair = Pair::new(&wss);
    for (n, attack) in attacks().into_iter().enumerate() {
        let mut stream = wss.tcp();
        // The server may have ended it before the last byte.
        let _ = stream.write_all(&attack.bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let heard = rest(stream);
        let name = attack.name;
        assert!(heard.starts_with(attack.hears), "{name}: {:x?}", &heard[..heard.len().min(40)]);
        if heard.starts_with(b"HTTP") {
            assert!(String::from_utf8_lossy(&heard).contains("wss://"), "{name}");
        }
        pair.talk();
        nothing_is_left(&wss, name);
        assert_eq!(wss.server.count(Counter::TlsFailed), n as u64 + 1, "{name}");
    }
}

#[test]
fn a_client_of_http_2_only_is_told_so() {
    let wss = TlsServer::chat(1, &[]);
    let mut pair = Pair::new(&wss);
    let mut config = wss.made.client(&TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = wss.connect(&Arc::new(config));
    let error = stream.write_all(b"x").and_then(|()| stream.read(&mut [0])).expect_err("it is refused");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    drop(stream);
    pair.talk();
    nothing_is_left(&wss, "it");
}

#[test]
fn records_that_are_broken_or_cut_off_end_their_connection() {
    let wss = TlsServer::chat(2, &[]);
    let mut pair = Pair::new(&wss);
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(wss.made.client(version));
        for end in ["changed", "cut off", "cut off with the stream", "without close_notify", "half a frame"] {
            let mut raw = Raw::over(wss.connect(&config));
            raw.write(UPGRADE.as_bytes());
            raw.expect_upgrade();
            raw.write(&auth("mallory"));
            assert_eq!(raw.expect_event()["type"], "authenticated");
            let mut bytes = Vec::new();
            let client: &mut ClientConnection = &mut raw.stream.conn;
            client.writer().write_all(&text(&json!({"type": "ping", "id": "x".repeat(99)}))).expect("room");
            client.write_tls(&mut bytes).expect("bytes");
            let broken = wss.server.count(Counter::TlsBroken);
            match end {
                "changed" => {
                    bytes[60] ^= 1;
                    raw.stream.sock.write_all(&bytes).expect("it takes bytes");
                    let error = raw.stream.read(&mut [0]).expect_err("an alert");
                    assert!(error.to_string().contains("BadRecordMac"), "{error}");
                    assert_eq!(wss.server.count(Counter::TlsBroken), broken + 1);
                }
                "cut off" => raw.stream.sock.write_all(&bytes[..50]).expect("it takes bytes"),
                "cut off with the stream" => {
                    raw.stream.sock.write_all(&bytes[..50]).expect("it takes bytes");
                    raw.stream.sock.shutdown(Shutdown::Write).expect("a half-closed connection");
                    assert!(rest(raw.stream.sock).is_empty());
                    pair.talk();
                    nothing_is_left(&wss, end);
                    continue;
                }
                "half a frame" => {
                    let half = &text(&json!({"type": "ping"}))[..5];
                    raw.stream.write_all(half).expect("it takes bytes");
                }
                _ => {}
            }
            pair.talk();
            drop(raw);
            nothing_is_left(&wss, end);
        }
    }
}

#[test]
fn a_handshake_takes_no_longer_than_a_request() {
    let wss = TlsServer::chat(1, &[("client.head_timeout", "300ms")]);
    let mut pair = Pair::new(&wss);
    let config = Arc::new(wss.made.client(&TLS12));
    let silent = wss.tcp();
    let mut begun = wss.tcp();
    let mut hello = Vec::new();
    let mut client: Connection = secure(&config, &begun).conn.into();
    client.write_tls(&mut hello).expect("a hello");
    begun.write_all(&hello).expect("it takes bytes");
    let mut idle = secure(&config, wss.tcp());
    idle.flush().expect("the handshake");
    let mut said = String::new();
    idle.read_to_string(&mut said).expect("an encrypted answer and a clean end");
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(rest(silent).is_empty());
    rest(begun);
    drop(idle);
    pair.talk();
    nothing_is_left(&wss, "them");
    assert_eq!(wss.server.count(Counter::HeadTimeouts), 3);
    assert_eq!(wss.server.count(Counter::TlsFailed), 2);
}
