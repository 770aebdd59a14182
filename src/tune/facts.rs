//! What the kernel tells in files: reading them below a root, and taking them apart. Knows no knob and writes nothing.

use super::goal::single_blanks;
use std::fs;
use std::path::{Path, PathBuf};

/// No list goes further: the last port; cores end at 8191.
const LISTED_MAX: usize = 65_535;

/// Reads `proc/...` and `sys/...` below a root, so that a test can bring a tree of its own.
#[derive(Clone, Debug)]
pub struct Facts {
    root: PathBuf,
    process: String,
}

impl Facts {
    /// Facts below `root` about one process: `self`, or a process id.
    pub fn new(root: impl Into<PathBuf>, process: impl Into<String>) -> Self {
        Self { root: root.into(), process: process.into() }
    }

    /// Where a file of the machine is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text without the space around it; none if it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_string())
    }

    /// The file of the process that is looked at.
    pub fn of_process(&self, file: &str) -> Option<String> {
        self.text(&format!("proc/{}/{file}", self.process))
    }

    /// A sysctl, as `sysctl KEY` shows it, with single blanks.
    pub fn sysctl(&self, key: &str) -> Option<String> {
        self.text(&sysctl_path(key)).map(|text| single_blanks(&text))
    }

    /// A sysctl that is one number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.sysctl(key)?.parse().ok()
    }

    /// A sysctl that is several numbers.
    pub fn numbers(&self, key: &str) -> Option<Vec<u64>> {
        self.sysctl(key)?.split(' ').map(|word| word.parse().ok()).collect()
    }

    /// The names in a folder, sorted; empty if it cannot be read.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is such a file or folder.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The machine's memory (bytes).
    pub fn memory(&self) -> Option<u64> {
        let text = self.text("proc/meminfo")?;
        after(&text, "MemTotal:")?.first()?.parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// The hard limit of the process's `limits` line that begins so; `u64::MAX` for none.
    pub fn hard_limit(&self, line: &str) -> Option<u64> {
        let text = self.of_process("limits")?;
        match *after(&text, line)?.get(1)? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    }

    /// The cores that the process may use.
    pub fn allowed_cores(&self) -> Option<Vec<usize>> {
        let text = self.of_process("status")?;
        Some(cores(after(&text, "Cpus_allowed_list:")?.first()?))
    }

    /// The parameters that the kernel was started with.
    pub fn boot_parameter(&self, name: &str) -> Option<String> {
        let line = self.text("proc/cmdline")?;
        let words = line.split_whitespace().filter_map(|word| word.split_once('='));
        words.rev().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
    }

    /// A number in the two-line tables of `/proc/net/netstat`.
    pub fn netstat(&self, name: &str) -> Option<u64> {
        let text = self.text("proc/net/netstat")?;
        let lines: Vec<&str> = text.lines().collect();
        lines.chunks_exact(2).find_map(|pair| {
            let at = pair[0].split_whitespace().position(|word| word == name)?;
            pair[1].split_whitespace().nth(at)?.parse().ok()
        })
    }

    /// One column of `/proc/net/softnet_stat`, added up over all cores: 0 packets, 1 dropped, 2 out of budget.
    pub fn softnet(&self, column: usize) -> Option<u64> {
        let text = self.text("proc/net/softnet_stat")?;
        let number = |line: &str| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok();
        text.lines().map(number).sum()
    }

    /// Network cards: devices with hardware, or a hypervisor's idea of it, behind them.
    pub fn cards(&self) -> Vec<String> {
        let has_device = |name: &String| self.exists(&format!("sys/class/net/{name}/device"));
        self.names("sys/class/net").into_iter().filter(has_device).collect()
    }

    /// The root, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// The file of a sysctl, from the root.
pub(super) fn sysctl_path(key: &str) -> String {
    format!("proc/sys/{}", key.replace('.', "/"))
}

/// The words after the start of the first line that has it.
pub(super) fn after<'a>(text: &'a str, start: &str) -> Option<Vec<&'a str>> {
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.split_whitespace().collect())
}

/// Cores, or ports, from a list like `0-3,6`; what is no number is left out.
pub(super) fn cores(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let last: usize = last.split(':').next()?.parse().ok()?;
        Some(first.parse().ok()?..=last.min(LISTED_MAX))
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// A list of cores as the kernel writes it: `0-3,6`.
pub(super) fn list(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(",")
}

/// The hexadecimal mask that the kernel takes for a set of cores: 32 bits a group.
pub(super) fn mask(cores: &[usize]) -> String {
    let groups = cores.iter().max().map_or(1, |last| last / 32 + 1);
    let group =
        |g: usize| cores.iter().filter(|core| *core / 32 == g).fold(0_u32, |m, core| m | 1 << (core % 32));
    let groups: Vec<String> = (0..groups).rev().map(|g| format!("{:08x}", group(g))).collect();
    let mask = groups.join(",");
    let short = mask.trim_start_matches(['0', ',']);
    if short.is_empty() { "0".into() } else { short.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_masks_of_cores() {
        assert_eq!(cores("0-2,5\n"), [0, 1, 2, 5]);
        assert!(cores("").is_empty());
        assert!(cores("(null)").is_empty());
        assert_eq!(list(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(mask(&[]), "0");
        assert_eq!(mask(&[0, 1]), "3");
        assert_eq!(mask(&[32]), "1,00000000");
        assert_eq!(mask(&[4, 33, 64]), "1,00000002,00000010");
    }
}
