//! What a reader has to know before any number: clean or not, late or not, whole or not. Knows a report, not how it is shown.
use super::{Report, Saturated};
use std::fmt::Write;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    Good,
    Warning,
    Bad,
}

/// One line at a report's top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) grade: Grade,
    pub(super) word: &'static str,
    pub(super) text: String,
}

/// All that is to be said, the worst first.
pub(super) fn verdicts(report: &Report) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut say = |grade, word, text| verdicts.push(Verdict { grade, word, text });
    if let Some(why) = &report.called_off {
        say(Grade::Bad, "CALLED OFF", why.clone());
    }
    let parts = report.parts.wrong();
    if !parts.is_empty() {
        say(Grade::Bad, "WRONG", parts.join(", "));
    }
    if report.heartbeat.as_ref().is_some_and(|heartbeat| !heartbeat.clean()) {
        say(Grade::Bad, "WRONG", "heartbeats came less evenly than they may".to_owned());
    }
    let wrong = wrong(report);
    if !wrong.is_empty() {
        say(Grade::Bad, "WRONG", wrong);
    }
    if let Some(why) = &report.late {
        say(Grade::Bad, "LATE", why.clone());
    } else if matches!(report.saturated, Saturated::Generator | Saturated::Both) {
        let text = "the generator's cores were full: throughput is the generator's, and latencies are partly its own";
        say(Grade::Bad, "SATURATED", text.to_owned());
    }
    // What never began cannot have gone well.
    let nothing = report.interrupted && !report.measured();
    if report.interrupted {
        let text = if nothing {
            "ended before anything was measured"
        } else {
            "ended before its time; what it has is here"
        };
        say(Grade::Warning, "INTERRUPTED", text.to_owned());
    }
    if report.clean() && !nothing {
        let text = if report.deliveries > 0 {
            "every message arrived once, in order, where it was meant to"
        } else {
            "no connection failed"
        };
        say(Grade::Good, "CLEAN", text.to_owned());
    }
    verdicts
}

/// What went wrong, with its numbers.
fn wrong(report: &Report) -> String {
    let faults = &report.faults;
    let counts = [
        (faults.lost, "lost"),
        (faults.duplicated, "duplicated"),
        (faults.reordered, "reordered"),
        (faults.misdelivered, "misdelivered"),
        (faults.corrupted, "corrupted"),
        (faults.unacked, "unacked"),
        (report.failed_connections, "failed connections"),
        (report.server_errors, "error answers"),
    ];
    let mut text = String::new();
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{count} {what}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_clean() {
        let words = |report: &Report| verdicts(report).iter().map(|verdict| verdict.word).collect::<Vec<_>>();
        assert_eq!(words(&sample::run()), ["CLEAN"]);
        let mut early = sample::nothing();
        assert_eq!(words(&early), ["INTERRUPTED"]);
        early.course.measured = Some((1.0, 1.0));
        assert_eq!(words(&early), ["INTERRUPTED"], "in the warm-up");
        early.course.measured = Some((1.0, 2.0));
        assert_eq!(words(&early), ["INTERRUPTED", "CLEAN"]);
        early.called_off = Some("not all came".into());
        early.course.measured = None;
        assert_eq!(words(&early), ["CALLED OFF", "INTERRUPTED"]);
    }
}
