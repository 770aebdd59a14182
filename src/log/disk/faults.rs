//! Has the segments of a test's log fail. Knows no log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Write,
    Sync,
}

static FAILING: Mutex<Vec<(PathBuf, Fault)>> = Mutex::new(Vec::new());

/// What fails of the segments in `folder` from now on.
pub(crate) fn fail(folder: &Path, fault: Option<Fault>) {
    let mut failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
    failing.retain(|(other, _)| other != folder);
    failing.extend(fault.map(|fault| (folder.into(), fault)));
}

pub(super) fn check(segment: &Path, call: Fault) -> io::Result<()> {
    let failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
    let fails = |(folder, fault): &(PathBuf, Fault)| segment.starts_with(folder) && *fault == call;
    if failing.iter().any(fails) { Err(io::Error::other("a test says so")) } else { Ok(()) }
}
