//! `rampup` tries rates upwards and then in between, says which held, and never more than a server can do.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Server, run, serve};
use std::time::Duration;

/// At twice what a server can do the last message of 300 ms waits 300 ms; and at any rate above, longer.
#[test]
fn the_search_ends_below_what_the_server_can_do() {
    let server = Server::of(Kind::Echo).service(Duration::from_millis(2)).start();
    let search = ["rampup", "--of=echo", "--users=20", "--rate=100", "--precision=0.5", "--limit=100ms"];
    let more = ["--warmup=20ms", "--duration=300ms", "--drain=5s", "--url", server.url()];
    let outcome = run(&[&search as &[&str], &more].concat());
    let rampup = &outcome.report["rampup"];
    let steps = rampup["steps"].as_array().unwrap_or_else(|| panic!("{outcome:?}")).clone();
    // A busy machine may fail any of them: what follows from a failure is checked, whichever it was.
    let (mut best, mut over) = (None, None);
    for step in &steps {
        let rate = step["rate"].as_f64().unwrap();
        let expected = match (best, over) {
            (None, None) => 100.0,
            (Some(best), None) => 2.0 * best,
            (None, Some(over)) => over / 2.0,
            (Some(best), Some(over)) => f64::sqrt(best * over),
        };
        assert!((rate / expected - 1.0).abs() < 0.01, "{rate} in place of {expected}: {outcome:?}");
        let held = step["held"].as_bool().unwrap();
        assert!(!held || rate < 1_000.0, "{rate}/s is said to have held: {outcome:?}");
        assert_ne!(held, step["why"].is_string(), "{outcome:?}");
        *if held { &mut best } else { &mut over } = Some(rate);
    }
    assert_eq!((rampup["best"].as_f64(), rampup["over"].as_f64()), (best, over), "{outcome:?}");
    assert!(over.is_some() && rampup["limited_by"].is_string(), "{outcome:?}");
    assert!(best.is_none_or(|best| over.unwrap() / best <= 1.5), "{outcome:?}");
}

#[test]
fn a_limit_that_nothing_keeps_is_said() {
    let url = serve(Kind::Longwire, Fault::None);
    let search = ["rampup", "--of=pairs", "--users=20", "--rate=8", "--limit=1ns", "--dialect=longwire"];
    let more = ["--warmup=20ms", "--duration=300ms", "--url", &url];
    let outcome = run(&[&search as &[&str], &more].concat());
    assert!(outcome.report["rampup"]["best"].is_null(), "{outcome:?}");
    assert!(outcome.report["notes"].to_string().contains("no rate"), "{outcome:?}");
}
