//! The streams against rustls's own client, without a socket: every size of delivery, both versions, and what goes wrong.

use super::{Acceptor, End, Handshake, Identity, Stream, Tickets};
use crate::limits::TLS_CARRIED_MAX;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuiteCommon, ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite,
    SupportedProtocolVersion, Tls12CipherSuite, Tls13CipherSuite,
};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// A certificate for this machine in files that go with it.
struct Files {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("longwire-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        let files = Self { folder, certificate: made.cert.der().clone() };
        std::fs::write(files.certificate(), made.cert.pem()).unwrap();
        std::fs::write(files.key(), made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    fn identity(&self) -> Identity {
        Identity::from_files(&self.certificate(), &self.key()).unwrap()
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(&self.identity(), &Tickets::new().unwrap()).unwrap()
    }

    fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client and a stream of ours, with what goes between them.
struct Pair {
    client: ClientConnection,
    stream: Stream,
    heard: Vec<u8>,
    handshake: Option<Handshake>,
    end: Option<End>,
}

impl Pair {
    fn new(config: &Arc<ClientConfig>, acceptor: &Acceptor) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::clone(config), name).unwrap();
        let stream = Stream::new(acceptor).unwrap();
        Self { client, stream, heard: Vec::new(), handshake: None, end: None }
    }

    fn give(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            let outcome = self.stream.read(&mut piece.to_vec(), &mut self.heard, 0);
            self.handshake = outcome.handshake.or(self.handshake);
            self.end = outcome.end.or(self.end.take());
            assert!(self.stream.held_bytes() <= 3 * TLS_CARRIED_MAX);
        }
    }

    /// Lets both sides speak until they have nothing to say; the client's bytes come in pieces.
    fn pump(&mut self, piece: usize) {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            self.give(&bytes, piece);
            let mut answer = Vec::new();
            self.stream.take_pending(&mut answer);
            if bytes.is_empty() && answer.is_empty() {
                return;
            }
            self.take(&answer);
        }
    }

    fn take(&mut self, mut answer: &[u8]) {
        while !answer.is_empty() {
            self.client.read_tls(&mut answer).unwrap();
            let _ = self.client.process_new_packets();
        }
    }
}

fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut said = Vec::new();
    match client.reader().read_to_end(&mut said) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
        _ => said,
    }
}

#[test]
fn what_one_side_says_the_other_hears_however_it_is_cut() {
    let files = Files::new("cut");
    let acceptor = files.acceptor();
    for version in [&TLS13, &TLS12] {
        for piece in [1, 7, 2048, usize::MAX] {
            let config = Arc::new(files.client(version));
            let mut pair = Pair::new(&config, &acceptor);
            pair.client.set_buffer_limit(None);
            pair.pump(piece);
            assert_eq!(pair.handshake, Some(Handshake::Full));
            assert_eq!(pair.stream.held_bytes(), 0, "nothing is held when nothing is under way");
            assert!(!pair.stream.has_pending());
            let long: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
            for message in [&b"x"[..], b"hello", &long] {
                pair.client.writer().write_all(message).unwrap();
                pair.pump(piece);
                assert!(std::mem::take(&mut pair.heard) == message, "{version:?} by {piece}");
                let mut out = Vec::new();
                assert!(pair.stream.write(message, &mut out));
                let mut heard = Vec::new();
                for part in out.chunks(5000) {
                    pair.take(part);
                    heard.extend(said(&mut pair.client));
                }
                assert!(heard == message, "{version:?} by {piece}");
                assert_eq!(pair.stream.held_bytes(), 0);
            }
        }
    }
}

#[test]
fn a_ticket_resumes_with_any_acceptor_of_the_same_tickets() {
    let files = Files::new("tickets");
    let tickets = Tickets::new().unwrap();
    let [first, second] = [0, 1].map(|_| Acceptor::new(&files.identity(), &tickets).unwrap());
    let other = files.acceptor();
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(files.client(version));
        let handshake = |acceptor: &Acceptor| {
            let mut pair = Pair::new(&config, acceptor);
            pair.pump(usize::MAX);
            pair.handshake
        };
        assert_eq!(handshake(&first), Some(Handshake::Full));
        assert_eq!(handshake(&second), Some(Handshake::Resumed), "{version:?}");
        assert_eq!(handshake(&other), Some(Handshake::Full), "{version:?}");
    }
}

