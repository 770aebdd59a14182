//! The admin pages against fake shards, one of which may keep silent. Knows no real shard.

use super::*;
use crate::metrics::{Counter, Gauge, Histogram};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone)]
struct Fake {
    shards: u16,
    silent: Option<u16>,
    draining: Arc<AtomicBool>,
    /// Why it stores nothing.
    refuses: Option<&'static str>,
}

impl Fake {
    fn new(shards: u16) -> Self {
        Self { shards, silent: None, draining: Arc::default(), refuses: None }
    }
}

impl Shards for Fake {
    fn shards(&self) -> u16 {
        self.shards
    }

    async fn ask(&self, shard: ShardId) -> Option<Snapshot> {
        if self.silent == Some(shard.0) {
            std::future::pending::<()>().await;
        }
        let mut snapshot = Snapshot::empty(shard);
        snapshot.counters.add(Counter::Acked, 20 + u64::from(shard.0));
        snapshot.counters.add(Counter::ClosedDraining, 1);
        snapshot.gauges.set(Gauge::Connections, 5 + u64::from(shard.0));
        snapshot.gauges.set(Gauge::JsonSessions, 3);
        snapshot.histograms.record(Histogram::Append, 400_000);
        Some(snapshot)
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn refuses(&self) -> Option<String> {
        self.refuses.map(String::from)
    }

    fn store(&self) -> Option<StoreLevels> {
        let times = (vec![50, 100], vec![3, 4, 5]);
        Some(StoreLevels { refuses: self.refuses(), commits: 12, times, ..StoreLevels::default() })
    }
}

/// Status line, head and body of `GET path`.
async fn get(fake: &Fake, path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, fake.clone()));
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let client = tokio::task::spawn_blocking(move || {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = client.await.unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn metrics_are_summed_over_the_shards() {
    let page = get(&Fake::new(2), "/metrics").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("application/openmetrics-text"), "{page}");
    for line in [
        "longwire_acks_total 41",
        "longwire_connections_closed_total{code=\"3000\"} 2",
        "longwire_connections_active{shard=\"1\"} 6",
        "longwire_sessions_active{shard=\"0\",encoding=\"json\"} 3",
        "longwire_append_seconds_count 2",
        "longwire_append_seconds_bucket{le=\"0.00025\"} 0",
        "longwire_append_seconds_bucket{le=\"0.0005\"} 2",
        "longwire_append_seconds_bucket{le=\"+Inf\"} 2",
        "longwire_shards_answering 2",
        "longwire_draining 0",
        "longwire_store_commits_total 12",
        "longwire_store_refusing 0",
        "longwire_store_commit_seconds_bucket{le=\"0.0001\"} 7",
        "longwire_store_commit_seconds_count 12",
        concat!("longwire_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# EOF",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in {page}");
    }
    let level = |name: &str| {
        let line = page.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(level("process_resident_memory_bytes ") > 1e6 && level("process_open_fds ") > 2.0);
    assert!(level("process_cpu_seconds_total ") >= 0.0);
}

#[tokio::test]
async fn every_family_is_told_once() {
    let page = get(&Fake::new(1), "/metrics").await;
    let mut types: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let told = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), told, "a family's rows must stand together in the table");
}

#[tokio::test]
async fn a_silent_shard_is_named_and_does_not_hide_the_others() {
    let fake = Fake { silent: Some(1), ..Fake::new(3) };
    let page = get(&fake, "/healthz").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("from shard 1\n"), "{page}");
    let page = get(&fake, "/metrics").await;
    assert!(
        page.contains("longwire_shards_answering 2\n") && page.contains("longwire_acks_total 42\n"),
        "{page}"
    );
}

#[tokio::test]
async fn health_and_readiness_differ_while_draining() {
    let fake = Fake::new(2);
    assert!(get(&fake, "/readyz").await.starts_with("HTTP/1.1 200"));
    fake.draining.store(true, Ordering::Relaxed);
    assert!(get(&fake, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(get(&fake, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&fake, "/").await.contains("/metrics"));
    let fake = Fake { refuses: Some("the disk is gone"), ..Fake::new(1) };
    let page = get(&fake, "/readyz").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("the disk is gone"), "{page}");
    assert!(get(&fake, "/metrics").await.contains("longwire_store_refusing 1\n"));
    assert!(get(&fake, "/other").await.starts_with("HTTP/1.1 404"));
}
