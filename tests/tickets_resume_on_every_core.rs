//! A client that comes back resumes by its ticket, whichever core gets it, and with another certificate as well.

mod common;

use common::raw::Raw;
use common::tls::{TLS12, TLS13, TlsServer, client};
use longwire::ids::ShardId;
use longwire::metrics::Counter;
use std::sync::Arc;

const SHARDS: usize = 2;
/// By then every shard has had some, unless the kernel spreads connections badly.
const TRIES: usize = 500;

fn resumed(wss: &TlsServer) -> Vec<u64> {
    wss.server.snapshots().iter().map(|snapshot| snapshot.counters.get(Counter::TlsResumed)).collect()
}

#[test]
fn tickets_resume_on_every_core() {
    let mut wss = TlsServer::chat(SHARDS, &[]);
    for version in [&TLS13, &TLS12] {
        let first = wss.made.der.clone();
        let before = resumed(&wss);
        let full = wss.server.count(Counter::TlsFull);
        let config = Arc::new(wss.made.client(version));
        Raw::sign_in_over(wss.connect(&config), "alice");
        let mut tries = 0;
        while resumed(&wss).iter().zip(&before).any(|(now, before)| now == before) {
            assert!(tries < TRIES, "not every shard has resumed one");
            Raw::sign_in_over(wss.connect(&config), "alice");
            tries += 1;
        }
        // Another certificate, the same tickets; the one who comes back need not look at it.
        wss.made.renew();
        let (_, acceptor) = wss.certificates.load().expect("a good certificate");
        let control = wss.server.control();
        assert!((0..SHARDS as u16).all(|shard| control.speak_tls(ShardId(shard), &acceptor)));
        Raw::sign_in_over(wss.connect(&config), "alice");
        assert_eq!(wss.server.count(Counter::TlsFull), full + 1, "{version:?}");
        let both = Arc::new(client(&[&first, &wss.made.der], version));
        let raw = Raw::sign_in_over(wss.connect(&both), "alice");
        assert_eq!(raw.stream.conn.peer_certificates().expect("its certificate")[0], wss.made.der);
        assert_eq!(wss.server.count(Counter::TlsFull), full + 2, "{version:?}");
    }
}
