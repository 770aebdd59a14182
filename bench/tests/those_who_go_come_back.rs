//! A storm brings everyone back, a churn goes on at its rate, and those who chat beside either lose nothing.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, run, serve};

#[test]
fn everyone_cut_or_closed_is_back_in_each_round() {
    for (kind, dialect) in [(Kind::Longwire, "--dialect=longwire"), (Kind::Tutorial, "--dialect=tutorial")] {
        for how in ["--how=cut", "--how=close"] {
            let url = serve(kind, Fault::None);
            let arguments = [
                "storm",
                "--connections=40",
                "--rounds=2",
                "--users=4",
                "--rate=200",
                "--warmup=50ms",
                "--duration=2s",
                "--threads=2",
                how,
                dialect,
                "--url",
                &url,
            ];
            let outcome = run(&arguments);
            assert_eq!(outcome.code, 0, "{outcome:?}");
            let rounds = outcome.report["storm"]["rounds"].as_array().unwrap();
            let back: Vec<_> = rounds.iter().map(|round| (&round["went"], &round["back"])).collect();
            assert_eq!(format!("{back:?}"), "[(Number(40), Number(40)), (Number(40), Number(40))]");
            assert!(rounds.iter().all(|round| round["seconds"].as_f64().unwrap() > 0.0), "{outcome:?}");
            assert_eq!(outcome.count("storm.back_us.count"), 80, "{outcome:?}");
            assert!(outcome.count("latency_us.count") > 200, "{outcome:?}");
        }
    }
}

#[test]
fn comers_and_goers_keep_their_rate() {
    let url = serve(Kind::Longwire, Fault::None);
    let churn = ["churn", "--connections=40", "--churn-rate=100", "--users=4", "--rate=200", "--idle=5"];
    let more = ["--dialect=longwire", "--warmup=100ms", "--duration=1s", "--threads=2", "--url", &url];
    let outcome = run(&[&churn as &[&str], &more].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    // Each tick of the measured second was answered by a sign-in, sooner or later.
    assert!((98..=102).contains(&outcome.count("churn.came")), "{outcome:?}");
    assert_eq!(outcome.count("churn.sign_in_us.count"), outcome.count("churn.came"));
    assert!(outcome.count("churn.went") >= 90, "{outcome:?}");
    assert!(outcome.count("latency_us.count") > 100, "{outcome:?}");
}
