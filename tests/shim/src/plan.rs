//! What is to fail. Knows no file but the plan.
//!
//! One rule a line, of which the first that fits is taken: `write` or `sync`; a part of the file's path; `EIO`, `ENOSPC`, `short` (half of
//! a write is done), or `lie` (a sync says that it was done); then, if they are given, how many that fit are let through first,
//! and how many then fail (all).

use libc::c_int;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Sync,
}

/// What happens instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Error(c_int),
    Short,
    Lie,
}

pub(crate) struct Plan {
    file: Option<PathBuf>,
    text: String,
    /// How often each line fitted since it was written.
    fitted: Vec<u64>,
}

impl Plan {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, text: String::new(), fitted: Vec::new() }
    }

    /// What happens to a call on a file now.
    pub(crate) fn act(&mut self, call: Call, path: &Path) -> Option<Act> {
        let text = std::fs::read_to_string(self.file.as_ref()?).unwrap_or_default();
        if text != self.text {
            self.fitted = vec![0; text.lines().count()];
            self.text = text;
        }
        for (line, fitted) in self.text.lines().zip(&mut self.fitted) {
            let mut words = line.split_whitespace();
            let of = if call == Call::Write { "write" } else { "sync" };
            let fits = words.next() == Some(of) && words.next().is_some_and(|part| is_part(part, path));
            if !fits {
                continue;
            }
            let act = match words.next() {
                Some("EIO") => Act::Error(libc::EIO),
                Some("ENOSPC") => Act::Error(libc::ENOSPC),
                Some("short") => Act::Short,
                Some("lie") => Act::Lie,
                _ => continue,
            };
            let mut number = |otherwise| words.next().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
            let (skipped, times): (u64, u64) = (number(0), number(u64::MAX));
            *fitted += 1;
            if *fitted > skipped && *fitted - skipped <= times {
                return Some(act);
            }
        }
        None
    }
}

fn is_part(part: &str, path: &Path) -> bool {
    path.to_string_lossy().contains(part)
}
