//! Sets what can be set at run time, and tells what it did, what was refused and what waits. Knows no knob.

use super::finding::{Fix, Verdict};
use super::page::Row;
use super::{Facts, goal};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// What became of one change.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has the new value.
    Set,
    /// It would be set, had this been no rehearsal.
    WouldSet,
    /// The kernel, or a lack of rights, kept it from being set: why.
    Refused(String),
    /// Someone else has to: at the server's `restart`, at the next `reboot`, or `by hand`.
    Waits(&'static str),
}

/// One change that was asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Applied {
    /// The knob.
    pub knob: &'static str,
    /// What was done, as a command.
    pub fix: Fix,
    /// The value before, where there is one file to look at.
    pub before: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Makes every change that a row with the verdict `change` asks for, or only says so if it is a rehearsal.
///
/// Nothing is created: a file that is not there refuses.
pub fn apply(facts: &Facts, rows: &[Row], rehearsal: bool) -> Vec<Applied> {
    let wanted = rows.iter().filter(|row| row.finding.verdict == Verdict::Change);
    let fixes = wanted.flat_map(|row| row.finding.fixes.iter().map(move |fix| (row.knob.name, fix)));
    fixes
        .map(|(knob, fix)| {
            let Some((paths, value)) = fix.files() else {
                let outcome = Outcome::Waits(fix.takes_effect());
                return Applied { knob, fix: fix.clone(), before: None, outcome };
            };
            let before =
                paths.first().and_then(|path| facts.text(path)).map(|text| goal::single_blanks(&text));
            let outcome = if rehearsal { Outcome::WouldSet } else { set_all(facts, &paths, value) };
            Applied { knob, fix: fix.clone(), before, outcome }
        })
        .collect()
}

fn set_all(facts: &Facts, paths: &[String], value: &str) -> Outcome {
    // Each is tried, so that what is told is what the machine has become.
    let refused: Vec<String> = paths.iter().filter_map(|path| refusal(facts, path, value)).collect();
    match (refused.len(), paths.len()) {
        (0, _) => Outcome::Set,
        (1, 1) => Outcome::Refused(refused.concat()),
        (some, all) => Outcome::Refused(format!("{some} of {all}: {}", refused.join(", "))),
    }
}

/// Sets one file; why it could not be.
fn refusal(facts: &Facts, path: &str, value: &str) -> Option<String> {
    if let Err(error) = set(&facts.path(path), value) {
        return Some(format!("/{path}: {error}"));
    }
    // The kernel may take a value and make another one of it; a mask or a choice comes back in a form of its own.
    let now = facts.text(path).map(|text| goal::single_blanks(&text)).unwrap_or_default();
    (path.starts_with("proc/sys/") && now != value).then(|| format!("/{path}: the kernel made it {now}"))
}

fn set(path: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(format!("{value}\n").as_bytes())
}
