//! How it stands with what is stored: the levels of one server's store. Knows no store.

use std::time::Duration;

/// What the store's threads have done and what waits for them, read when scraped.
#[derive(Clone, Debug, Default)]
pub struct StoreLevels {
    /// Why nothing is stored now, if nothing is.
    pub refuses: Option<String>,
    /// Commits written to the log.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Writes and syncs of the log and of `SEQS` that failed.
    pub failures: u64,
    /// Commits that took longer than `store.watchdog`.
    pub slow: u64,
    /// How long the commit under way has taken.
    pub stuck: Duration,
    /// Upper bounds of commit times (µs), and how many commits took up to that long; the last number has no bound.
    pub times: (Vec<u64>, Vec<u64>),
    /// All commit times together.
    pub time: Duration,
    /// Batches of records that wait for the log's thread.
    pub queued: u64,
    /// Committed records that the view has not applied yet.
    pub lag: u64,
    /// Records that the start read from the log into the view.
    pub replayed: u64,
    /// Room on the disk when it was last looked at (bytes).
    pub free: u64,
    /// Reads of the view.
    pub reads: u64,
    /// Those of them that failed.
    pub failed_reads: u64,
    /// Trims that conversations' homes were asked for.
    pub trims: u64,
    /// Messages that retention took.
    pub trimmed_messages: u64,
    /// What they took (bytes).
    pub trimmed_bytes: u64,
    /// How often all tables of messages were written anew to be rid of them.
    pub sweeps: u64,
    /// Reads that wait for a reader.
    pub waiting_reads: u64,
}
