//! Attacks by connections that come and go, or only seem to be there. Knows no message.

use super::Does::{Acts, Says};
use super::Meets::{Close, End, Silence};
use super::Stage::{Binary, Connected, SignedIn, Upgraded};
use super::{Attack, Stage, attack};
use crate::common::raw::{Raw, UPGRADE, auth};
use crate::common::tls::TlsServer;
use longwire::metrics::Counter::{Accepted, ClosedLost, ClosedNoPong, Upgraded as Upgrades};
use socket2::SockRef;
use std::net::Shutdown;
use std::time::Duration;

/// Connections that come and go, one after another.
const CHURN: usize = 200;

pub(super) fn all() -> Vec<Attack> {
    vec![
        attack("connections that are reset at once", Connected, Acts(reset_at_once), Silence, Accepted),
        attack(
            "connections that are reset behind their sign-in",
            Connected,
            Acts(reset_signed_in),
            Silence,
            Upgrades,
        ),
        attack("half-closed connections", SignedIn, Acts(|_, _, raw| half_close(raw)), End, ClosedLost),
        attack(
            "half-closed connections before signing in",
            Upgraded,
            Acts(|_, _, raw| half_close(raw)),
            End,
            ClosedLost,
        ),
        attack("half-closed binary connections", Binary, Acts(|_, _, raw| half_close(raw)), End, ClosedLost),
        Attack {
            connections: 20,
            ..attack("peers that are dead", SignedIn, Says(Vec::new()), Close(3012), ClosedNoPong)
        },
    ]
}

fn reset(raw: Raw) {
    SockRef::from(&raw.stream).set_linger(Some(Duration::ZERO)).expect("a reset");
    drop(raw);
}

fn reset_at_once(wss: &TlsServer, _: &str, _: &mut Raw) {
    (0..CHURN).for_each(|_| reset(Stage::Connected.reach(wss, "")));
}

/// They go while they are on their way to their user's home.
fn reset_signed_in(wss: &TlsServer, user: &str, _: &mut Raw) {
    for n in 0..CHURN {
        let mut raw = Stage::Connected.reach(wss, "");
        raw.write(&[UPGRADE.as_bytes(), &auth(&format!("{user}-{n}"))].concat());
        reset(raw);
    }
}

fn half_close(raw: &mut Raw) {
    raw.stream.shutdown(Shutdown::Write).expect("half a close");
    while raw.next_frame().is_some() {}
}