#[test]
fn either_side_may_close() {
    let files = Files::new("close");
    let acceptor = files.acceptor();
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(files.client(version));
        let mut pair = Pair::new(&config, &acceptor);
        pair.pump(2048);
        pair.client.writer().write_all(b"bye").unwrap();
        pair.client.send_close_notify();
        pair.pump(1);
        assert_eq!((&pair.heard[..], pair.end.take()), (&b"bye"[..], Some(End::Closed)));
        let mut out = Vec::new();
        assert!(pair.stream.write(b"bye", &mut out), "{version:?}");
        pair.stream.close();
        pair.stream.close();
        pair.stream.take_pending(&mut out);
        pair.take(&out);
        let mut heard = Vec::new();
        pair.client.reader().read_to_end(&mut heard).expect("close_notify came");
        assert_eq!(heard, b"bye");
    }
}

#[test]
fn what_is_no_tls_gets_an_alert_and_holds_nothing() {
    let files = Files::new("alerts");
    let acceptor = files.acceptor();
    let hello = |body: &[u8]| {
        let mut record = vec![22, 3, 1, (body.len() >> 8) as u8, body.len() as u8];
        record.extend_from_slice(body);
        record
    };
    // A handshake message of 64 KiB that never ends, in fragments of one byte and of 16 KiB.
    let begun = [&[1, 0, 0xff, 0xff][..], &[0; 16_000]].concat();
    let tiny: Vec<u8> = begun.iter().flat_map(|byte| hello(&[*byte])).collect();
    let large = [hello(&begun), hello(&[0; 16_000])].concat();
    let unfinished = [&[22, 3, 1, 0x40, 0][..], &[1; 16_000]].concat();
    for (what, bytes, ends) in [
        ("garbage", vec![0x5a; 600], true),
        ("a record too long", vec![22, 3, 1, 0xff, 0xff, 1, 0], true),
        ("data before a handshake", vec![23, 3, 3, 0, 1, 0], true),
        ("tiny fragments", tiny, true),
        ("large fragments", large, true),
        ("an unfinished record", unfinished, false),
    ] {
        for piece in [1, 2048, usize::MAX] {
            let config = Arc::new(files.client(&TLS13));
            let mut pair = Pair::new(&config, &acceptor);
            pair.give(&bytes, piece);
            assert_eq!(pair.end == Some(End::Broken), ends, "{what} by {piece}");
            let mut out = Vec::new();
            assert!(!pair.stream.write(b"no", &mut out), "{what}");
            pair.stream.close();
            pair.give(&bytes, piece);
            assert!(pair.heard.is_empty() && pair.stream.held_bytes() <= TLS_CARRIED_MAX, "{what}");
        }
    }
}

#[test]
fn what_is_held_grows_with_what_has_come() {
    let files = Files::new("trickle");
    let acceptor = files.acceptor();
    let mut pair = Pair::new(&Arc::new(files.client(&TLS13)), &acceptor);
    pair.pump(2048);
    // The header of a largest record, and then all but its last byte.
    for (n, byte) in [23, 3, 3, 0x40, 0].into_iter().chain([7; 16_383]).enumerate() {
        pair.give(&[byte], 1);
        let held = pair.stream.held_bytes();
        assert!(held <= 4 * (n + 1) + 64, "{held} bytes of {}", n + 1);
    }
    assert_eq!(pair.end, None);
}

#[test]
fn records_changed_on_the_way_break_it_with_an_alert() {
    let files = Files::new("changed");
    let acceptor = files.acceptor();
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(files.client(version));
        let mut pair = Pair::new(&config, &acceptor);
        pair.pump(2048);
        pair.client.writer().write_all(b"one").unwrap();
        let mut bytes = Vec::new();
        pair.client.write_tls(&mut bytes).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        pair.give(&bytes, usize::MAX);
        assert_eq!((pair.end.take(), pair.heard.len()), (Some(End::Broken), 0), "{version:?}");
        let mut alert = Vec::new();
        pair.stream.take_pending(&mut alert);
        assert!(!alert.is_empty());
        pair.take(&alert);
        pair.client.process_new_packets().expect_err("the client was told");
    }
}

#[test]
fn only_http_is_spoken_inside() {
    let files = Files::new("alpn");
    let acceptor = files.acceptor();
    for (offer, ends) in [(&["h2", "http/1.1"][..], None), (&["h2"], Some(End::Broken))] {
        let mut config = files.client(&TLS13);
        config.alpn_protocols = offer.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut pair = Pair::new(&Arc::new(config), &acceptor);
        pair.pump(2048);
        assert_eq!(pair.end, ends);
        let chosen = ends.is_none().then_some(&b"http/1.1"[..]);
        assert_eq!(pair.client.alpn_protocol(), chosen);
    }
}

