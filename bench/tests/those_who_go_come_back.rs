//! A storm brings everyone back, a churn goes on at its rate, and those who chat beside either lose nothing.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Server, run, serve};

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
            let each = |name: &str| -> Vec<u64> {
                rounds.iter().map(|round| round[name].as_u64().unwrap()).collect()
            };
            let (went, back) = (each("went"), each("back"));
            assert!(went == back && went[0] == 40 && went[1] > 0, "{outcome:?}");
            // Who is not back yet when the second storm comes does not go in it, and is counted.
            assert_eq!(each("away"), [0, 40 - went[1]], "{outcome:?}");
            assert!(rounds.iter().all(|round| round["seconds"].as_f64().unwrap() > 0.0), "{outcome:?}");
            assert_eq!(outcome.count("storm.back_us.count"), back.iter().sum::<u64>(), "{outcome:?}");
            assert!(outcome.count("latency_us.count") > 200, "{outcome:?}");
        }
    }
}

#[test]
fn comers_and_goers_keep_their_rate() {
    let url = serve(Kind::Longwire, Fault::None);
    let churn = ["churn", "--connections=40", "--churn-rate=100", "--users=4", "--rate=200", "--idle=5"];
    let more = ["--dialect=longwire", "--warmup=100ms", "--duration=1s", "--drain=30s", "--threads=2"];
    let outcome = run(&[&churn as &[&str], &more, &["--url", &url]].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    // Each tick of the measured second was answered by a sign-in, sooner or later.
    assert!((98..=102).contains(&outcome.count("churn.came")), "{outcome:?}");
    assert_eq!(outcome.count("churn.sign_in_us.count"), outcome.count("churn.came"));
    assert!(outcome.count("churn.went") > 0, "{outcome:?}");
    assert!(outcome.count("latency_us.count") > 100, "{outcome:?}");
}

/// Ten of them never get back in: the storm is not over, and says why.
#[test]
fn who_is_not_let_in_again_is_counted() {
    let server = Server::of(Kind::Longwire).doors(4 + 40 + 30).start();
    let storm = ["storm", "--connections=40", "--rounds=1", "--users=4", "--rate=200", "--dialect=longwire"];
    let more = ["--warmup=50ms", "--duration=1s", "--drain=500ms", "--threads=2", "--url", server.url()];
    let outcome = run(&[&storm as &[&str], &more].concat());
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let round = &outcome.report["storm"]["rounds"][0];
    assert_eq!((round["went"].as_u64(), round["back"].as_u64()), (Some(40), Some(30)), "{outcome:?}");
    assert!(round["seconds"].is_null(), "it is not over: {outcome:?}");
    assert!(outcome.count("storm.failed_attempts.no upgrade") >= 10, "{outcome:?}");
    assert!(outcome.faults().is_empty(), "those beside it lost nothing: {outcome:?}");
}

/// One of them when it connects first, and twenty that come back: they wait as they are told, and then they are in.
#[test]
fn who_is_told_to_come_later_does() {
    let server = Server::of(Kind::Longwire).busy(42..43).busy(50..70).start();
    let storm = ["storm", "--connections=40", "--rounds=1", "--users=4", "--rate=200", "--dialect=longwire"];
    let more = ["--warmup=50ms", "--duration=2s", "--drain=30s", "--threads=2", "--url", server.url()];
    let outcome = run(&[&storm as &[&str], &more].concat());
    assert_eq!((outcome.code, outcome.count("told_to_wait")), (0, 21), "{outcome:?}");
    let round = &outcome.report["storm"]["rounds"][0];
    assert_eq!((round["went"].as_u64(), round["back"].as_u64()), (Some(40), Some(40)), "{outcome:?}");
    assert!(round["seconds"].as_f64().unwrap() >= 1.0, "they waited: {outcome:?}");
    assert_eq!(outcome.report["storm"]["failed_attempts"].as_object().unwrap().len(), 0, "{outcome:?}");
}

/// Each has four conversations, of which it is told once, page by page; whoever comes back holds all of them.
#[test]
fn who_comes_back_asks_for_what_it_missed() {
    let url = serve(Kind::Longwire, Fault::None);
    let storm =
        ["storm", "--connections=20", "--rounds=2", "--sync", "--conversations=4", "--users=4", "--rate=200"];
    let more =
        ["--dialect=longwire", "--warmup=50ms", "--duration=2s", "--drain=30s", "--threads=2", "--url", &url];
    let outcome = run(&[&storm as &[&str], &more].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let rounds = outcome.report["storm"]["rounds"].as_array().unwrap();
    assert!(rounds.iter().all(|round| round["back"] == round["went"]), "{outcome:?}");
    // In the second one nobody asks, and in the first there is nothing to be told.
    assert_eq!((rounds[0]["synced"].as_u64(), rounds[1]["synced"].as_u64()), (Some(0), None), "{outcome:?}");
    assert!(outcome.faults().is_empty(), "{outcome:?}");
}

/// Ten get in, all others are turned away.
#[test]
fn churn_counts_who_is_turned_away() {
    let server = Server::of(Kind::Longwire).doors(4 + 20 + 10).start();
    let churn =
        ["churn", "--connections=20", "--churn-rate=40", "--users=4", "--rate=200", "--dialect=longwire"];
    let more = ["--warmup=50ms", "--duration=1s", "--drain=500ms", "--url", server.url()];
    let outcome = run(&[&churn as &[&str], &more].concat());
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.count("failures.no upgrade") > 0, "{outcome:?}");
    assert!(outcome.count("churn.came") <= 10, "{outcome:?}");
    assert!(outcome.faults().is_empty(), "those beside it lost nothing: {outcome:?}");
}

/// From then on nobody's sign-in is answered: no connection fails, and still it is no success, nor a quick one.
#[test]
fn churn_counts_who_never_came() {
    let server = Server::of(Kind::Longwire).silent_after(4 + 20).start();
    let churn = ["churn", "--connections=20", "--churn-rate=40", "--users=4", "--rate=200"];
    let more = ["--warmup=50ms", "--duration=1s", "--drain=500ms", "--url", server.url()];
    let outcome = run(&[&churn as &[&str], &more].concat());
    assert_eq!((outcome.code, outcome.count("failed_connections")), (1, 0), "{outcome:?}");
    assert_eq!(outcome.count("churn.came"), 0, "{outcome:?}");
    // Some were meant for the warm-up.
    let (never, measured) = (outcome.count("churn.never_came"), outcome.count("churn.sign_in_us.count"));
    assert!((41..=43).contains(&never) && (39..=41).contains(&measured), "{outcome:?}");
    // The first of them waited for a second, and as long as what was on its way was waited for.
    assert!(outcome.number("churn.sign_in_us.max") >= 1_300_000.0, "{outcome:?}");
    assert!(outcome.faults().is_empty(), "those beside it lost nothing: {outcome:?}");
}

/// Others come in the place of those who were cut.
#[test]
fn churn_cuts_off_who_is_not_let_go() {
    let server = Server::of(Kind::Longwire).keeping_closes().start();
    let churn = ["churn", "--connections=20", "--churn-rate=10", "--users=4", "--rate=200"];
    let more = ["--warmup=50ms", "--duration=1s", "--drain=60s", "--url", server.url()];
    let outcome = run(&[&churn as &[&str], &more].concat());
    assert_eq!((outcome.code, outcome.count("churn.never_came")), (1, 0), "{outcome:?}");
    assert!(outcome.count("churn.unclosed") >= 9 && outcome.count("churn.came") >= 9, "{outcome:?}");
}
