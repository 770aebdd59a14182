//! `wss://` servers are spoken to as all others are, by TLS 1.3 and 1.2, with sessions resumed where that is asked for; a certificate
//! that nobody vouches for ends the run.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Outcome, Secure, run, serve};
use rustls::version::{TLS12, TLS13};

const WINDOW: [&str; 3] = ["--warmup=50ms", "--duration=300ms", "--drain=5s"];

fn echo(url: &str, more: &[&str]) -> Outcome {
    run(&[&["echo", "--connections=4", "--rate=200", "--url", url] as &[&str], &WINDOW, more].concat())
}

#[test]
fn messages_of_every_size_come_back() {
    for version in [&TLS13, &TLS12] {
        let server = Secure::echo(version);
        for (host, payload) in [("127.0.0.1", "64"), ("localhost", "2000"), ("127.0.0.1", "70000")] {
            let more = [&server.ca(), "--payload", payload] as [&str; 3];
            let outcome = echo(&server.url(host), &more);
            assert_eq!(outcome.code, 0, "{version:?}, {payload}: {outcome:?}");
            assert!(outcome.count("deliveries") > 20, "{version:?}, {payload}: {outcome:?}");
            assert_eq!((outcome.count("handshakes"), outcome.count("resumed")), (4, 0), "{outcome:?}");
            assert!(outcome.report["workload"].as_str().unwrap().ends_with(", over TLS"), "{outcome:?}");
            // All frames, and nothing of TLS.
            let overhead = outcome.number("bytes_received_per_delivery") / payload.parse::<f64>().unwrap();
            assert!((0.9..1.15).contains(&overhead), "{outcome:?}");
        }
    }
}

#[test]
fn connections_after_the_first_resume_sessions_where_that_is_asked_for() {
    for version in [&TLS13, &TLS12] {
        let server = Secure::echo(version);
        // More than are opened at a time: the last come when the first have their tickets.
        let words =
            ["idle", "--dialect=echo", "--connections=300", "--hold=50ms", "--settle=10ms", "--tls-resume"];
        let outcome = run(&[&words as &[&str], &[&server.ca(), "--url", &server.url("127.0.0.1")]].concat());
        assert_eq!((outcome.code, outcome.count("handshakes")), (0, 300), "{version:?}: {outcome:?}");
        assert!((1..300).contains(&outcome.count("resumed")), "{version:?}: {outcome:?}");
    }
}

#[test]
fn whom_nobody_vouches_for_is_not_spoken_to() {
    let (server, other) = (Secure::echo(&TLS13), Secure::echo(&TLS13));
    let url = server.url("127.0.0.1");
    for more in [&[&other.ca() as &str] as &[&str], &["--ca=/nowhere.pem"], &[]] {
        let outcome = echo(&url, more);
        assert_eq!(outcome.code, 1, "{more:?}: {outcome:?}");
        if more == [&other.ca()] {
            assert_eq!(outcome.count("failures.no TLS"), outcome.count("failed_connections"), "{outcome:?}");
        } else {
            assert!(outcome.said.contains("--ca"), "{more:?}: {outcome:?}");
        }
    }
    assert_eq!(echo(&url, &["--insecure"]).code, 0);
    assert_eq!(echo(&url, &["--insecure", &server.ca()]).code, 2, "one or the other");
}

#[test]
fn who_does_not_speak_tls_is_a_failed_connection() {
    let url = serve(Kind::Echo, Fault::None).replace("ws://", "wss://");
    let outcome = run(&["echo", "--connections=2", "--patience=3s", "--insecure", "--url", &url]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.count("failed_connections") > 0, "{outcome:?}");
}
