//! With a token in the upgrade request the 101 and `authenticated` leave in one send, on whichever shard the user is at home.

mod common;

use common::TestServer;
use common::raw::{Raw, TEXT, UPGRADE, auth};
use longwire::auth::{Grant, Key, Verifier, issue};
use longwire::clock::Clock;
use longwire::ids::UserName;
use longwire::metrics::Counter;
use std::time::{Duration, Instant};

const SHARDS: u16 = 2;
/// Which shard accepts is the kernel's choice: so many that all of them are accepted at home happen once in 2^40 runs.
const USERS: usize = 40;

fn key() -> Key {
    let file = format!("{}/one-send-{}.key", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&file, [7; 32]).expect("a key file");
    let key = Key::from_file(file.as_ref()).expect("a key");
    std::fs::remove_file(&file).expect("a key file");
    key
}

/// Signs everyone in by bytes of their own, and tells how many sends and moves that took.
fn sign_in_all(server: &TestServer, hello: impl Fn(&str) -> Vec<u8>) -> [u64; 2] {
    let counts = || [Counter::Sends, Counter::HandedOver].map(|counter| server.count(counter));
    let before = counts();
    let inside: Vec<Raw> = (0..USERS)
        .map(|n| {
            let user = server.user_on(n as u16 % SHARDS, n);
            let mut raw = Raw::over(server.tcp());
            raw.write(&hello(&user));
            raw.expect_head();
            let (first, payload) = raw.next_frame().expect("a frame");
            let text = String::from_utf8_lossy(&payload).into_owned();
            assert!(first == TEXT && text.contains("authenticated") && text.contains(&user), "{text}");
            raw
        })
        .collect();
    let after = counts();
    drop(inside);
    [after[0] - before[0], after[1] - before[1]]
}

#[test]
fn a_token_in_the_upgrade_takes_one_send() {
    let key = key();
    let server = TestServer::with_tokens(usize::from(SHARDS), Verifier::new(&key, None, None));
    let [sends, moved] = sign_in_all(&server, |user| {
        let user = UserName::new(user).expect("a name");
        let ttl = Duration::from_secs(600);
        let grant = Grant { user, ttl, groups: Vec::new(), broadcast: false, audience: None, issuer: None };
        let token = issue(&key, &grant, Clock::new(Instant::now()).now().wall).expect("a token");
        UPGRADE.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {token}\r\n\r\n")).into_bytes()
    });
    assert_eq!(sends, USERS as u64, "one for each who signed in");
    assert!(moved > 0 && moved < USERS as u64, "{moved} of {USERS} moved: both kinds are to be seen");
}

#[test]
fn an_auth_message_behind_the_request_takes_one_send_too() {
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let [sends, moved] = sign_in_all(&server, |user| [UPGRADE.as_bytes(), &auth(user)].concat());
    assert_eq!(sends, USERS as u64, "one for each who signed in");
    assert!(moved > 0 && moved < USERS as u64, "{moved} of {USERS} moved: both kinds are to be seen");
}
