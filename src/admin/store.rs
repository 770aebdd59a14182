//! The store's levels as families of `/metrics`. Knows no store.

use crate::metrics::StoreLevels;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt::Error;
use std::time::Duration;

/// Appends them to the page.
pub(super) fn encode(levels: &StoreLevels, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let counters = [
        ("longwire_store_commits", "Commits written to the log", levels.commits),
        ("longwire_store_records", "Records committed", levels.records),
        ("longwire_store_bytes", "Bytes written to the log", levels.bytes),
        ("longwire_store_syncs", "Syncs of the log", levels.syncs),
        ("longwire_store_failures", "Writes and syncs of the log and of SEQS that failed", levels.failures),
        ("longwire_store_slow_commits", "Commits that took longer than store.watchdog", levels.slow),
        (
            "longwire_store_replayed",
            "Records that the start read from the log into the view",
            levels.replayed,
        ),
        ("longwire_store_reads", "Reads of the view", levels.reads),
        (
            "longwire_store_failed_reads",
            "Reads of the view that failed: who asked was told to try later",
            levels.failed_reads,
        ),
        (
            "longwire_store_trims",
            "Trims of conversations that keep more than retention lets them",
            levels.trims,
        ),
        ("longwire_store_trimmed_messages", "Messages that retention took", levels.trimmed_messages),
        ("longwire_store_trimmed_bytes", "Bytes of messages that retention took", levels.trimmed_bytes),
        (
            "longwire_store_sweeps",
            "How often the tables of messages were written anew to be rid of those",
            levels.sweeps,
        ),
    ];
    for (name, help, value) in counters {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    let gauges = [
        (
            "longwire_store_refusing",
            "Whether nothing is stored now: no room, or the disk fails",
            u64::from(levels.refuses.is_some()),
        ),
        ("longwire_store_queued_batches", "Batches of records that wait for the log", levels.queued),
        (
            "longwire_store_view_lag_records",
            "Committed records that the view has not applied yet",
            levels.lag,
        ),
        ("longwire_store_waiting_reads", "Reads that wait for a reader", levels.waiting_reads),
        ("longwire_store_free_bytes", "Room on the disk when it was last looked at", levels.free),
    ];
    for (name, help, value) in gauges {
        encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
    }
    let help = "How long the commit under way has taken";
    encoder
        .encode_descriptor("longwire_store_commit_under_way_seconds", help, None, MetricType::Gauge)?
        .encode_gauge(&levels.stuck.as_secs_f64())?;
    commit_times(levels, encoder)
}

fn commit_times(levels: &StoreLevels, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let (bounds, counts) = &levels.times;
    let bounds = bounds.iter().map(|micros| Duration::from_micros(*micros).as_secs_f64());
    let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts.iter().copied()).collect();
    let count = counts.iter().sum();
    encoder
        .encode_descriptor(
            "longwire_store_commit_seconds",
            "How long writing and syncing a commit took",
            None,
            MetricType::Histogram,
        )?
        .encode_histogram::<NoLabelSet>(levels.time.as_secs_f64(), count, &buckets, None)
}
