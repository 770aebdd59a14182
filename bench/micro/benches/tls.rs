//! What TLS takes on the server's side: a handshake, full and by ticket, and a message both ways. `cargo bench -p longwire-micro --bench tls`
//!
//! The client is rustls's, in the same thread; its time does not count. The certificate is ECDSA P-256. Times are CPU time of this
//! thread, so that other work on the machine does not count.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longwire::net::tls::{Acceptor, Certificates, Handshake, Stream};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS 1.3", &TLS13), ("TLS 1.2", &TLS12)];

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// What both sides begin with.
struct Terms {
    acceptor: Acceptor,
    roots: RootCertStore,
}

impl Terms {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("longwire-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).expect("a certificate");
        let (certificate, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        let (_, acceptor) = Certificates::new(&certificate, &key).expect("keys").load().expect("files");
        let _ = std::fs::remove_dir_all(&folder);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a certificate");
        Self { acceptor, roots }
    }

    fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(self.roots.clone());
        Arc::new(config.with_no_client_auth())
    }

    /// A handshake, and how long the server's side of it took.
    fn handshake(&self, config: &Arc<ClientConfig>) -> (ClientConnection, Stream, Handshake, Duration) {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(config), name).expect("terms");
        let start = cpu_time();
        let mut stream = Stream::new(&self.acceptor).expect("terms");
        let mut took = cpu_time() - start;
        let (mut done, mut plain) = (None, Vec::new());
        loop {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).expect("bytes");
            }
            let start = cpu_time();
            let outcome = stream.read(&mut bytes, &mut plain, 0);
            let mut answer = Vec::new();
            stream.take_pending(&mut answer);
            took += cpu_time() - start;
            done = outcome.handshake.or(done);
            if bytes.is_empty() && answer.is_empty() {
                return (client, stream, done.expect("a handshake"), took);
            }
            let mut answer = &answer[..];
            while !answer.is_empty() {
                client.read_tls(&mut answer).expect("bytes");
                client.process_new_packets().expect("records");
            }
        }
    }
}

fn handshakes(c: &mut Criterion) {
    let terms = Terms::new();
    let mut group = c.benchmark_group("handshake, the server's side");
    for (name, version) in VERSIONS {
        let again = terms.client(version);
        terms.handshake(&again);
        for kind in [Handshake::Full, Handshake::Resumed] {
            group.bench_function(BenchmarkId::new(name, format!("{kind:?}")), |b| {
                b.iter_custom(|times| {
                    let once = || {
                        let fresh = terms.client(version);
                        let config = if kind == Handshake::Full { &fresh } else { &again };
                        let (_, _, done, took) = terms.handshake(config);
                        assert_eq!(done, kind);
                        took
                    };
                    (0..times).map(|_| once()).sum()
                });
            });
        }
    }
    group.finish();
}

fn messages(c: &mut Criterion) {
    let terms = Terms::new();
    let mut group = c.benchmark_group("a message both ways, the server's side");
    for (name, version) in VERSIONS {
        for size in [64, 1024, 16 * 1024] {
            let (mut client, mut stream, ..) = terms.handshake(&terms.client(version));
            let (message, mut heard) = (vec![b'x'; size], vec![0; size]);
            let (mut plain, mut out) = (Vec::new(), Vec::new());
            group.throughput(Throughput::Bytes(2 * size as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_custom(|times| {
                    let mut once = || {
                        client.writer().write_all(&message).expect("room");
                        let mut bytes = Vec::new();
                        client.write_tls(&mut bytes).expect("bytes");
                        plain.clear();
                        out.clear();
                        let start = cpu_time();
                        stream.read(&mut bytes, &mut plain, 0);
                        assert!(stream.write(black_box(&plain), &mut out));
                        let took = cpu_time() - start;
                        let mut answer = &out[..];
                        while !answer.is_empty() {
                            client.read_tls(&mut answer).expect("bytes");
                            client.process_new_packets().expect("records");
                        }
                        client.reader().read_exact(&mut heard).expect("the message");
                        took
                    };
                    (0..times).map(|_| once()).sum()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, handshakes, messages);
criterion_main!(benches);
