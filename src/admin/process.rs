//! What Linux knows of this process, from /proc. Knows nothing of the server.

use std::fs;

/// USER_HZ, which Linux fixes at 100 for user space.
const TICKS: f64 = 100.0;

/// Levels of the process; 0 for what cannot be read.
#[derive(Debug, Default, Clone)]
pub(super) struct Process {
    /// Resident memory (bytes).
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// CPU time (s).
    pub cpu_seconds: f64,
}

impl Process {
    /// The present levels.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
        let open_fds = fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64);
        Self { resident_bytes: kib * 1024, open_fds, cpu_seconds: cpu_seconds().unwrap_or(0.0) }
    }
}

/// Fields 14 and 15 of /proc/self/stat, counted behind the command's name, which may hold anything.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}
