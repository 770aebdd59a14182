//! Attacks on signing in: false tokens, names of others, and nobody at all. Knows no conversation.

use super::Does::{Acts, Says};
use super::Meets::{Close, Error};
use super::Stage::{Connected, SignedIn, Upgraded};
use super::{Attack, attack, says};
use crate::common::raw::{UPGRADE, text};
use longwire::metrics::Counter::{
    ClosedBadToken, ClosedConnectionLimit, ClosedNeverSignedIn, CommandRefused,
};
use serde_json::json;

/// {"alg":"none"} and {"sub":"alice","exp":4102444800}.
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.";
/// The same in HS256, signed with another key than the server's.
const FOREIGN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// As many as `client.user_connection_limit` of the test's server.
pub const CONNECTIONS_OF_A_USER: usize = 4;

fn token(token: &str) -> Vec<u8> {
    text(&json!({"type": "auth", "token": token}))
}

pub(super) fn all() -> Vec<Attack> {
    let bad = |name, bytes| says(name, Upgraded, bytes, Close(3500), ClosedBadToken);
    let query = UPGRADE.replacen("GET /", &format!("GET /?token={FOREIGN}"), 1);
    let refused = |name, stage, command, code| says(name, stage, text(&command), Error(code), CommandRefused);
    vec![
        bad("a token that nobody signed", token(UNSIGNED)),
        bad("a token signed by someone else", token(FOREIGN)),
        bad("a token that is none", token(&"x".repeat(15_000))),
        says("a false token in the request", Connected, query.into_bytes(), Close(3500), ClosedBadToken),
        Attack { connections: 200, ..bad("a storm of false tokens", token(FOREIGN)) },
        refused("commands before signing in", Upgraded, json!({"type": "message", "message": 1}), 401),
        refused("a name of control characters", Upgraded, json!({"type": "auth", "username": "a\u{7}"}), 400),
        refused("the name of someone else", SignedIn, json!({"type": "auth", "username": "honest"}), 403),
        Attack {
            connections: 50,
            ..attack("never signing in", Upgraded, Says(Vec::new()), Close(3502), ClosedNeverSignedIn)
        },
        attack("too many connections of a user", SignedIn, Acts(crowd), Close(3504), ClosedConnectionLimit),
    ]
}

fn crowd(wss: &crate::common::tls::TlsServer, user: &str, _: &mut crate::common::raw::Raw) {
    let others: Vec<_> = (1..CONNECTIONS_OF_A_USER).map(|_| SignedIn.reach(wss, user)).collect();
    let mut last = Upgraded.reach(wss, user);
    last.write(&crate::common::raw::auth(user));
    assert_eq!(last.expect_close().0, 3504);
    drop(others);
}
