//! `--compress` is spoken with a server that grants it, in every workload and both encodings, and with no other.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Outcome, at_once, drain, raw, run, serve, upgraded};
use std::path::Path;

const SERVE: &str = "{bin}/longwire serve --dev --durability memory --cores 0 --listen 127.0.0.1:{port} --admin-listen off --client-ping-interval 100ms";
const ECHO: &str = "{bin}/longwire echo --cores 0 --listen 127.0.0.1:{port}";
const WINDOW: [&str; 4] = ["--warmup=50ms", "--duration=300ms", "--drain=5s", "--quiet"];

fn against(spawn: &str, words: &[&str]) -> Outcome {
    let longwire = Path::new(env!("CARGO_BIN_EXE_longwire-bench")).with_file_name("longwire");
    assert!(longwire.exists(), "{} is not there: cargo build -p longwire", longwire.display());
    run(&[words, &["--server-core=any", "--spawn", spawn]].concat())
}

#[test]
fn every_workload_does_its_work_compressed() {
    let workloads: [&[&str]; 6] = [
        &["pairs", "--users=4", "--ids", "--rate=100", "--payload=2000"],
        &["groups", "--groups=2", "--members=4", "--groups-per-user=1", "--rate=50", "--payload=600"],
        &[
            "mixed",
            "--users=8",
            "--conversations=4",
            "--groups=1",
            "--members=4",
            "--rate=200",
            "--sizes=80:1,900:1",
        ],
        &["churn", "--connections=20", "--churn-rate=20", "--users=2", "--rate=50", "--payload=1000"],
        &["storm", "--connections=20", "--users=2", "--rate=50", "--payload=1000"],
        &["broadcast", "--connections=10", "--every=50ms", "--turns=1", "--rate=100", "--payload=1000"],
    ];
    // Two servers at a time.
    at_once(&["json", "proto"], |encoding| {
        for words in workloads {
            let more = ["--compress", "--encoding", encoding];
            let outcome = against(SERVE, &[words, &WINDOW, &more].concat());
            assert_eq!(outcome.code, 0, "{encoding}: {words:?}: {outcome:?}");
            let both = (outcome.count("packed"), outcome.count("unpacked"));
            assert!(both.0 > 0 && both.1 > 0, "{encoding}: {words:?}: {outcome:?}");
        }
    });
}

#[test]
fn the_bytes_on_the_wire_are_those_that_went_over_it() {
    let bytes = |more: &[&str]| {
        let words = ["echo", "--connections=2", "--rate=200", "--payload=4000"];
        let outcome = against(ECHO, &[&words as &[&str], &WINDOW, more].concat());
        assert_eq!(outcome.code, 0, "{more:?}: {outcome:?}");
        let wire = ["bytes_sent_per_message", "bytes_received_per_delivery"].map(|what| outcome.number(what));
        (wire, [outcome.count("packed"), outcome.count("unpacked")])
    };
    let ([sent, received], plain) = bytes(&[]);
    assert!(sent > 4000.0 && received > 3900.0 && plain == [0, 0], "{sent} {received} {plain:?}");
    let ([sent, received], packed) = bytes(&["--compress"]);
    assert!((1000.0..3200.0).contains(&sent) && (1000.0..3200.0).contains(&received), "{sent} {received}");
    assert!(packed[0] > 0 && packed[1] > 0, "{packed:?}");
    // Below its size nothing leaves compressed, whatever the server does.
    let ([sent, _], packed) = bytes(&["--compress", "--compress-min=5000"]);
    assert!(sent > 4000.0 && packed[0] == 0 && packed[1] > 0, "{sent} {packed:?}");
}

/// The run failed, and its connections in this way alone. (The first one ends it; the others may not come to that.)
fn only(outcome: &Outcome, kind: &str) {
    let failed = outcome.count("failed_connections");
    assert!(outcome.code == 1 && failed > 0, "{outcome:?}");
    assert_eq!(outcome.count(&format!("failures.{kind}")), failed, "{outcome:?}");
}

#[test]
fn a_server_that_grants_nothing_is_refused_and_one_that_sends_rubbish_is_left() {
    let words = ["pairs", "--users=2", "--duration=100ms", "--compress", "--url"];
    let refused = run(&[&words as &[&str], &[&serve(Kind::Longwire, Fault::None)]].concat());
    only(&refused, "no upgrade");
    assert!(refused.report["notes"].to_string().contains("the server granted none"), "{refused:?}");
    // Granted in the answer, and then a message that is no deflate data.
    let rubbish = raw(|_, mut stream| {
        let granted = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
        common::upgraded_with(&mut stream, granted, b"\xc1\x04\xff\xff\xff\xff");
        drain(&stream);
    });
    let left = run(&[&words as &[&str], &[&rubbish]].concat());
    only(&left, "no WebSocket");
    assert!(left.report["notes"].to_string().contains("a compressed message: "), "{left:?}");
    // Compressed without having been asked: as ever, no WebSocket.
    let unasked = raw(|_, mut stream| {
        upgraded(&mut stream, b"\xc1\x01\x00");
        drain(&stream);
    });
    let left = run(&["pairs", "--users=2", "--duration=100ms", "--url", &unasked]);
    only(&left, "no WebSocket");
}

#[test]
fn where_there_is_no_websocket_nothing_is_compressed() {
    let outcome = run(&["echo", "--tcp", "--compress", "--url=tcp://127.0.0.1:9/"]);
    assert!(outcome.code == 1 && outcome.said.contains("--compress is WebSocket's"), "{outcome:?}");
}