#[test]
fn new_keys_are_used_when_the_client_asks_for_them() {
    let files = Files::new("keys");
    let acceptor = files.acceptor();
    let mut pair = Pair::new(&Arc::new(files.client(&TLS13)), &acceptor);
    pair.pump(2048);
    for _ in 0..3 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"fresh").unwrap();
        pair.pump(1);
        assert_eq!(std::mem::take(&mut pair.heard), b"fresh");
        let mut out = Vec::new();
        assert!(pair.stream.write(b"as well", &mut out));
        pair.take(&out);
        assert_eq!(said(&mut pair.client), b"as well");
    }
}

/// Ciphers whose keys may encrypt so few records.
fn short_lived(records: u64) -> CryptoProvider {
    use rustls::crypto::ring::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256,
    };
    let mut ciphers = default_provider();
    ciphers.cipher_suites = vec![TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256];
    for suite in &mut ciphers.cipher_suites {
        let limited = |common: &CipherSuiteCommon| CipherSuiteCommon {
            confidentiality_limit: records,
            suite: common.suite,
            hash_provider: common.hash_provider,
        };
        *suite = match *suite {
            SupportedCipherSuite::Tls12(tls12) => {
                SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                    common: limited(&tls12.common),
                    ..*tls12
                })))
            }
            SupportedCipherSuite::Tls13(tls13) => {
                SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                    common: limited(&tls13.common),
                    ..*tls13
                })))
            }
        };
    }
    ciphers
}

#[test]
fn a_key_that_may_be_used_no_more_is_changed_or_ends_it_cleanly() {
    let files = Files::new("worn");
    let tickets = Tickets::new().unwrap();
    let acceptor = Acceptor::with_ciphers(&files.identity(), &tickets, short_lived(50)).unwrap();
    for (version, goes_on) in [(&TLS13, true), (&TLS12, false)] {
        let mut pair = Pair::new(&Arc::new(files.client(version)), &acceptor);
        pair.pump(2048);
        let mut heard = 0;
        for n in 0..200 {
            let mut out = Vec::new();
            let written = pair.stream.write(b"x", &mut out);
            pair.take(&out);
            if !written {
                break;
            }
            assert_eq!(said(&mut pair.client), b"x", "{version:?}: {n}");
            heard += 1;
        }
        assert_eq!(heard == 200, goes_on, "{version:?}: {heard}");
        if !goes_on {
            assert_eq!(pair.client.reader().read(&mut [0]).expect("close_notify came"), 0);
            let mut out = Vec::new();
            assert!(!pair.stream.write(b"x", &mut out) && out.is_empty());
            pair.stream.close();
            assert!(!pair.stream.has_pending(), "it is said once");
        }
    }
}

#[test]
fn an_error_of_the_files_says_which_and_what_to_do() {
    let (files, other) = (Files::new("good"), Files::new("other"));
    let nothing = files.folder.join("nothing.pem");
    let (empty, half) = (files.folder.join("empty.pem"), files.folder.join("half.pem"));
    std::fs::write(&empty, "not PEM at all\n").unwrap();
    std::fs::write(&half, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    let (certificate, key) = (files.certificate(), files.key());
    for (certificate, key, says) in [
        (&nothing, &key, "tls.certificate"),
        (&certificate, &nothing, "tls.key"),
        (&empty, &key, "BEGIN CERTIFICATE"),
        (&half, &key, "broken PEM"),
        (&certificate, &empty, "BEGIN PRIVATE KEY"),
        (&certificate, &certificate, "BEGIN PRIVATE KEY"),
        (&certificate, &other.key(), "not the key of the first certificate"),
    ] {
        let error = Identity::from_files(certificate, key).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_certificate_that_ends_soon_is_told() {
    let identity = Files::new("time").identity();
    let end = identity.expires();
    assert_eq!(identity.warning(end - 30 * 24 * 3600), None);
    for (now, says) in [(end + 7200, "expired 2 hours ago"), (end - 5 * 24 * 3600, "expires in 5 days")] {
        let warning = identity.warning(now).unwrap();
        assert!(warning.contains(says), "{warning}");
    }
    assert!(identity.warning(0).unwrap().contains("not valid before"));
}
