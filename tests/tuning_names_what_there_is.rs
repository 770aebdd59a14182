//! tuning.md names settings and metrics that exist.

use longwire::metrics::{Counter, Gauge, Histogram};
use longwire::settings::{ROWS, row};

const PAGE: &str = include_str!("../tuning.md");

/// What stands between backticks, without what an operator adds to it.
fn names() -> impl Iterator<Item = &'static str> {
    PAGE.split('`').skip(1).step_by(2)
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
