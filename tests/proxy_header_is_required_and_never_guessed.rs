//! Where a listener says `?proxy=v2`, each connection begins with that header, from a proxy that is trusted, in time; whoever does
//! not is closed without an answer. Nowhere else is such a header taken for one. The address in it is the one that is limited.

mod common;
#[path = "common/process.rs"]
mod process;

use common::raw::{Raw, UPGRADE, auth};
use common::tls::{Made, TLS12, TLS13, secure, tcp};
use common::{PATIENCE, TestServer, plan};
use longwire::metrics::{Counter, Gauge};
use longwire::net::endpoint::Endpoint;
use longwire::shard::{AppKind, Plan};
use process::Running;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
}

/// A client at this address, come through a proxy to port 9501 of 192.0.2.1.
fn client_at(address: [u8; 4]) -> Vec<u8> {
    header(PROXY, 0x11, &[&address[..], &[192, 0, 2, 1, 0xd4, 0x31, 0x25, 0x1d]].concat())
}

fn client_at_v6(last: u8) -> Vec<u8> {
    let mut rest = [0; 36];
    (rest[..4]).copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    rest[15] = last;
    header(PROXY, 0x21, &rest)
}

/// A server behind a proxy at its first place, and open to everyone at its second.
fn behind_a_proxy(shards: usize, settings: &[(&str, &str)]) -> TestServer {
    let places = ["127.0.0.1:0?proxy=v2", "127.0.0.1:0"];
    let listen = places.map(|place| place.parse().expect("a place to listen")).into();
    let settings = [&[("server.dev", "true")], settings].concat();
    TestServer::launch(&Plan { listen, ..plan(AppKind::Chat, shards, &settings) })
}

fn connect(server: &TestServer, place: usize) -> Raw {
    let address: Option<SocketAddr> = server.listens_on()[place].address();
    let stream = TcpStream::connect(address.expect("of TCP")).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    Raw::over(stream)
}

/// Sends these pieces, each when those before it have been read.
fn send_in_pieces(server: &TestServer, raw: &mut Raw, pieces: &[&[u8]]) {
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let before = server.count(Counter::BytesReceived);
        raw.write(piece);
        let after = before + piece.len() as u64;
        server.wait_until("a piece is read", |server| server.count(Counter::BytesReceived) == after);
    }
}

fn expect_signed_in(raw: &mut Raw) {
    raw.expect_upgrade();
    assert_eq!(raw.expect_event()["type"], "authenticated");
}

