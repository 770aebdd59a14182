//! `summary.json`: a report written whole, and read back to be compared. Knows no other file.
use super::{FORMAT, Report};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::Path;

/// The file's name.
pub(super) const NAME: &str = "summary.json";

/// The file's text.
pub(super) fn text(report: &Report) -> anyhow::Result<String> {
    Ok(serde_json::to_string(report)? + "\n")
}

/// Reads a report from its file, or from the folder that it is in.
pub(super) fn read(path: &Path) -> anyhow::Result<Report> {
    let file = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    parse(&text).with_context(|| format!("{} is no report of longwire-bench", file.display()))
}

fn parse(text: &str) -> anyhow::Result<Report> {
    let value: Value = serde_json::from_str(text)?;
    let format = value["format"].as_u64().context("it does not say its `format`")?;
    ensure!(
        format <= u64::from(FORMAT),
        "it is in format {format}, written by a newer version; this one reads up to {FORMAT}"
    );
    Ok(serde_json::from_value(value)?)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for report in sample::all() {
            let read = parse(&text(&report).unwrap()).unwrap();
            let known = |report: &Report| {
                (report.scenario.clone(), report.latency_us, report.faults.clone(), report.failures.clone())
            };
            assert_eq!(known(&read), known(&report));
            assert_eq!(read.course.memory, report.course.memory);
            assert_eq!(read.course.moments.len(), report.course.moments.len());
            assert_eq!(read.course.latency.len(), report.course.latency.len());
        }
    }

    #[test]
    fn what_is_not_known_is_read_back_as_such() {
        let mut report = sample::idle();
        report.idle.as_mut().unwrap().setup_cpu_us_per_connection = None;
        let read = parse(&text(&report).unwrap()).unwrap();
        assert_eq!(read.idle.unwrap().setup_cpu_us_per_connection, None);
        // Fields that came later.
        let mut old = serde_json::to_value(sample::run()).unwrap();
        let fields = old.as_object_mut().unwrap();
        assert!(["heartbeats", "in_time"].iter().all(|field| fields.remove(*field).is_some()));
        let read = parse(&old.to_string()).unwrap();
        assert_eq!((read.heartbeats, read.in_time), (0, None));
    }

    #[test]
    fn unknown_fields_are_passed_over_and_newer_formats_refused() {
        let mut value = serde_json::to_value(sample::run()).unwrap();
        value["later"] = Value::from(1);
        assert!(parse(&value.to_string()).is_ok());
        value["format"] = Value::from(FORMAT + 1);
        assert!(format!("{:#}", parse(&value.to_string()).unwrap_err()).contains("newer version"));
        assert!(format!("{:#}", parse("{}").unwrap_err()).contains("`format`"));
    }
}
