//! Attacks on TLS: on its handshake, and by records behind it. Knows no message but `ping`.

use super::Does::Acts;
use super::Meets::{Alert, End, Http, Silence};
use super::Stage::Tls;
use super::{Attack, attack, read_to_end, says};
use crate::common::disguised;
use crate::common::raw::{Raw, UPGRADE, text};
use crate::common::tls::{Secure, TLS13, TlsServer, client, secure};
use longwire::metrics::Counter::{
    ClosedLost, HeadTimeouts, TlsBroken, TlsFailed, TlsFull, Upgraded as Upgrades,
};
use longwire::metrics::Gauge;
use rustls::client::Resumption;
use rustls::{ClientConfig, ContentType};
use serde_json::json;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Handshakes, one after another.
const HANDSHAKES: usize = 100;
/// More of anything without content than an honest client sends.
const EMPTY: usize = 4000;

/// A record of a handshake.
fn record(body: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// The hello of a client that knows TLS 1.0 only.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend([7; 32]);
    // No session; AES128-SHA and ECDHE-RSA-AES128-SHA; no compression; no extensions.
    body.extend([0, 0, 4, 0, 0x2f, 0xc0, 0x13, 1, 0, 0, 0]);
    record(&[&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat())
}

pub(super) fn all() -> Vec<Attack> {
    let row = |name, bytes, meets| says(name, Tls, bytes, meets, TlsFailed);
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[0x5a; 200]].concat();
    let endless = [&[1, 0, 0xff, 0xff][..], &[0; 16_000]].concat();
    let tiny = endless.iter().flat_map(|byte| record(&[*byte])).collect();
    let whole_hello = record(&disguised::hello(&Arc::new(client(&[], &TLS13))));
    let late = |name, bytes| Attack { connections: 50, ..says(name, Tls, bytes, End, HeadTimeouts) };
    let broken = |name, act| attack(name, Tls, Acts(act), End, TlsBroken);
    vec![
        row("noise where TLS is spoken", vec![0xa5; 4000], Alert),
        row("plain HTTP where TLS is spoken", UPGRADE.into(), Http(400)),
        row("a TLS record longer than records are", [&[22, 3, 1, 0xff, 0xff][..], &[1; 99]].concat(), Alert),
        row("TLS data before the handshake", vec![23, 3, 3, 0, 2, 1, 1], Alert),
        row("a TLS hello that does not end", [record(&endless), record(&[0; 16_000])].concat(), End),
        row("a TLS hello that does not end, in tiny records", tiny, End),
        row("TLS 1.0", old_hello(), Alert),
        late("connections over TLS that say nothing", Vec::new()),
        late("half a TLS hello", hello),
        late("a TLS hello and nothing more", whole_hello),
        attack("a TLS client of HTTP/2 only", Tls, Acts(asks_for_http_2), End, TlsFailed),
        attack("a storm of TLS handshakes", Tls, Acts(storms), Silence, TlsFull),
        broken("renegotiation, asked for again and again", renegotiates),
        broken("a flood of TLS alerts that warn", warns),
        broken("a flood of TLS key updates", changes_keys),
        broken("a flood of empty TLS records", sends_nothing),
        broken("a TLS record that was changed", changes_a_record),
        attack("a TLS record cut off by the end", Tls, Acts(cuts_a_record_off), End, ClosedLost),
        Attack {
            connections: 50,
            ..attack(
                "TLS records of the largest length, unfinished",
                Tls,
                Acts(finishes_none),
                Silence,
                Upgrades,
            )
        },
    ]
}

/// The same connection, encrypted, on which `user` has signed in.
fn sign_in(raw: &Raw, config: ClientConfig, user: &str) -> Raw<Secure> {
    let stream = raw.stream.try_clone().expect("a second handle");
    Raw::sign_in_over(secure(&Arc::new(config), stream), user)
}

