//! Makes what was set stay over a reboot, in files of this program's own. Knows no knob and sets nothing.

use super::apply::{Applied, Outcome};
use super::facts::Facts;
use std::collections::BTreeMap;
use std::fs;
use std::io;

const HEADER: &str = "# Written by `longwire tune --apply --keep`; it keeps the lines it finds here and replaces those it sets.";

/// Adds every change that was made to its file below the root, and returns the files' paths.
///
/// # Errors
/// When a file or its folder cannot be written.
pub fn keep(facts: &Facts, applied: &[Applied]) -> io::Result<Vec<String>> {
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for change in applied.iter().filter(|change| change.outcome == Outcome::Set) {
        if let Some((file, line)) = change.fix.stays() {
            files.entry(file).or_default().push(line);
        }
    }
    for (file, lines) in &files {
        let path = facts.path(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Written beside and renamed, so that a full disk leaves the old one.
        let beside = path.with_extension("conf.new");
        fs::write(&beside, merged(&facts.text(file).unwrap_or_default(), lines))?;
        fs::rename(&beside, &path)?;
    }
    Ok(files.into_keys().map(String::from).collect())
}

/// The old text with the new lines in it, those for the same thing replaced.
fn merged(old: &str, new: &[String]) -> String {
    let replaced = |line: &&str| new.iter().any(|new| about(new) == about(line));
    let mut lines: Vec<&str> = old.lines().filter(|line| *line != HEADER && !replaced(line)).collect();
    lines.insert(0, HEADER);
    lines.extend(new.iter().map(String::as_str));
    lines.join("\n") + "\n"
}

/// What a line sets: a sysctl's key, or a tmpfiles.d(5) line's type and path.
fn about(line: &str) -> Vec<&str> {
    match line.split_once('=') {
        Some((key, _)) => vec![key.trim()],
        None => line.split_whitespace().take(2).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_same_thing_are_replaced_and_others_kept() {
        let old = "# mine\nnet.core.somaxconn=128\nvm.swappiness = 5\n";
        let once = merged(old, &["net.core.somaxconn = 65535".into()]);
        assert_eq!(once, format!("{HEADER}\n# mine\nvm.swappiness = 5\nnet.core.somaxconn = 65535\n"));
        assert_eq!(merged(&once, &["net.core.somaxconn = 65535".into()]), once);
        let old = "w /sys/a - - - - 1\n";
        assert_eq!(merged(old, &["w /sys/a - - - - 2".into()]), format!("{HEADER}\nw /sys/a - - - - 2\n"));
    }
}
