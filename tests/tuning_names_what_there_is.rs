//! tuning.md names settings, metrics and knobs that exist, and every knob that `longwire tune` judges.

use longwire::metrics::{Counter, Gauge, Histogram};
use longwire::settings::{ROWS, row};
use longwire::tune::{Group, KNOBS};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../tuning.md");

/// What stands between backticks, without what an operator adds to it.
fn names() -> impl Iterator<Item = &'static str> {
    PAGE.split('`').skip(1).step_by(2)
}

/// What the tables of a section explain: the names in backticks in the first column, where that says "what".
fn explained(section: &str) -> Vec<&'static str> {
    let (_, after) =
        PAGE.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let text = after.split("\n## ").next().unwrap_or(after);
    let tables = text.split("\n\n").map(str::trim).filter(|part| part.starts_with("| what | bounds |"));
    let cells = tables.flat_map(str::lines).filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_setting_is_in_the_table() {
    let is_setting = |name: &&str| {
        let section = name.split_once('.').map(|(section, _)| section);
        section.is_some_and(|section| ROWS.iter().any(|row| row.section() == section))
    };
    let settings: Vec<&str> = names().filter(is_setting).collect();
    assert!(settings.len() > 5, "{settings:?}");
    settings.iter().for_each(|key| assert!(row(key).is_some(), "{key} is no setting"));
}

#[test]
fn every_metric_is_in_the_registry() {
    let counters = Counter::ALL.iter().map(|counter| format!("{}_total", counter.family()));
    let gauges = Gauge::ALL.iter().map(|gauge| gauge.family().to_string());
    let histograms = Histogram::ALL.iter().map(|histogram| histogram.family().to_string());
    let known: Vec<String> = counters.chain(gauges).chain(histograms).collect();
    let named: Vec<&str> = names().filter(|name| name.starts_with("longwire_")).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        let family = name.split('{').next().unwrap_or(name);
        assert!(known.iter().any(|known| known == family), "{name} is no metric");
    }
}

#[test]
fn every_knob_is_explained_in_its_section_and_no_other_is() {
    let mut groups: Vec<Group> = KNOBS.iter().map(|knob| knob.group).collect();
    groups.dedup();
    for group in groups {
        let explained = explained(group.title());
        let twice = explained.iter().collect::<BTreeSet<_>>().len() != explained.len();
        assert!(!twice, "{}: something is explained twice: {explained:?}", group.title());
        let is_knob = |name: &&&str| row(name).is_none() && !name.starts_with("--");
        let explained: BTreeSet<&str> = explained.iter().filter(is_knob).copied().collect();
        let knobs: BTreeSet<&str> =
            KNOBS.iter().filter(|knob| knob.group == group).map(|knob| knob.name).collect();
        assert_eq!(explained, knobs, "tuning.md and src/tune/knobs differ in: {}", group.title());
    }
}
