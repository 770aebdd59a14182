//! The table as command-line flags. Knows no command and no other source of values.

use super::table::{ROWS, Row};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

/// One flag for each row that `wanted` picks. Rows without a short flag show in `--help` but not in `-h`.
pub fn args(wanted: impl Fn(&Row) -> bool) -> impl Iterator<Item = Arg> {
    ROWS.iter().filter(move |row| wanted(row)).map(arg)
}

/// The keys and values that the command line gave.
pub fn given(matches: &ArgMatches) -> Vec<(String, String)> {
    let given = |row: &&Row| matches!(matches.try_contains_id(row.key), Ok(true));
    ROWS.iter()
        .filter(given)
        .filter(|row| matches.value_source(row.key) == Some(ValueSource::CommandLine))
        .filter_map(|row| {
            let values: Vec<&str> = matches.get_many::<String>(row.key)?.map(String::as_str).collect();
            Some((row.key.to_string(), values.join(",")))
        })
        .collect()
}

fn arg(row: &'static Row) -> Arg {
    let action = if many(row) { ArgAction::Append } else { ArgAction::Set };
    let arg = Arg::new(row.key).action(action).help(help(row)).value_name(placeholder(row));
    let arg = match row.alias {
        Some(alias) => arg.long(alias).alias(row.flag()).help_heading("Main settings"),
        None => arg.long(row.flag()).hide_short_help(true).help_heading("All other settings"),
    };
    if row.kind == "yes or no" {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    }
}

/// Whether a flag of several values may stand for them together, or be given for each.
fn many(row: &Row) -> bool {
    ["addresses", "list", "networks"].contains(&row.kind)
}

fn help(row: &Row) -> String {
    let help = row.help.trim().trim_end_matches('.');
    let more = if many(row) { "; may be given several times" } else { "" };
    if row.default.is_empty() || row.bare && row.default == "false" {
        format!("{help}{more}")
    } else {
        format!("{help}{more} [default: {}]", row.default)
    }
}

fn placeholder(row: &Row) -> &'static str {
    match row.kind {
        "address or `off`" | "addresses" => "ADDR",
        "path" if row.key.ends_with("_dir") => "DIR",
        "path" => "FILE",
        "duration" => "TIME",
        "size" => "SIZE",
        "number" | "number or nothing" => "N",
        "list" | "networks" => "LIST",
        "cores" => "CORES",
        "file mode" => "MODE",
        "yes or no" => "BOOL",
        _ => "NAME",
    }
}
