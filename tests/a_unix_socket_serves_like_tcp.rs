//! A server serves on a Unix socket what it serves on TCP, on every core; it replaces a dead server's socket, and no other file.

mod common;

use common::{Client, PATIENCE, TestServer, plan};
use longwire::metrics::{Counter, Gauge};
use longwire::net::endpoint::Endpoint;
use longwire::shard::{AppKind, Plan, StartError, launch};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// A path of this test's own, free again at its end.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("longwire-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn plan(&self, shards: usize, settings: &[(&str, &str)]) -> Plan {
        let endpoint: Endpoint = format!("unix:{}", self.0.display()).parse().expect("a path");
        let settings = [&[("server.dev", "true")], settings].concat();
        Plan { listen: vec![endpoint], ..plan(AppKind::Chat, shards, &settings) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.0).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn people_chat_over_it_from_every_core_to_every_other() {
    let path = Path::new("chat");
    let server = TestServer::launch(&path.plan(3, &[]));
    let mut clients: Vec<(String, Client<UnixStream>)> = (0..30)
        .map(|n| server.user_on(n % 3, usize::from(n / 3)))
        .map(|user| (user.clone(), Client::over(path.connect(), &user)))
        .collect();
    for from in 0..clients.len() {
        let to = (from + 1) % clients.len();
        let message =
            json!({"type": "message", "to": clients[to].0, "message": from, "id": from.to_string()});
        clients[from].1.ask(&message, "ack");
        assert_eq!(clients[to].1.expect("message")["message"], from);
    }
    // The kernel wakes one core for each; with accepts that went on by themselves it were always the same.
    let accepted = |server: &TestServer| -> Vec<u64> {
        server.snapshots().iter().map(|shard| shard.counters.get(Counter::Accepted)).collect()
    };
    let mut crowd = Vec::new();
    while accepted(&server).contains(&0) {
        assert!(crowd.len() < 1000, "a core takes no connections: {:?}", accepted(&server));
        crowd.push(path.connect());
    }
    crowd.clear();
    server.wait_until("they are gone", |server| server.level(Gauge::Connections) == 30);
    server.control().drain(Duration::from_secs(5));
    clients.iter_mut().for_each(|(_, client)| assert_eq!(client.expect_close(), 3000));
}

#[test]
fn a_full_server_takes_more_once_others_have_left() {
    let path = Path::new("full");
    let server = TestServer::launch(&Plan { connections: 200, ..path.plan(2, &[]) });
    let crowd: Vec<UnixStream> = (0..400).map(|_| path.connect()).collect();
    server.wait_until("both cores are full", |server| server.level(Gauge::Connections) >= 200);
    drop(crowd);
    // Those who waited are taken too, and found gone.
    server.wait_until("they are gone", |server| {
        server.level(Gauge::Connections) == 0 && server.count(Counter::Accepted) == 400
    });
    for n in 0..20 {
        Client::over(path.connect(), &format!("user{n}")).expect_nothing();
    }
}

#[test]
fn the_socket_has_the_mode_that_is_set_and_is_removed_at_the_end() {
    for (settings, mode) in [(&[][..], 0o660), (&[("server.unix_mode", "0606")][..], 0o606)] {
        let path = Path::new("mode");
        let server = TestServer::launch(&path.plan(1, settings));
        let permissions = fs::metadata(&path.0).expect("it is there").permissions();
        assert_eq!(permissions.mode() & 0o7777, mode);
        server.control().drain(Duration::ZERO);
        server.join();
        assert!(!path.0.exists());
    }
}

#[test]
fn a_dead_servers_socket_is_replaced_and_a_live_ones_is_not() {
    let path = Path::new("stale");
    drop(UnixListener::bind(&path.0).expect("a socket"));
    assert!(path.0.exists(), "it is left behind");
    let server = TestServer::launch(&path.plan(2, &[]));
    let refused = |path: &Path| match launch(&path.plan(1, &[])) {
        Err(error) => error,
        Ok(server) => panic!("started beside another: {server:?}"),
    };
    assert!(matches!(refused(&path), StartError::Busy(_, Some(pid)) if pid == std::process::id() as i32));
    Client::over(path.connect(), "alice").expect_nothing();
    drop(server);
    // Another program's, which holds no lock of ours.
    let other = UnixListener::bind(&path.0).expect("a socket");
    assert!(matches!(refused(&path), StartError::Busy(_, Some(pid)) if pid == std::process::id() as i32));
    drop(other);
    fs::remove_file(&path.0).expect("it is left behind");
    fs::write(&path.0, "mine").expect("a file");
    let error = refused(&path).to_string();
    assert!(error.contains("no socket") && error.contains("--listen"), "{error}");
    assert_eq!(fs::read_to_string(&path.0).expect("it is there still"), "mine");
}

#[test]
fn connections_of_an_address_are_not_limited_where_there_is_none() {
    let path = Path::new("limit");
    let server = TestServer::launch(&path.plan(1, &[("client.address_connection_limit", "1")]));
    let mut clients: Vec<_> = (0..5).map(|n| Client::over(path.connect(), &format!("user{n}"))).collect();
    clients.iter_mut().for_each(Client::expect_nothing);
    assert_eq!(server.count(Counter::Crowded), 0);
}
