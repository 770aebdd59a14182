//! A second server on an address is refused and told who is first; once the first has ended, the address is free.

mod common;

use common::{TestServer, plan};
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