/// The status of the answer; 0 if there is none.
fn status(raw: &mut Raw) -> u16 {
    if raw.is_at_end() {
        return 0;
    }
    raw.expect_head().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[test]
fn a_header_may_come_in_any_pieces_with_or_without_what_follows_it() {
    let server = behind_a_proxy(2, &[]);
    let rest = [UPGRADE.as_bytes(), &auth("alice")].concat();
    let with_extras =
        header(PROXY, 0x11, &[&[192, 0, 2, 7, 192, 0, 2, 1, 1, 2, 3, 4][..], &[4, 0, 1, 0]].concat());
    let unix = header(PROXY, 0x31, &[b'/'; 216]);
    for header in [client_at([192, 0, 2, 7]), with_extras, client_at_v6(7), header(LOCAL, 0, &[]), unix] {
        let all = [&header[..], &rest].concat();
        // Cut everywhere in it, and in what follows it; not in each byte of the longest.
        let cuts = (1..header.len() + 20).filter(|cut| *cut < 70 || cut + 20 > header.len());
        for cut in cuts {
            let mut raw = connect(&server, 0);
            send_in_pieces(&server, &mut raw, &[&all[..cut], &all[cut..]]);
            expect_signed_in(&mut raw);
        }
        let mut raw = connect(&server, 0);
        let bytes: Vec<&[u8]> = header.chunks(1).collect();
        send_in_pieces(&server, &mut raw, &bytes);
        raw.write(&rest);
        expect_signed_in(&mut raw);
    }
    server.wait_until("nothing is held", |server| server.level(Gauge::AssemblyBytes) == 0);
}

#[test]
fn who_sends_none_or_a_wrong_one_is_closed_without_an_answer() {
    let server = behind_a_proxy(1, &[]);
    let too_long = header(PROXY, 0x11, &[0; 521]);
    let wrong: [&[u8]; 7] = [
        UPGRADE.as_bytes(),
        b"PROXY TCP4 192.0.2.7 192.0.2.1 54321 9501\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        &header(0x22, 0x11, &[0; 12]),
        &header(PROXY, 0x11, &[0; 11]),
        &header(PROXY, 0x51, &[0; 12]),
        &too_long,
    ];
    for (n, bytes) in wrong.iter().enumerate() {
        let mut raw = connect(&server, 0);
        raw.write(bytes);
        assert!(raw.is_at_end(), "{bytes:?}");
        assert_eq!(server.count(Counter::ProxyWrong), 1 + n as u64);
    }
    // A second header is none: it is where the request should be.
    let mut raw = connect(&server, 0);
    raw.write(&[client_at([192, 0, 2, 7]), client_at([192, 0, 2, 7])].concat());
    assert_eq!(status(&mut raw), 400);
    assert_eq!(server.count(Counter::Upgraded), 0);
}

#[test]
fn a_header_that_does_not_come_in_time_closes_without_an_answer() {
    let server = behind_a_proxy(1, &[("client.head_timeout", "50ms")]);
    let begun = client_at([192, 0, 2, 7]);
    let (mut silent, mut slow) = (connect(&server, 0), connect(&server, 0));
    slow.write(&begun[..20]);
    assert!(silent.is_at_end() && slow.is_at_end());
    assert_eq!(server.count(Counter::ProxyLate), 2);
    // Who was introduced is told.
    let mut introduced = connect(&server, 0);
    introduced.write(&begun);
    assert_eq!(status(&mut introduced), 408);
    assert_eq!(server.count(Counter::ProxyLate), 2);
}

#[test]
fn only_trusted_proxies_introduce_anyone() {
    let server = behind_a_proxy(2, &[("proxy.trusted", "10.0.0.0/8, 127.0.0.2, fd00::/8")]);
    for n in 1..=5 {
        // It may be closed before it takes a byte.
        let mut raw = connect(&server, 0);
        let _ = raw.stream.write_all(&client_at([10, 0, 0, 1]));
        assert!(raw.is_at_end());
        assert_eq!(server.count(Counter::ProxyUntrusted), n);
    }
    Raw::sign_in_over(connect(&server, 1).stream, "alice");

    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).expect("an address of this machine");
    socket.connect(&server.address().into()).expect("the server listens");
    let mut raw = Raw::over(TcpStream::from(socket));
    raw.write(&client_at([192, 0, 2, 7]));
    Raw::sign_in_over(raw.stream, "bob");
}

