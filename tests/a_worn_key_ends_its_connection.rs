//! A key of TLS 1.2 that has encrypted as much as it may ends its connection, with `close_notify` and for everyone to know: whoever
//! is there on it does not go deaf in silence.

mod common;

use common::raw::{Raw, UPGRADE, auth, text};
use common::tls::{TLS12, TlsServer};
use longwire::metrics::{Counter, Gauge};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite};
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;

/// What a key may encrypt here (records); for a real one of AES-GCM it is 2^24.
const RECORDS: u64 = 40;

fn short_lived() -> CryptoProvider {
    let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let SupportedCipherSuite::Tls12(tls12) = suite else { panic!("it is one of TLS 1.2") };
    let common = CipherSuiteCommon {
        suite: tls12.common.suite,
        hash_provider: tls12.common.hash_provider,
        confidentiality_limit: RECORDS,
    };
    let limited = SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite { common, ..*tls12 })));
    let mut ciphers = ring::default_provider();
    ciphers.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)));
    ciphers.cipher_suites.push(limited);
    ciphers
}

#[test]
fn a_worn_key_ends_its_connection() {
    let wss = TlsServer::chat_with(short_lived(), 1);
    let mut raw = Raw::over(wss.connect(&Arc::new(wss.made.client(&TLS12))));
    raw.write(UPGRADE.as_bytes());
    raw.expect_upgrade();
    raw.write(&auth("alice"));
    assert_eq!(raw.expect_event()["type"], "authenticated");
    let ping = text(&json!({"type": "ping"}));
    let mut pongs = 0;
    loop {
        // It may have ended before it was written to.
        let _ = raw.stream.write_all(&ping);
        // The end is one that TLS says: cut off it would be an error.
        if raw.stream.read(&mut [0; 500]).expect("an answer or a clean end") == 0 {
            break;
        }
        pongs += 1;
        assert!(pongs < RECORDS, "the key is used on and on");
    }
    assert!(pongs > RECORDS / 2, "{pongs}");
    wss.server.wait_until("the session is gone", |server| server.sessions() == 0);
    assert_eq!(wss.server.count(Counter::ClosedLost), 1);
    assert_eq!(wss.server.count(Counter::TlsBroken), 0);
    drop(raw);
    wss.server.wait_until_nothing_is_held();
    assert_eq!(wss.server.level(Gauge::TlsConnections), 0);
}
