//! `rampup` tries rates upwards and then in between, and says which held.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, run, serve};

#[test]
fn steps_double_until_one_fails_and_then_close_in() {
    let url = serve(Kind::Echo, Fault::None);
    let search = ["rampup", "--of=echo", "--users=20", "--rate=50", "--precision=1", "--limit=1s"];
    let more = ["--warmup=20ms", "--duration=150ms", "--drain=500ms", "--url", &url];
    let outcome = run(&[&search as &[&str], &more].concat());
    let steps = outcome.report["rampup"]["steps"].as_array().unwrap_or_else(|| panic!("{outcome:?}")).clone();
    let rates: Vec<f64> = steps.iter().map(|step| step["rate"].as_f64().unwrap()).collect();
    let held: Vec<bool> = steps.iter().map(|step| step["held"].as_bool().unwrap()).collect();
    assert!((rates[0] - 50.0).abs() < 1e-9 && held[0], "{outcome:?}");
    let first_failed = held.iter().position(|held| !held).unwrap();
    let doubled = rates[..=first_failed].windows(2).all(|pair| (pair[1] / pair[0] - 2.0).abs() < 1e-9);
    assert!(doubled && first_failed > 1, "{outcome:?}");
    let (best, over) = (outcome.number("rampup.best"), outcome.number("rampup.over"));
    assert!(best < over && over / best <= 2.0 + 1e-9, "{outcome:?}");
    assert!(steps[first_failed]["why"].is_string() && outcome.report["rampup"]["limited_by"].is_string());
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
