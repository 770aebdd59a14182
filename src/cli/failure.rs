//! What a command that failed says: `error:`, what is wrong, and what to do next. Knows no command.

use crate::settings::SettingsError;
use std::fmt;

/// A failed command.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    what: String,
    next: Option<String>,
}

impl Failure {
    /// The arguments or settings are wrong: exit code 2.
    pub(super) fn usage(what: impl fmt::Display, next: &str) -> Self {
        Self { code: 2, what: what.to_string(), next: Some(next.into()) }
    }

    /// It could not be done: exit code 1. `what` says what to do next where that is known.
    pub(super) fn failed(what: impl fmt::Display) -> Self {
        Self { code: 1, what: what.to_string(), next: None }
    }

    /// Adds what to do next.
    pub(super) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// The process's exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error, "`longwire serve --help` and docs/configuration.md list every setting")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}
