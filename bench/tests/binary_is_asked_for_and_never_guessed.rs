//! `--encoding proto` is spoken with a server that selects it, and with no other; where it means nothing it is refused.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Outcome, Server, run, serve};
use std::time::Duration;

fn pairs(url: &str, more: &[&str]) -> Outcome {
    let load = ["--rate=100", "--warmup=50ms", "--duration=200ms", "--drain=1s", "--url", url];
    run(&[&["pairs", "--users=2"] as &[&str], &load, more].concat())
}

#[test]
fn a_server_that_selects_no_subprotocol_is_refused() {
    for kind in [Kind::Longwire, Kind::Tutorial] {
        let outcome = pairs(&serve(kind, Fault::None), &["--encoding=proto"]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert_eq!(outcome.count("failures.no upgrade"), outcome.count("failed_connections"), "{outcome:?}");
        let notes = outcome.report["notes"].to_string();
        let said = "asked for longwire.proto.v1, the server selected no subprotocol";
        assert!(notes.contains(said), "{outcome:?}");
    }
    // The same server in its own encoding.
    assert_eq!(pairs(&serve(Kind::Longwire, Fault::None), &["--encoding=json"]).code, 0);
}

#[test]
fn a_server_that_selects_it_and_writes_text_is_no_longer_listened_to() {
    let server = Server::of(Kind::Proto).noise(r#"{"type":"typing"}"#, Duration::from_millis(5)).start();
    let outcome = pairs(server.url(), &["--encoding=proto"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.count("failures.no WebSocket") > 0, "{outcome:?}");
    let notes = outcome.report["notes"].to_string();
    assert!(notes.contains("a text frame on a binary connection"), "{outcome:?}");
}

#[test]
fn where_there_is_only_one_encoding_the_other_is_refused_before_anything_runs() {
    let refused = |arguments: &[&str], said: &str| {
        let outcome = run(&[arguments, &["--encoding=proto", "--url=ws://127.0.0.1:9/"]].concat());
        assert!(outcome.code == 1 && outcome.report.is_null(), "{outcome:?}");
        assert!(outcome.said.contains(said), "{outcome:?}");
    };
    for dialect in ["--dialect=tutorial", "--dialect=socketio", "--dialect=echo"] {
        refused(&["pairs", dialect], "Longwire's own dialect");
        refused(&["idle", dialect], "Longwire's own dialect");
    }
    for echo in [&["echo"] as &[&str], &["echo", "--tcp"], &["rampup", "--of=echo"]] {
        refused(echo, "an echo server gets bare payloads");
    }
    let unknown = run(&["pairs", "--encoding=xml", "--url=ws://127.0.0.1:9/"]);
    assert!(unknown.code == 2 && unknown.said.contains("json, proto"), "{unknown:?}");
}

#[test]
fn an_error_answer_is_told_in_words() {
    let server = Server::of(Kind::Proto).wrong(Fault::Refuse, &[3]).start();
    let outcome = pairs(server.url(), &["--encoding=proto", "--ids"]);
    assert_eq!((outcome.code, outcome.count("server_errors")), (1, 1), "{outcome:?}");
    let notes = outcome.report["notes"].to_string();
    assert!(notes.contains("server: error 503 to message: later"), "{outcome:?}");
}
