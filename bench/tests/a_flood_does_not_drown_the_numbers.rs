//! A server that sends megabytes unasked, or reads nothing at all: the schedule and the ledger stay whole, memory bounded.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Kind, Outcome, Server, raw, run, upgraded};
use socket2::SockRef;
use std::time::Duration;

/// Bytes of resident memory that the generator never has, with two threads' bounds on what waits unsent.
const MEMORY: f64 = 400e6;

/// The most resident memory at any moment of the run.
fn memory(outcome: &Outcome) -> f64 {
    let moments = outcome.report["course"]["moments"].as_array().unwrap();
    moments.iter().map(|moment| moment["generator_rss"].as_f64().unwrap()).fold(0.0, f64::max)
}

/// Some 10 MB a second, of text that looks like a mark here and there.
#[test]
fn noise_is_read_and_left_aside() {
    let noise = r##"#l #lw #lx:00 # ##l "{}"##.repeat(500);
    for (kind, workload) in [
        (Kind::Tutorial, &["pairs", "--users=4", "--dialect=tutorial"] as &[&str]),
        (Kind::Echo, &["echo", "--connections=4", "--threads=2"]),
    ] {
        let server = Server::of(kind).noise(&noise, Duration::from_millis(4)).start();
        let load = ["--rate=500", "--warmup=100ms", "--duration=1s", "--url", server.url()];
        let outcome = run(&[workload, &load].concat());
        assert_eq!((outcome.code, outcome.count("latency_us.count")), (0, 500), "{outcome:?}");
        assert_eq!(server.arrivals().len(), 550, "{outcome:?}");
        assert!(memory(&outcome) < MEMORY, "{} bytes in {outcome:?}", memory(&outcome));
    }
}

/// Seven hundred and fifty megabytes are meant for connections of which none is read.
#[test]
fn what_nobody_reads_does_not_pile_up() {
    let url = raw(|_, mut stream| {
        SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
        upgraded(&mut stream, b"");
        // Open until this program ends.
        std::mem::forget(stream);
    });
    let load =
        ["--rate=250", "--payload=1000000", "--warmup=0s", "--duration=3s", "--drain=1s", "--url", &url];
    let outcome = run(&[&["echo", "--connections=24", "--threads=2"] as &[&str], &load].concat());
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.report["failures"]["took nothing more"].as_u64().unwrap_or(0) > 0, "{outcome:?}");
    assert_eq!(outcome.count("faults.lost"), 750, "{outcome:?}");
    assert!(memory(&outcome) < MEMORY, "{} bytes in {outcome:?}", memory(&outcome));
}
