//! The workloads, and what all of them share: threads, phases, the measured window.
mod acks;
pub(crate) mod broadcast;
pub(crate) mod churn;
pub(crate) mod common;
pub(crate) mod crowd;
mod drive;
pub(crate) mod echo;
mod entry;
pub(crate) mod groups;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod pairs;
pub(crate) mod rampup;
pub(crate) mod recover;
mod rest;
pub(crate) mod rooms;
pub(crate) mod storm;
pub(crate) mod versus;
mod watch;

use crate::control::{Control, Window};
use crate::interrupt;
use crate::ledger::Faults;
use crate::procstat::Usage;
use crate::report::Course;
use crate::sync::RawSync;
use crate::target::{Target, TargetArgs};
use std::collections::BTreeMap;

/// What was counted in the measured window, and what went wrong in the whole run.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// When the run began, in seconds since 1970.
    pub(crate) started: f64,
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) deliveries: u64,
    pub(crate) acks: u64,
    /// Bytes of all frames, headers included.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Messages that left compressed, and that came so.
    pub(crate) packed: u64,
    pub(crate) unpacked: u64,
    pub(crate) server: Option<Usage>,
    pub(crate) generator: Option<Usage>,
    /// System calls that entered a ring for each delivery, by the server's own count.
    pub(crate) ring_enters_per_delivery: Option<f64>,
    /// The server's CPU seconds until everyone was signed in.
    pub(crate) setup_cpu: Option<f64>,
    /// The server's resident bytes before the first connection.
    pub(crate) rss_before: Option<u64>,
    /// How many connections there were, and the resident bytes, about when half of them were open.
    pub(crate) rss_half: Option<(u64, u64)>,
    /// Connections that were open at the end of the load, or of the set-up if there was no load.
    pub(crate) connected: u64,
    /// A signal ended it before its time.
    pub(crate) interrupted: bool,
    /// Why it could not be what was asked for.
    pub(crate) called_off: Option<String>,
    /// A generator thread went on without sleeping, as it was told to.
    pub(crate) spun: bool,
    pub(crate) failed: u64,
    /// Failed connections by kind.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) errors: u64,
    /// Heartbeats answered in the whole run.
    pub(crate) heartbeats: u64,
    /// Those of the measured time.
    pub(crate) heartbeats_measured: u64,
    /// TLS handshakes in the whole run, and those of them that resumed a session.
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    /// How often a connection was told to come later, and did.
    pub(crate) told_to_wait: u64,
    /// What the disk itself took, where that was looked at.
    pub(crate) raw_sync: Option<RawSync>,
    pub(crate) notes: Vec<String>,
    pub(crate) faults: Faults,
    pub(crate) course: Course,
}

/// A run: what all its threads are given.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) target: &'a Target,
    pub(crate) args: &'a TargetArgs,
    pub(crate) control: &'a Control,
    /// Connections of each thread.
    pub(crate) shares: &'a [usize],
    /// No WebSocket: each so many bytes are a message.
    pub(crate) tcp: Option<usize>,
}

/// Divides `count` things, in units, among threads.
pub(crate) fn shares(count: usize, unit: usize, threads: usize) -> Vec<usize> {
    let units = count / unit;
    (0..threads).map(|thread| (units * (thread + 1) / threads - units * thread / threads) * unit).collect()
}

/// Finds or starts the server; from here on an interrupt ends the load and not the program.
pub(crate) fn open(args: &TargetArgs) -> anyhow::Result<Target> {
    interrupt::listen();
    args.open()
}

/// Opens the server and a run of `shares` on it.
pub(crate) fn with_run<T>(
    args: &TargetArgs,
    window: Window,
    shares: &[usize],
    work: impl FnOnce(&Run<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    run_on(&open(args)?, args, window, shares, work)
}

/// A run on a server that is there already.
pub(crate) fn run_on<T>(
    target: &Target,
    args: &TargetArgs,
    window: Window,
    shares: &[usize],
    work: impl FnOnce(&Run<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let control = Control::new(window, shares.len(), args.dialect()?)?.with_tokens(args.tokens.open()?);
    work(&Run { target, args, control: &control, shares, tcp: None })
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn shares_are_whole_units_and_add_up() {
        assert_eq!(shares(1000, 2, 3), [332, 334, 334]);
        assert_eq!(shares(5, 1, 2), [2, 3]);
        assert_eq!(shares(1000, 1, 1), [1000]);
    }
}
