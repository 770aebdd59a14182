//! A second server on an address, or on a part of it, is refused and told who is first; once the first has ended, the address is free.

mod common;

use common::{TestServer, plan};
use longwire::net::endpoint::Endpoint;
use longwire::shard::{AppKind, Plan, StartError, launch};
use std::time::Duration;

#[test]
fn a_second_server_on_the_address_is_refused() {
    let server = TestServer::chat(2, &[]);
    let endpoint = server.listens_on()[0].clone();
    let second = Plan { listen: vec![endpoint.clone()], ..plan(AppKind::Chat, 2, &[("server.dev", "true")]) };
    match launch(&second) {
        Err(StartError::Busy(at, pid)) => {
            assert_eq!((at, pid), (endpoint.clone(), Some(std::process::id() as i32)));
        }
        other => panic!("expected busy, got {other:?}"),
    }
    // The first one never noticed.
    server.sign_in("alice").expect_nothing();
    server.control().drain(Duration::from_millis(500));
    server.join();
    let third = launch(&second).expect("the address is free again");
    assert_eq!(third.listens_on(), [endpoint]);
    third.control().drain(Duration::ZERO);
    third.join().expect("the shards end in peace");
}

/// A server that only echoes, on one core.
fn echo(at: &str) -> Plan {
    Plan { listen: vec![at.parse().expect("an address")], ..plan(AppKind::Echo, 1, &[]) }
}

/// Starts one there and asserts that it is refused because of this process's own.
fn is_refused(at: &str) {
    match launch(&echo(at)) {
        Err(StartError::Busy(endpoint, pid)) => {
            let me = Some(std::process::id() as i32);
            assert_eq!((endpoint, pid), (at.parse::<Endpoint>().expect("an address"), me));
        }
        other => panic!("{at}: expected busy, got {other:?}"),
    }
}

#[test]
fn all_addresses_hold_each_of_them() {
    for (all, one) in [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")] {
        let server = TestServer::launch(&echo(&format!("{all}:0")));
        let port = server.address().port();
        is_refused(&format!("{one}:{port}"));
        is_refused(&format!("wss://{one}:{port}?proxy=v2"));
        let server = TestServer::launch(&echo(&format!("{one}:0")));
        let port = server.address().port();
        is_refused(&format!("{all}:{port}"));
    }
}

#[test]
fn one_address_leaves_the_others_alone() {
    let server = TestServer::launch(&echo("127.0.0.1:0"));
    let port = server.address().port();
    // What another program listens on there is none of ours, but would keep us off.
    match launch(&echo(&format!("127.0.0.2:{port}"))) {
        Ok(second) => {
            is_refused(&format!("0.0.0.0:{port}"));
            second.control().drain(Duration::ZERO);
            second.join().expect("the shards end in peace");
        }
        Err(error) => assert!(!matches!(error, StartError::Busy(..)), "{error:?}"),
    }
}
