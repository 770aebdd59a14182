//! HdrHistogram's interval log, version 2: one histogram for each moment, in nanoseconds. Knows no run.
use super::data::Slice;
use anyhow::{Context, anyhow};
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::time::{Duration, SystemTime};

/// The log's maxima are read by people: in milliseconds, as other writers of such logs have them.
const NS_PER_MS: f64 = 1e6;

/// The file's bytes. Slices count from `zero`; `started` is when the run began.
pub(super) fn bytes(slices: &[Slice], started: SystemTime, zero: SystemTime) -> anyhow::Result<Vec<u8>> {
    let (mut log, mut serializer, mut deserializer) =
        (Vec::new(), V2DeflateSerializer::new(), Deserializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.2]")
        .add_comment("[Values are latencies in nanoseconds, counted when a message arrived; before and after the measured time too]")
        .with_start_time(started)
        .with_base_time(zero)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut log, &mut serializer)?;
    writer.write_comment(
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
    )?;
    for slice in slices {
        let histogram = deserializer.deserialize::<u64, _>(&mut &slice.encoded[..]);
        let histogram = histogram.map_err(|error| anyhow!("{error:?}")).context("a moment's histogram")?;
        let (at, length) =
            (Duration::try_from_secs_f64(slice.at.max(0.0))?, Duration::try_from_secs_f64(slice.seconds)?);
        writer.write_histogram(&histogram, at, length, None).map_err(|error| anyhow!("{error:?}"))?;
    }
    Ok(log)
}