/// What `bytes` are as a record on their way.
fn sealed(tls: &mut Secure, bytes: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    tls.conn.writer().write_all(bytes).expect("room");
    tls.conn.write_tls(&mut record).expect("a record");
    record
}

fn asks_for_http_2(wss: &TlsServer, _: &str, raw: &mut Raw) {
    let mut config = wss.made.client(&TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = secure(&Arc::new(config), &raw.stream);
    let error = stream.write_all(b"x").and_then(|()| stream.read(&mut [0])).expect_err("it is refused");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

fn storms(wss: &TlsServer, _: &str, _: &mut Raw) {
    let mut config = wss.made.client(&TLS13);
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let mut all: Vec<Secure> = (0..HANDSHAKES).map(|_| wss.connect(&config)).collect();
    for client in &mut all {
        client.conn.complete_io(&mut client.sock).expect("the handshake");
    }
}

fn renegotiates(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let config = disguised::client(&wss.made.der, ContentType::Handshake);
    let hello = disguised::hello(&Arc::new(config.clone()));
    let mut signed_in = sign_in(raw, config, user);
    // Once it is told that there is none, and stays.
    signed_in.write(&hello);
    signed_in.write(&text(&json!({"type": "ping"})));
    assert_eq!(signed_in.expect_event()["type"], "pong");
    signed_in.write(&hello);
    read_to_end(raw);
}

fn warns(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let mut signed_in = sign_in(raw, disguised::client(&wss.made.der, ContentType::Alert), user);
    let user_canceled = [1, 90];
    let records: Vec<u8> = (0..EMPTY).flat_map(|_| sealed(&mut signed_in.stream, &user_canceled)).collect();
    // The server may have ended it before the last.
    drop(raw.stream.write_all(&records));
    read_to_end(raw);
}

fn changes_keys(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let mut tls = sign_in(raw, wss.made.client(&TLS13), user).stream;
    let mut records = Vec::new();
    for _ in 0..EMPTY {
        tls.conn.refresh_traffic_keys().expect("TLS 1.3");
        tls.conn.write_tls(&mut records).expect("a record");
    }
    drop(raw.stream.write_all(&records));
    read_to_end(raw);
}

fn sends_nothing(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let mut signed_in = sign_in(raw, disguised::client(&wss.made.der, ContentType::Alert), user);
    let records: Vec<u8> = (0..EMPTY).flat_map(|_| sealed(&mut signed_in.stream, &[0])).collect();
    drop(raw.stream.write_all(&records));
    read_to_end(raw);
}

fn changes_a_record(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let mut tls = sign_in(raw, wss.made.client(&TLS13), user).stream;
    let mut record = sealed(&mut tls, &text(&json!({"type": "ping"})));
    *record.last_mut().expect("bytes") ^= 1;
    raw.write(&record);
    let error = loop {
        // A ping may be on its way.
        if let Err(error) = tls.read(&mut [0; 500]).map(|length| assert_ne!(length, 0, "no alert")) {
            break error;
        }
    };
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

fn cuts_a_record_off(wss: &TlsServer, user: &str, raw: &mut Raw) {
    let mut tls = sign_in(raw, wss.made.client(&TLS13), user).stream;
    let record = sealed(&mut tls, &text(&json!({"type": "ping", "id": "x".repeat(50)})));
    raw.write(&record[..record.len() / 2]);
    raw.stream.shutdown(Shutdown::Write).expect("half a close");
    read_to_end(raw);
}

/// A header, and all but the last of what it announces.
fn finishes_none(wss: &TlsServer, user: &str, raw: &mut Raw) {
    const LENGTH: usize = (1 << 14) + 256;
    drop(sign_in(raw, wss.made.client(&TLS13), user));
    let before = wss.server.level(Gauge::AssemblyBytes);
    raw.write(&[&[23, 3, 3][..], &(LENGTH as u16).to_be_bytes(), &[0; LENGTH - 1]].concat());
    wss.server
        .wait_until("it is held", |server| server.level(Gauge::AssemblyBytes) >= before + LENGTH as u64);
}
