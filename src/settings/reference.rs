//! The table as pages for people: the reference in Markdown and a settings file to start from. Knows no values but the defaults.

use super::table::{ROWS, Row};
use std::fmt::Write;

const INTRODUCTION: &str = "# Settings

<!-- Generated from the table in src/settings/table.rs by `longwire genconfig --markdown`; a test holds it current. -->

A setting is taken from its flag, else from its variable, else from the settings file, else it has its default.
The file is TOML; `--config FILE` or `LONGWIRE_CONFIG` names it, `longwire genconfig > longwire.toml` writes one to
start from, and `longwire checkconfig` checks what a server would be started with. An unknown key in the file and an
unknown `LONGWIRE_*` variable refuse the start, so that a typing error is not a silent default. (Kubernetes adds such
variables for a service called longwire: set `enableServiceLinks: false`.)

Sizes are bytes, or whole `KiB`, `MiB`, `GiB`; durations carry a unit (`50us`, `250ms`, `25s`, `24h`); lists are
arrays in TOML and comma-separated elsewhere. A `-` stands for no default.
";

/// `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_string();
    let mut section = "";
    for row in ROWS {
        if row.section() != section {
            section = row.section();
            let _ = write!(page, "\n## {section}\n");
        }
        let _ = write!(page, "\n### `{}`\n\n{}\n\n{}\n", row.key, row.help.trim(), facts(row));
    }
    page
}

fn facts(row: &Row) -> String {
    let default = if row.default.is_empty() { "-".to_string() } else { format!("`{}`", row.default) };
    let mut line = format!("- {}; default {default}", row.kind);
    if let Some((low, high)) = row.range {
        let _ = write!(line, "; from `{low}` to `{high}`");
    }
    let alias = row.alias.filter(|alias| *alias != row.flag());
    let alias = alias.map_or_else(String::new, |alias| format!("`--{alias}`, "));
    let _ = write!(line, "\n- {alias}`--{}`, `{}`", row.flag(), row.variable());
    line
}

/// A settings file with every default, commented out.
pub fn toml() -> String {
    let mut file = format!(
        "# Longwire {} settings. Every line is a default: uncomment what you change.\n\
         # Flags and LONGWIRE_* variables come before this file.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut section = "";
    for row in ROWS {
        if row.section() != section {
            section = row.section();
            let _ = write!(file, "\n[{section}]\n");
        }
        let _ = write!(file, "# {}\n#{} = {}\n", row.help.trim(), row.name(), literal(row));
    }
    file
}

fn literal(row: &Row) -> String {
    match row.kind {
        "list" => "[]".into(),
        _ if row.bare && !row.default.is_empty() => row.default.into(),
        _ => format!("\"{}\"", row.default),
    }
}
