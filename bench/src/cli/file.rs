//! Scenario files: a workload and its options in TOML, read as if they had been typed. Knows no option by name.
//!
//! `scenario` names the workload; every other key is one of its options without the dashes. What is typed behind the
//! file wins: an option given there takes the place of the file's, and of those in the file that exclude it.
use anyhow::{Context, bail, ensure};
use clap::Command;
use clap::error::{ContextKind, ContextValue};
use std::collections::BTreeSet;
use std::path::Path;
use toml::{Table, Value};

/// A file's content.
#[derive(Debug)]
pub(super) struct ScenarioFile {
    scenario: String,
    keys: Table,
}

impl ScenarioFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut keys: Table = text.parse().map_err(|error: toml::de::Error| anyhow::anyhow!("{error}"))?;
        match keys.remove("scenario") {
            Some(Value::String(scenario)) => Ok(Self { scenario, keys }),
            Some(_) => bail!("`scenario` is the name of a workload, in quotes"),
            None => bail!("`scenario` is missing: which workload is it?"),
        }
    }

    /// The command line that the file and what was `typed` behind it stand for, without the program's name.
    pub(super) fn words(&self, cli: &Command, typed: &[String]) -> anyhow::Result<Vec<String>> {
        let workload = cli.find_subcommand(&self.scenario);
        let workload = workload.with_context(|| format!("`{}` is no workload", self.scenario))?;
        ensure!(self.scenario != "run", "a scenario file cannot run another one");
        let replaced = replaced(workload, typed);
        let mut words = vec![self.scenario.clone()];
        for (key, value) in self.keys.iter().filter(|(key, _)| !replaced.contains(key.as_str())) {
            append(&mut words, key, value)?;
        }
        words.extend_from_slice(typed);
        Ok(words)
    }

    /// What the parser found wrong, in the file's words where it is the file's fault.
    pub(super) fn explain(&self, error: &clap::Error) -> anyhow::Error {
        let said = error.render().to_string();
        let first = said.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let first = first.trim_start_matches("error: ").to_owned();
        let option = error.get(ContextKind::InvalidArg).and_then(|value| match value {
            ContextValue::String(option) => Some(option.as_str()),
            ContextValue::Strings(options) => options.first().map(String::as_str),
            _ => None,
        });
        let key = option
            .and_then(|option| option.trim_start_matches("--").split([' ', '=']).next())
            .filter(|key| self.keys.contains_key(*key));
        let Some(key) = key else { return anyhow::anyhow!("{first}") };
        let scenario = &self.scenario;
        if error.kind() == clap::error::ErrorKind::UnknownArgument {
            let similar = error.get(ContextKind::SuggestedArg).map(|similar| similar.to_string());
            let similar = similar.map_or_else(String::new, |similar| {
                format!("; there is `{}`", similar.trim_start_matches("--"))
            });
            return anyhow::anyhow!("`{key}` is no option of {scenario}{similar}");
        }
        anyhow::anyhow!("`{key}`: {first}")
    }
}

/// The keys that what was typed takes the place of.
fn replaced<'a>(workload: &'a Command, typed: &[String]) -> BTreeSet<&'a str> {
    let mut keys = BTreeSet::new();
    for word in typed.iter().filter_map(|word| word.strip_prefix("--")) {
        let name = word.split('=').next().unwrap_or(word);
        let Some(option) = workload.get_arguments().find(|option| option.get_long() == Some(name)) else {
            continue;
        };
        keys.extend(option.get_long());
        // Either side may have said that they exclude each other.
        for other in workload.get_arguments() {
            let excludes = |one, two: &clap::Arg| {
                workload.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == two.get_id())
            };
            if excludes(option, other) || excludes(other, option) {
                keys.extend(other.get_long());
            }
        }
    }
    keys
}

/// `key = value` as it would be typed. One word each, so that a value may begin with a dash.
fn append(words: &mut Vec<String>, key: &str, value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Boolean(true) => words.push(format!("--{key}")),
        Value::Boolean(false) => {}
        Value::String(text) => words.push(format!("--{key}={text}")),
        Value::Integer(number) => words.push(format!("--{key}={number}")),
        Value::Float(number) => words.push(format!("--{key}={number}")),
        Value::Array(values) => {
            ensure!(!values.iter().any(Value::is_array), "`{key}` is a list of lists");
            values.iter().try_for_each(|value| append(words, key, value))?;
        }
        Value::Table(_) => bail!("`{key}` is a table; options are plain keys"),
        Value::Datetime(_) => bail!("`{key}` is a date; durations are text, as in \"10m\""),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, parse_file};
    use super::*;
    use clap::CommandFactory;
    use std::path::PathBuf;

    fn words(text: &str, typed: &[&str]) -> anyhow::Result<Vec<String>> {
        let mut cli = Cli::command();
        cli.build();
        let typed: Vec<String> = typed.iter().map(|&word| word.to_owned()).collect();
        ScenarioFile::parse(text)?.words(&cli, &typed)
    }

    #[test]
    fn keys_become_options() {
        let text =
            "scenario = 'pairs'\nurl = 'ws://h/'\nusers = 10\nids = true\nspin = false\nsource = ['a', 'b']";
        let mut found = words(text, &[]).unwrap();
        assert_eq!(found.remove(0), "pairs");
        found.sort();
        assert_eq!(found, ["--ids", "--source=a", "--source=b", "--url=ws://h/", "--users=10"]);
    }

    #[test]
    fn what_is_typed_wins_over_the_file_and_over_what_excludes_it() {
        let text = "scenario = 'pairs'\nspawn = 'server'\nrate = 5.5\nusers = 10\nsource = ['a', 'b']";
        assert_eq!(
            words(text, &["--url", "ws://h/", "--in-flight=2", "--source", "c"]).unwrap(),
            ["pairs", "--users=10", "--url", "ws://h/", "--in-flight=2", "--source", "c"]
        );
    }

    #[test]
    fn a_files_mistake_is_told_in_its_own_words() {
        let said = |text: &str| match ScenarioFile::parse(text) {
            Err(error) => format!("{error:#}"),
            Ok(file) => {
                let path = std::env::temp_dir().join(format!("scenario-{}.toml", fastrand::u64(..)));
                std::fs::write(&path, text).unwrap();
                let error = parse_file(&path, &[]).err().map(|error| format!("{error:#}"));
                std::fs::remove_file(&path).unwrap();
                error.unwrap_or_else(|| format!("nothing, of {file:?}"))
            }
        };
        for (text, part) in [
            ("users = 2", "`scenario` is missing"),
            ("scenario = 'dance'", "`dance` is no workload"),
            ("scenario = 'run'", "cannot run another"),
            ("scenario = 'pairs'\nusres = 2", "`usres` is no option of pairs; there is `users`"),
            ("scenario = 'pairs'\nusers = 'many'", "`users`: invalid value 'many'"),
            ("scenario = 'pairs'\nduration = 10", "`duration`: invalid value '10'"),
            ("scenario = 'pairs'\n[load]\nrate = 1", "`load` is a table"),
            ("scenario = 'pairs'\nurl = 'ws://h/'\nspawn = 'x'", "cannot be used with"),
            ("scenario = ", "TOML parse error"),
        ] {
            let said = said(text);
            assert!(said.contains(part), "{text:?}: {said}");
        }
    }

    #[test]
    fn every_committed_file_parses() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                parse_file(&path, &[]).unwrap();
                files += 1;
            }
        }
        assert!(files >= 8, "{files} files");
    }
}
