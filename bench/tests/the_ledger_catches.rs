//! What a server does wrong with single messages is counted, each under its name, in every workload; the exit status is 1.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, Outcome, Server, at_once, run};

/// Deliveries that go wrong: by their number, the faulty ones of a run that has some hundred.
const AT: [usize; 5] = [20, 31, 47, 64, 90];

/// How a workload is run so that many messages are under way, and none of them is the last.
const WORKLOADS: [(Kind, &[&str]); 8] = [
    (Kind::Tutorial, &["pairs", "--users=4", "--dialect=tutorial"]),
    (Kind::Longwire, &["pairs", "--users=4", "--dialect=longwire", "--ids", "--threads=2"]),
    (Kind::Longwire, &["group", "--members=4", "--dialect=longwire", "--ids", "--threads=2"]),
    (
        Kind::Longwire,
        &[
            "groups",
            "--groups=2",
            "--members=4",
            "--groups-per-user=1",
            "--senders=2",
            "--dialect=longwire",
            "--ids",
        ],
    ),
    (Kind::Proto, &["pairs", "--users=4", "--encoding=proto", "--ids", "--threads=2"]),
    (Kind::Proto, &["group", "--members=4", "--encoding=proto", "--ids"]),
    (
        Kind::Longwire,
        &[
            "mixed",
            "--users=8",
            "--conversations=2",
            "--groups=1",
            "--members=4",
            "--sizes=64:1",
            "--dialect=longwire",
        ],
    ),
    (Kind::Echo, &["echo", "--connections=4", "--threads=2"]),
];

/// Those that ask for acks, and the one that sends to itself.
const ACKED: std::ops::Range<usize> = 1..6;
const ECHO: usize = 7;

/// A few hundred messages, open loop. What is lost is waited for as long as `--drain` says.
fn load(workload: &[&str], server: &Server) -> Outcome {
    let open = ["--rate=500", "--warmup=100ms", "--duration=500ms", "--drain=1s", "--url", server.url()];
    run(&[workload, &open].concat())
}

fn expect(outcome: &Outcome, what: &str, faults: &[(&str, u64)]) {
    let mut expected: Vec<(String, u64)> = faults.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    expected.sort();
    let mut found = outcome.faults();
    found.sort();
    assert_eq!(found, expected, "{what}: {outcome:?}");
    assert_eq!(outcome.code, i32::from(!expected.is_empty()), "{what}: {outcome:?}");
}

/// Runs each workload against a server with this fault.
fn caught(fault: Fault, faults: &[(&str, u64)]) {
    at_once(&WORKLOADS, |(kind, workload)| {
        let server = Server::of(*kind).wrong(fault, &AT).start();
        expect(&load(workload, &server), &format!("{fault:?} in {workload:?}"), faults);
    });
}

#[test]
fn nothing_where_nothing_is_wrong() {
    caught(Fault::None, &[]);
}

#[test]
fn a_lost_message() {
    caught(Fault::Drop, &[("lost", 5)]);
}

#[test]
fn a_doubled_message() {
    caught(Fault::Duplicate, &[("duplicated", 5)]);
}

/// It comes when everything has come that was waited for.
#[test]
fn a_last_message_doubled_later() {
    at_once(&[WORKLOADS[0], WORKLOADS[4], WORKLOADS[ECHO]], |(kind, workload)| {
        // One delivery for each of the 500 messages a second, warm-up included.
        let server = Server::of(*kind).wrong(Fault::DuplicateLate, &[299]).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("duplicated", 1)]);
    });
}

#[test]
fn swapped_messages() {
    caught(Fault::Swap, &[("reordered", 5)]);
}

#[test]
fn a_message_for_someone_else() {
    at_once(&WORKLOADS, |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::Misdeliver, &AT).start();
        // Another member has it once already: nothing tells one member's copy from another's.
        let found = if workload[0] == "group" { "duplicated" } else { "misdelivered" };
        expect(&load(workload, &server), &format!("{workload:?}"), &[("lost", 5), (found, 5)]);
    });
}

/// Also to connections that take no part in any conversation.
#[test]
fn a_copy_for_someone_else() {
    let beside: [(Kind, &[&str]); 3] = [
        (Kind::Tutorial, &["pairs", "--users=2", "--idle=4", "--dialect=tutorial"]),
        (Kind::Longwire, &["churn", "--users=2", "--connections=20", "--churn-rate=1", "--dialect=longwire"]),
        (Kind::Longwire, &["storm", "--users=2", "--connections=4", "--rounds=1", "--dialect=longwire"]),
    ];
    let leaked = |(kind, workload): &(Kind, &[&str]), warmup: &str| {
        let server = Server::of(*kind).wrong(Fault::Leak, &AT).start();
        let load = ["--rate=500", warmup, "--duration=500ms", "--drain=1s", "--url", server.url()];
        let found = if workload[0] == "group" { "duplicated" } else { "misdelivered" };
        expect(&run(&[workload, &load as &[&str]].concat()), &format!("{workload:?}"), &[(found, 5)]);
    };
    at_once(&WORKLOADS, |workload| leaked(workload, "--warmup=100ms"));
    // Before the first of them goes.
    at_once(&beside, |workload| leaked(workload, "--warmup=1s"));
}

/// Not in echo: there it is what is asked for.
#[test]
fn a_message_back_to_its_sender() {
    at_once(&WORKLOADS[..ECHO], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::EchoBack, &AT).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("misdelivered", 5)]);
    });
}

/// What came cannot be said to be what was sent; what was sent has not come.
#[test]
fn a_changed_payload() {
    // A digit of the count. (That any other byte would do as well is tested where marks are read.)
    caught(Fault::Corrupt(23), &[("corrupted", 5), ("lost", 5)]);
    // A byte behind the mark.
    at_once(&[WORKLOADS[0], WORKLOADS[4]], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::Corrupt(60), &AT).start();
        expect(&load(workload, &server), "filler", &[("corrupted", 5), ("lost", 5)]);
    });
}

#[test]
fn a_message_of_another_run() {
    at_once(&WORKLOADS, |(kind, workload)| {
        let server = Server::of(*kind).start();
        expect(&load(workload, &server), "the run before", &[]);
        server.next_run(Fault::Foreign, &AT);
        expect(&load(workload, &server), &format!("{workload:?}"), &[("misdelivered", 5)]);
    });
}

#[test]
fn a_missing_ack() {
    at_once(&WORKLOADS[ACKED], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::KeepAck, &AT).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("unacked", 5)]);
    });
}

/// A second ack of one message is not the first of another.
#[test]
fn a_missing_ack_beside_a_doubled_one() {
    at_once(&WORKLOADS[ACKED], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::AckAnother, &AT).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("duplicated", 5), ("unacked", 5)]);
    });
}

#[test]
fn a_doubled_ack() {
    at_once(&WORKLOADS[ACKED], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::AckTwice, &AT).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("duplicated", 5)]);
    });
}

/// It is no ack for who gets it, and none for who does not.
#[test]
fn an_ack_for_someone_else() {
    at_once(&WORKLOADS[ACKED], |(kind, workload)| {
        let server = Server::of(*kind).wrong(Fault::AckElsewhere, &AT).start();
        expect(&load(workload, &server), &format!("{workload:?}"), &[("misdelivered", 5), ("unacked", 5)]);
    });
}