#[test]
fn a_proxy_on_a_unix_socket_is_trusted_and_must_introduce_too() {
    let path = std::env::temp_dir().join(format!("longwire-proxied-{}", std::process::id()));
    let endpoint: Endpoint = format!("unix:{}?proxy=v2", path.display()).parse().expect("a place to listen");
    let settings = [("server.dev", "true"), ("proxy.trusted", ""), ("client.address_connection_limit", "1")];
    let server = TestServer::launch(&Plan { listen: vec![endpoint], ..plan(AppKind::Chat, 2, &settings) });
    let knock = |first: &[u8]| {
        let mut stream = UnixStream::connect(&path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(&[first, UPGRADE.as_bytes()].concat()).expect("it takes bytes");
        let mut status = [0; 12];
        let status = match stream.read_exact(&mut status) {
            Ok(()) => String::from_utf8_lossy(&status[9..]).into_owned(),
            Err(_) => String::new(),
        };
        (status, stream)
    };
    let (status, _alice) = knock(&client_at([192, 0, 2, 7]));
    assert_eq!(status, "101");
    assert_eq!(knock(&client_at([192, 0, 2, 7])).0, "429");
    assert_eq!(knock(&client_at([192, 0, 2, 8])).0, "101");
    assert_eq!(knock(b"").0, "");
    assert_eq!(server.count(Counter::ProxyWrong), 1);
}

#[test]
fn elsewhere_a_header_is_not_taken_for_one() {
    let server = behind_a_proxy(1, &[("client.address_connection_limit", "2")]);
    let mut raw = connect(&server, 1);
    raw.write(&[&client_at([192, 0, 2, 7])[..], UPGRADE.as_bytes()].concat());
    assert_eq!(status(&mut raw), 400);
}

#[test]
fn the_address_in_the_header_is_the_one_that_is_limited() {
    let server = behind_a_proxy(2, &[("client.address_connection_limit", "2")]);
    let knock = |header: &[u8]| {
        let mut raw = connect(&server, 0);
        raw.write(&[header, UPGRADE.as_bytes()].concat());
        (status(&mut raw), raw)
    };
    let mut inside = Vec::new();
    for header in [client_at([192, 0, 2, 7]), client_at_v6(7)] {
        for expected in [101, 101, 429] {
            let (status, raw) = knock(&header);
            assert_eq!(status, expected);
            inside.push(raw);
        }
    }
    // All came from one proxy, whose own connections are nobody's.
    for _ in 0..8 {
        let (status, raw) = knock(&header(LOCAL, 0, &[]));
        assert_eq!(status, 101);
        inside.push(raw);
    }
    assert_eq!(server.count(Counter::Crowded), 2);
    // A place goes with its connection, also to another shard.
    inside.clear();
    server.wait_until("all have left", |server| server.level(Gauge::Connections) == 0);
    for n in 0..2 {
        let mut raw = connect(&server, 0);
        raw.write(
            &[&client_at([192, 0, 2, 7])[..], UPGRADE.as_bytes(), &auth(&server.user_on(n, 0))].concat(),
        );
        expect_signed_in(&mut raw);
        inside.push(raw);
    }
    assert_eq!(knock(&client_at([192, 0, 2, 7])).0, 429);
    // Beyond twice as many nobody is told.
    let silent: Vec<Raw> = (0..4).map(|_| connect(&server, 0)).collect();
    silent.into_iter().for_each(|mut raw| {
        raw.write(&client_at([192, 0, 2, 7]));
        inside.push(raw);
    });
    server.wait_until("one is closed", |server| server.count(Counter::Crowded) > 3);
}

/// The binary itself: a proxy's header, and TLS behind it.
#[test]
fn on_wss_the_header_comes_before_tls() {
    let made = Made::new();
    let (certificate, key) = (made.certificate(), made.key());
    let mut arguments = vec!["serve", "--dev", "--listen", "wss://127.0.0.1:0?proxy=v2"];
    arguments.extend(["--admin-listen", "127.0.0.1:0", "--client-address-connection-limit", "1"]);
    arguments.extend(["--tls-certificate", certificate.to_str().expect("a path")]);
    arguments.extend(["--tls-key", key.to_str().expect("a path")]);
    let running = Running::start(&arguments, "mode");
    let address: SocketAddr = running.address("wss://").parse().expect("an address");
    let introduced = |version, header: &[u8]| {
        let mut stream = tcp(address);
        stream.write_all(header).expect("it takes bytes");
        secure(&Arc::new(made.client(version)), stream)
    };
    let (one, other) = (client_at([192, 0, 2, 7]), client_at([192, 0, 2, 8]));
    let _alice = Raw::sign_in_over(introduced(&TLS13, &one), "alice");
    let _bob = Raw::sign_in_over(introduced(&TLS12, &other), "bob");
    for refused in [&one[..], &other[..], b""] {
        let mut stream = introduced(&TLS13, refused);
        let answer = stream.write_all(UPGRADE.as_bytes()).and_then(|()| stream.read(&mut [0]));
        assert!(
            !answer.is_ok_and(|length| length > 0),
            "their addresses have one each, and a hello is no header"
        );
    }
}
