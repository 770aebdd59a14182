//! A server listens on several places, of IPv4, IPv6 and Unix: who comes to one of them chats with those at the others.

mod common;

use common::{Client, PATIENCE, TestServer, plan};
use longwire::limits::LISTENERS_MAX;
use longwire::metrics::{Counter, Gauge};
use longwire::net::endpoint::Endpoint;
use longwire::shard::{AppKind, Plan, StartError, launch};
use serde_json::json;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn listening(shards: usize, connections: usize, listen: Vec<Endpoint>) -> Plan {
    Plan { listen, connections, ..plan(AppKind::Chat, shards, &[("server.dev", "true")]) }
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("a place to listen")
}

/// Somebody signed in at each place.
fn at_each(server: &TestServer) -> Vec<Client> {
    let addresses = server.listens_on().iter().filter_map(Endpoint::address);
    addresses.enumerate().map(|(n, address)| Client::over(connect(address), &format!("user{n}"))).collect()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

#[test]
fn whoever_comes_chats_with_all_the_others() {
    // With a limit for each address the kernel is asked from where each connection comes, by single accepts.
    for (shards, limit) in [(1, "0"), (3, "0"), (1, "1000"), (2, "1000")] {
        let settings = [("server.dev", "true"), ("client.address_connection_limit", limit)];
        let listen = vec![endpoint("127.0.0.1:0"); LISTENERS_MAX];
        let server = TestServer::launch(&Plan { listen, ..plan(AppKind::Chat, shards, &settings) });
        let mut clients = at_each(&server);
        assert_eq!(clients.len(), LISTENERS_MAX);
        for from in 0..clients.len() {
            let to = (from + 1) % clients.len();
            let hello = format!("hello from {from}");
            let message =
                json!({"type": "message", "to": format!("user{to}"), "message": hello, "id": hello});
            clients[from].ask(&message, "ack");
            assert_eq!(clients[to].expect("message")["message"], hello);
        }
        // A place goes on taking connections after the first ones.
        let more: Vec<Client> = (0..4).flat_map(|_| at_each(&server)).collect();
        assert_eq!(server.count(Counter::Upgraded), (clients.len() + more.len()) as u64);
    }
}

#[test]
fn ipv4_and_ipv6_stand_beside_one_another_at_one_port() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        return eprintln!("SKIPPED: this machine has no ::1 ({error})");
    }
    // A port that is free in both families: it was, a moment ago, and is tried again if somebody took it.
    let both = (0..16).find_map(|_| {
        let port = TcpListener::bind("[::]:0").ok()?.local_addr().ok()?.port();
        let listen = vec![endpoint(&format!("[::]:{port}")), endpoint(&format!("0.0.0.0:{port}"))];
        // Not by `TestServer::launch`, which takes a refusal for a failure.
        let server = launch(&listening(2, 1000, listen)).ok()?;
        Some((server, port))
    });
    let (server, port) = both.expect("a port is free in both families");
    let mut six = Client::over(connect(format!("[::1]:{port}").parse().expect("an address")), "six");
    let mut four = Client::over(connect(format!("127.0.0.1:{port}").parse().expect("an address")), "four");
    six.ask(&json!({"type": "message", "to": "four", "message": "hello", "id": "1"}), "ack");
    assert_eq!(four.expect("message")["message"], "hello");
    server.control().drain(Duration::from_millis(100));
    assert_eq!([six.expect_close(), four.expect_close()], [3000, 3000]);
    server.join().expect("the shards end in peace");
}

#[test]
fn a_full_server_closes_all_its_listeners_and_opens_them_again() {
    let places = vec![endpoint("127.0.0.1:0"); 3];
    let server = TestServer::launch(&listening(1, 300, places));
    let addresses: Vec<SocketAddr> = server.listens_on().iter().filter_map(Endpoint::address).collect();
    let mut inside = Vec::new();
    let mut refused = [false; 3];
    let start = Instant::now();
    for n in (0..3).cycle() {
        assert!(start.elapsed() < PATIENCE, "the server has more room than it was given");
        match TcpStream::connect(addresses[n]) {
            Ok(stream) => inside.push(stream),
            Err(_) => refused[n] = true,
        }
        if refused == [true; 3] {
            break;
        }
    }
    inside.clear();
    server.wait_until("the others have left", |server| server.level(Gauge::Connections) == 0);
    for address in addresses {
        // The listener is opened in the turn that frees a slot, which may come after that look.
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{address} was not opened again: {error}"),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Client::over(stream, "again").expect_nothing();
    }
}

#[test]
fn a_start_that_fails_at_one_place_leaves_the_others_free() {
    let held = TestServer::launch(&listening(1, 1000, vec![endpoint("127.0.0.1:0")]));
    let held = held.listens_on()[0].clone();
    let path = std::env::temp_dir().join(format!("longwire-several-{}", std::process::id()));
    let file = endpoint(&format!("unix:{}", path.display()));
    match launch(&listening(2, 1000, vec![file.clone(), held.clone()])) {
        Err(StartError::Busy(at, _)) => assert_eq!(at, held),
        other => panic!("expected busy, got {other:?}"),
    }
    assert!(!path.exists(), "its socket is left behind");
    let server = TestServer::launch(&listening(2, 1000, vec![file]));
    let mut client = Client::over(UnixStream::connect(&path).expect("it listens"), "alice");
    client.expect_nothing();
    drop(server);
    assert!(!path.exists(), "its socket is left behind");
}
