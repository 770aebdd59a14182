//! The checklist: every knob judged, as text for people and as JSON for machines. Knows neither files nor what a knob means.

use super::apply::{Applied, Outcome};
use super::facts::list;
use super::finding::{Finding, Verdict};
use super::goal::grouped;
use super::knobs::{Group, KNOBS, Knob, Machine};
use super::{Facts, Goal};
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use std::fmt::Write;

/// A knob and how it stands.
#[derive(Debug)]
pub struct Row {
    /// The knob.
    pub knob: &'static Knob,
    /// How it stands.
    pub finding: Finding,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { verdict, now, want, why, fixes } = &self.finding;
        let mut row = serializer.serialize_struct("Row", 7)?;
        row.serialize_field("name", self.knob.name)?;
        row.serialize_field("group", self.knob.group.title())?;
        row.serialize_field("verdict", verdict)?;
        row.serialize_field("now", now)?;
        row.serialize_field("want", want)?;
        row.serialize_field("why", why)?;
        row.serialize_field("fixes", fixes)?;
        row.end()
    }
}

/// The whole checklist.
#[derive(Serialize, Debug)]
pub struct Page {
    connections: u64,
    cores: String,
    listen: String,
    counts: Counts,
    /// Every knob, in the order of the table.
    pub knobs: Vec<Row>,
    /// What was changed, when that was asked for.
    pub applied: Vec<Applied>,
}

#[derive(Serialize, Debug)]
struct Counts {
    ok: usize,
    change: usize,
    consider: usize,
    cannot_tell: usize,
}

impl Page {
    /// Judges every knob.
    pub fn new(facts: &Facts, goal: &Goal) -> Self {
        let machine = Machine::new(facts, goal);
        let knobs: Vec<Row> = KNOBS.iter().map(|knob| Row { knob, finding: knob.judge(&machine) }).collect();
        let count = |verdict| knobs.iter().filter(|row| row.finding.verdict == verdict).count();
        let counts = Counts {
            ok: count(Verdict::Ok),
            change: count(Verdict::Change),
            consider: count(Verdict::Consider),
            cannot_tell: count(Verdict::CannotTell),
        };
        let (connections, listen) =
            (goal.connections, goal.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        Self { connections, cores: list(&machine.cores), listen, counts, knobs, applied: Vec::new() }
    }

    /// How many knobs are to be changed.
    pub fn changes(&self) -> usize {
        self.counts.change
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let connections = grouped(self.connections);
        let mut text =
            format!("longwire tune: {connections} connections on cores {}, {}\n", self.cores, self.listen);
        let mut group: Option<Group> = None;
        for row in &self.knobs {
            if group != Some(row.knob.group) {
                group = Some(row.knob.group);
                let _ = write!(text, "\n{}\n", row.knob.group.title());
            }
            line(&mut text, row);
        }
        let Counts { ok, change, consider, cannot_tell } = self.counts;
        let _ = writeln!(
            text,
            "\n{ok} ok, {change} to change, {consider} to consider, {cannot_tell} that this place does not tell.\n\
             tuning.md explains each. As root, `longwire tune --apply` makes the changes that take effect at once;\n\
             `--keep` makes them stay, `--dry-run` only says what it would do."
        );
        text
    }
}

fn line(text: &mut String, row: &Row) {
    let Finding { verdict, now, want, why, fixes } = &row.finding;
    let word = match verdict {
        Verdict::Ok => "ok",
        Verdict::Change => "CHANGE",
        Verdict::Consider => "consider",
        Verdict::CannotTell => "?",
    };
    let _ = write!(text, "  {word:<9} {}", row.knob.name);
    if !now.is_empty() {
        let _ = write!(text, " = {now}");
    }
    if !want.is_empty() {
        let _ = write!(text, " -> {want}");
    }
    let _ = writeln!(text, ": {why}");
    for fix in fixes {
        let _ = writeln!(text, "              {}", fix.command());
        if let Some((file, line)) = fix.stays() {
            let _ = writeln!(text, "              to stay, in {file}: {line}");
        }
    }
}

/// What was changed, for a terminal.
pub fn applied_text(applied: &[Applied]) -> String {
    let mut text = String::new();
    for Applied { knob, fix, before, outcome } in applied {
        let was = before.as_ref().map(|before| format!("   (was {before})")).unwrap_or_default();
        let command = fix.command();
        let _ = match outcome {
            Outcome::Set => writeln!(text, "set        {knob}: {command}{was}"),
            Outcome::WouldSet => writeln!(text, "would set  {knob}: {command}{was}"),
            Outcome::Refused(why) => writeln!(text, "refused    {knob}: {command}: {why}"),
            Outcome::Waits("by hand") => writeln!(text, "by hand    {knob}: {command}"),
            Outcome::Waits(when) => writeln!(text, "at {when:<8}{knob}: {command}"),
        };
    }
    if text.is_empty() {
        text.push_str("nothing is to be changed\n");
    }
    text
}
