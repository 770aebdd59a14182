//! The folder that `--out` names: what is written there, and that nothing there is lost. Knows no workload.
use super::chart::latency;
use super::{Report, hgrm, hlog, html, summary};
use anyhow::{Context, ensure};
use clap::Args;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Where to write what a run leaves.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OutArgs {
    /// Write report.html, summary.json, latency.svg, heat.svg, latency.hgrm, lag.hgrm and latency.hlog to this folder
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) out: Option<PathBuf>,
    /// Take the place of the report that the folder holds
    #[arg(long, global = true)]
    pub(crate) force: bool,
}

/// The page of a run, and of a comparison.
const PAGE: &str = "report.html";
pub(super) const COMPARISON: [&str; 2] = ["compare.html", "compare.json"];
const VERSUS: [&str; 2] = ["versus.md", "versus.json"];
const LATENCY_PICTURE: &str = "latency.svg";
const HEAT_PICTURE: &str = "heat.svg";
const CURVES: [&str; 2] = ["latency.hgrm", "lag.hgrm"];
const LOG: &str = "latency.hlog";

/// Everything that a report may consist of.
const ALL: [&str; 11] = [
    PAGE,
    summary::NAME,
    LATENCY_PICTURE,
    HEAT_PICTURE,
    CURVES[0],
    CURVES[1],
    LOG,
    COMPARISON[0],
    COMPARISON[1],
    VERSUS[0],
    VERSUS[1],
];

/// A folder for one report.
#[derive(Debug)]
pub(crate) struct Out(PathBuf);

impl OutArgs {
    /// These, or what they leave open.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { out: self.out.or(other.out), force: self.force || other.force }
    }

    /// Makes the folder, if one was asked for. Refuses one that holds a report already, so that a run of an hour does not fail at
    /// its end; with `--force` what it holds goes.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Out>> {
        let Some(folder) = &self.out else { return Ok(None) };
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("making {shown}"))?;
        let there: Vec<&str> = ALL.into_iter().filter(|name| folder.join(name).exists()).collect();
        ensure!(
            there.is_empty() || self.force,
            "{shown} holds a report already ({}): choose another folder, or --force",
            there.join(", ")
        );
        for name in there {
            let path = folder.join(name);
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(Some(Out(folder.clone())))
    }
}

impl Out {
    /// Writes one file.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.0.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    }

    /// Writes a comparison of servers: its tables, and all that was measured.
    pub(crate) fn write_versus(&self, markdown: &str, json: &str) -> anyhow::Result<()> {
        self.put(VERSUS[0], markdown)?;
        self.put(VERSUS[1], json)
    }

    /// Writes a run's files; those that nothing was recorded for are left out.
    pub(crate) fn write(&self, report: &Report) -> anyhow::Result<()> {
        let course = &report.course;
        self.put(summary::NAME, summary::text(report)?)?;
        self.put(PAGE, html::run(report))?;
        let pictures =
            [(LATENCY_PICTURE, latency::by_percentile(course)), (HEAT_PICTURE, latency::over_time(course))];
        for (name, plot) in pictures {
            if let Some(mut plot) = plot {
                plot.title = format!("{}: {}", report.scenario, plot.title.to_lowercase());
                self.put(name, plot.standalone())?;
            }
        }
        let curves = [(&course.latency, course.latency_centre), (&course.lag, course.lag_centre)];
        for (name, (curve, centre)) in CURVES.into_iter().zip(curves) {
            if !curve.is_empty() {
                self.put(name, hgrm::text(curve, centre))?;
            }
        }
        if !course.slices.is_empty() {
            let started = Duration::try_from_secs_f64(report.started).unwrap_or_default();
            let setup = course.moments.first().map_or(0.0, |first| -first.at.min(0.0));
            let started = SystemTime::UNIX_EPOCH + started;
            let zero = started + Duration::try_from_secs_f64(setup).unwrap_or_default();
            self.put(LOG, hlog::bytes(&course.slices, started, zero)?)?;
        }
        Ok(())
    }
}
