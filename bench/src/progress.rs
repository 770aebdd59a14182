//! How a run is going, on stderr: a bar on a terminal, else a line each few seconds. Knows no socket and no workload.
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two pictures of the bar.
const FRAME: Duration = Duration::from_millis(200);
/// Time between two lines, where there is no terminal; runs shorter than this say nothing.
const LINE: Duration = Duration::from_secs(5);
/// Steps of the bar.
const STEPS: u64 = 1000;

/// Which part of a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    SettingUp,
    WarmingUp,
    Measuring,
    Draining,
    Closing,
}

/// A run at a glance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance {
    pub(crate) stage: Stage,
    pub(crate) connected: u64,
    pub(crate) connections: u64,
    /// Messages a second, in the last whole moment.
    pub(crate) sent: f64,
    pub(crate) delivered: f64,
    /// Milliseconds, in the last whole moment that had any.
    pub(crate) p99: Option<f64>,
    /// Error answers and failed connections so far.
    pub(crate) errors: u64,
    /// How much of the stage is done, 0 to 1, and how long the rest takes, where that is known.
    pub(crate) share: f64,
    pub(crate) left: Option<Duration>,
}

/// What shows it.
pub(crate) struct Progress {
    shape: Shape,
    next: Instant,
}

enum Shape {
    Quiet,
    Bar(ProgressBar),
    Lines,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::SettingUp => "setting up",
            Self::WarmingUp => "warming up",
            Self::Measuring => "measuring",
            Self::Draining => "draining",
            Self::Closing => "closing",
        }
    }
}

impl Progress {
    /// Begins to show a run, unless it is to be quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        let now = Instant::now();
        if quiet {
            return Self { shape: Shape::Quiet, next: now };
        }
        if !std::io::stderr().is_terminal() {
            return Self { shape: Shape::Lines, next: now + LINE };
        }
        let bar = ProgressBar::new(STEPS);
        // Two lines: one would be cut on a narrow terminal.
        if let Ok(style) = ProgressStyle::with_template("{prefix:>10} {wide_bar}\n{wide_msg}") {
            bar.set_style(style);
        }
        Self { shape: Shape::Bar(bar), next: now }
    }

    /// Shows the run if it is time to.
    pub(crate) fn show(&mut self, glance: impl FnOnce() -> Glance) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        match &self.shape {
            Shape::Quiet => {}
            Shape::Bar(bar) => {
                let glance = glance();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1
                bar.set_position((glance.share * STEPS as f64) as u64);
                bar.set_prefix(glance.stage.name());
                bar.set_message(glance.to_string());
                self.next = now + FRAME;
            }
            Shape::Lines => {
                let glance = glance();
                eprintln!("{}: {glance}", glance.stage.name());
                self.next = now + LINE;
            }
        }
    }

    /// Says something in between.
    pub(crate) fn say(&self, what: &str) {
        match &self.shape {
            Shape::Bar(bar) => bar.suspend(|| eprintln!("{what}")),
            Shape::Quiet | Shape::Lines => eprintln!("{what}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

impl fmt::Display for Glance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} connected", self.connected, self.connections)?;
        if matches!(self.stage, Stage::WarmingUp | Stage::Measuring) {
            write!(f, ", out {:.0}/s, in {:.0}/s", self.sent, self.delivered)?;
        }
        if let Some(p99) = self.p99 {
            write!(f, ", p99 {p99:.3} ms")?;
        }
        write!(f, ", {} errors", self.errors)?;
        self.left.map_or(Ok(()), |left| write!(f, ", {} s left", left.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLANCE: Glance = Glance {
        stage: Stage::Measuring,
        connected: 998,
        connections: 1000,
        sent: 5000.4,
        delivered: 4999.0,
        p99: Some(0.2134),
        errors: 2,
        share: 0.5,
        left: Some(Duration::from_secs(8)),
    };

    #[test]
    fn a_line_says_what_is_known() {
        assert_eq!(
            GLANCE.to_string(),
            "998 of 1000 connected, out 5000/s, in 4999/s, p99 0.213 ms, 2 errors, 8 s left"
        );
        let setup = Glance { stage: Stage::SettingUp, p99: None, left: None, errors: 0, ..GLANCE };
        assert_eq!(setup.to_string(), "998 of 1000 connected, 0 errors");
    }

    #[test]
    fn nothing_is_worked_out_while_nothing_is_to_be_shown() {
        let mut quiet = Progress::new(true);
        quiet.show(|| GLANCE);
        let mut lines = Progress { shape: Shape::Lines, next: Instant::now() + LINE };
        lines.show(|| unreachable!("a short run says nothing"));
    }
}
