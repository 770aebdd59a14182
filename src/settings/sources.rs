//! From flags, variables and a file to checked settings, or to one error that names everything wrong.
//! Knows neither the process's environment nor any path: both are handed in.

use super::table::{ROWS, Row, Settings};
use std::fmt;

/// Names the settings file, besides `--config`.
pub const CONFIG_VARIABLE: &str = "LONGWIRE_CONFIG";
/// `LONGWIRE_*` variables that are no settings; the second names the binary for the test scripts.
const OTHER_VARIABLES: [&str; 2] = [CONFIG_VARIABLE, "LONGWIRE_BIN"];
/// How alike two names must be (0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.75;

/// Where values come from; the first that has a key decides, in the order of the fields.
#[derive(Clone, Default, Debug)]
pub struct Sources {
    /// Keys and values from the command line.
    pub flags: Vec<(String, String)>,
    /// All variables of the environment; those that do not start with `LONGWIRE_` are passed over.
    pub variables: Vec<(String, String)>,
    /// The settings file: its name, for messages, and its text.
    pub file: Option<(String, String)>,
}

/// Everything that is wrong with the settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    /// One sentence for each problem.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n       "))
    }
}

impl std::error::Error for SettingsError {}

impl Sources {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// [`SettingsError`] with every unknown key, bad value and contradiction.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        let mut loading = Loading { settings: Settings::default(), problems: Vec::new() };
        if let Some((name, text)) = &self.file {
            loading.file(name, text);
        }
        for (name, value) in self.variables.iter().filter(|(name, _)| name.starts_with("LONGWIRE_")) {
            loading.variable(name, value);
        }
        for (key, value) in &self.flags {
            match super::row(key) {
                Some(row) => loading.set(row, value, &shown_flag(row)),
                None => loading.unknown(key, "", ROWS.iter().map(|row| row.key.to_string())),
            }
        }
        let Loading { settings, mut problems } = loading;
        // A contradiction between values that were not even read would only confuse.
        if problems.is_empty() {
            problems = settings.contradictions();
        }
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError(problems)) }
    }
}

struct Loading {
    settings: Settings,
    problems: Vec<String>,
}

impl Loading {
    fn set(&mut self, row: &Row, value: &str, source: &str) {
        if let Err(why) = (row.set)(&mut self.settings, value) {
            self.problems.push(format!("{source}: `{value}` {why}"));
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        match ROWS.iter().find(|row| row.variable() == name) {
            Some(row) => self.set(row, value, name),
            None if OTHER_VARIABLES.contains(&name) => {}
            None => self.unknown(name, " in the environment", ROWS.iter().map(Row::variable)),
        }
    }

    fn file(&mut self, name: &str, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => return self.problems.push(format!("{name} is not valid TOML: {error}")),
        };
        for (section, value) in &table {
            let Some(entries) = value.as_table() else {
                self.unknown(section, &format!(" in {name}"), ROWS.iter().map(|row| row.key.to_string()));
                continue;
            };
            for (key, value) in entries {
                self.entry(name, &format!("{section}.{key}"), value);
            }
        }
    }

    fn entry(&mut self, name: &str, key: &str, value: &toml::Value) {
        let Some(row) = super::row(key) else {
            return self.unknown(key, &format!(" in {name}"), ROWS.iter().map(|row| row.key.to_string()));
        };
        match plain(value) {
            Some(text) => self.set(row, &text, &format!("{key} in {name}")),
            None => self.problems.push(format!("{key} in {name}: the value must be of kind {}", row.kind)),
        }
    }

    fn unknown(&mut self, name: &str, place: &str, known: impl Iterator<Item = String>) {
        let nearest = known
            .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness >= ALIKE);
        let hint = nearest.map_or_else(
            || "; `longwire genconfig` prints all there are".to_string(),
            |(_, candidate)| format!("; did you mean {candidate}?"),
        );
        self.problems.push(format!("no setting is called {name}{place}{hint}"));
    }
}

/// A TOML value as the text a flag would have; lists become comma-separated.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(plain).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

fn shown_flag(row: &Row) -> String {
    format!("--{}", row.alias.map_or_else(|| row.flag(), String::from))
}
