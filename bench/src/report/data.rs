//! What a run leaves behind it, as numbers: everything that is shown, written or compared is made from this.
//!
//! Times are seconds since the load began unless a name says otherwise; latencies are microseconds. Knows no workload.
use crate::latency::Quantiles;
use serde::{Deserialize, Serialize};

/// One moment of a run; a moment is a second long, or longer in long runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// When it began; before 0 the connections are being set up.
    pub(crate) at: f64,
    /// Its length.
    pub(crate) seconds: f64,
    /// Connections signed in at its end.
    pub(crate) connected: u64,
    /// Messages in it.
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) acked: u64,
    /// Error answers and failed connections in it.
    pub(crate) errors: u64,
    /// Heartbeats that the server asked for and got in it.
    #[serde(default)]
    pub(crate) heartbeats: u64,
    /// Latencies of what arrived in it; nothing when nothing arrived.
    pub(crate) latency: Option<Quantiles>,
    /// How late the generator sent in it.
    pub(crate) lag: Option<Quantiles>,
    /// Share of one core, in percent.
    pub(crate) server_cpu: Option<f64>,
    pub(crate) generator_cpu: Option<f64>,
    /// Bytes at its end.
    pub(crate) server_rss: Option<u64>,
    pub(crate) generator_rss: u64,
    pub(crate) slab: u64,
}

/// How many latencies fell between which bounds, moment by moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Heat {
    /// Upper bounds of the rows in µs, growing; each row begins where the one before it ends.
    pub(crate) bounds: Vec<f64>,
    /// A column for each moment that has latencies: its `at`, and a count for each row.
    pub(crate) columns: Vec<(f64, Vec<u64>)>,
}

/// One point of a latency curve: this share of all messages took at most so long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct CurvePoint {
    /// 0 to 1.
    pub(crate) quantile: f64,
    pub(crate) us: f64,
    /// Messages up to here.
    pub(crate) count: u64,
}

/// What the footer of HdrHistogram's percentile files says; nobody reads a mean anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Centre {
    pub(crate) mean_us: f64,
    pub(crate) deviation_us: f64,
    pub(crate) buckets: u32,
    pub(crate) sub_buckets: u32,
}

/// The latencies of one moment as HdrHistogram's interval logs hold them.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) at: f64,
    pub(crate) seconds: f64,
    /// V2, deflated; values are nanoseconds.
    pub(crate) encoded: Vec<u8>,
}

/// Memory at one point of a run, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemoryAt {
    pub(crate) connections: u64,
    pub(crate) server_rss: Option<u64>,
    pub(crate) generator_rss: u64,
    /// `Slab` of `/proc/meminfo`: both sides' sockets, when both are on this machine.
    pub(crate) slab: u64,
}

/// Memory before, with all connections, and after they are gone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) before: MemoryAt,
    pub(crate) plateau: MemoryAt,
    pub(crate) after: MemoryAt,
}

/// What a long run is made of besides its totals.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Beginning and end of the measured window; without a load there was none.
    #[serde(default)]
    pub(crate) measured: Option<(f64, f64)>,
    pub(crate) moments: Vec<Moment>,
    pub(crate) heat: Heat,
    /// Latency by percentile, and how late the generator sent.
    pub(crate) latency: Vec<CurvePoint>,
    pub(crate) lag: Vec<CurvePoint>,
    pub(crate) memory: Option<Memory>,
    /// Counters of the server's Prometheus page: how much each grew in the measured window.
    pub(crate) server_counters: Vec<(String, f64)>,
    /// Beside the curves, as their files have it.
    #[serde(default)]
    pub(crate) latency_centre: Option<Centre>,
    #[serde(default)]
    pub(crate) lag_centre: Option<Centre>,
    /// For the interval log.
    #[serde(skip)]
    pub(crate) slices: Vec<Slice>,
}
