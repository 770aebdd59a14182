//! What it takes to compress and inflate one message that stands alone, by codec: `cargo bench -p longwire-micro --bench deflate`.
//!
//! Each iteration resets its codec, since no connection keeps a context. The sizes of what comes out are printed before each time. Times are
//! CPU time of this thread, so that other work on the machine does not count.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use longwire::frame::Frame;
use longwire::metrics::Counters;
use longwire::net::deflate::{Config, Deflater, Inflater, Window};
use longwire::net::frame::{self, Opcode};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

/// The window that a client gets that asks for none (bits).
const WINDOW: u8 = 15;
const LEVELS: [i32; 5] = [1, 2, 3, 6, 9];

/// What a chat server sends: one event, a long text, a page of history.
fn payloads() -> [(&'static str, String); 3] {
    let event = |seq: u64, text: &str| {
        format!(
            r#"{{"type":"message","from":"alice","to":"bob","message":"{text}","id":"c0ffee-{seq}","conversation":"u:alice:bob","seq":{},"prev":{},"time":{}}}"#,
            863_247_360_000 + seq * 37,
            863_247_360_000 + (seq - 1) * 37,
            1_790_000_000_000_u64 + seq * 1234,
        )
    };
    let words: Vec<_> = include_str!("../../../docs/quickstart.md").split_whitespace().collect();
    let words = words.join(" ").replace(['"', '\\'], "'");
    let prose = |from: usize, length: usize| words.chars().skip(from).take(length).collect::<String>();
    let history: Vec<_> = (1..=100).map(|n| event(n, &prose(40 * n as usize, 20))).collect();
    let mut history = format!(r#"{{"type":"history","messages":[{}]}}"#, history.join(","));
    history.truncate(16 * 1024);
    let mut short = event(1, "see you at eight, bring the maps and some bread");
    short.truncate(200);
    [("200 B", short), ("1 KiB", event(1, &prose(1000, 850))), ("16 KiB", history)]
}

/// One codec's way to compress a message into `out`.
type Way = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

fn ways(level: i32) -> [(&'static str, Way); 3] {
    let mut theirs = Compress::new_with_window_bits(Compression::new(level as u32), false, WINDOW);
    let mut direct = Deflate::new(level, false, WINDOW);
    let flags = create_comp_flags_from_zip_params(level, -i32::from(WINDOW), 0);
    let mut oxide = CompressorOxide::new(flags);
    [
        (
            "flate2 on zlib-rs",
            Box::new(move |text, out| {
                theirs.reset();
                out.clear();
                theirs.compress_vec(text, out, FlushCompress::Sync).expect("it compresses");
            }),
        ),
        (
            "zlib-rs",
            Box::new(move |text, out| {
                direct.reset();
                out.resize(text.len() + 64, 0);
                direct.compress(text, out, DeflateFlush::SyncFlush).expect("it compresses");
                out.truncate(direct.total_out() as usize);
            }),
        ),
        (
            "miniz_oxide",
            Box::new(move |text, out| {
                oxide.reset();
                out.resize(text.len() + 64, 0);
                let (_, _, length) = compress(&mut oxide, text, out, TDEFLFlush::Sync);
                out.truncate(length);
            }),
        ),
    ]
}

fn compressing(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("deflate");
    for (name, payload) in payloads() {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut out = Vec::with_capacity(2 * payload.len() + 64);
        for level in LEVELS {
            for (codec, mut way) in ways(level) {
                way(payload.as_bytes(), &mut out);
                println!("{name} ({} bytes), {codec}, level {level}: {} bytes", payload.len(), out.len() - 4);
                group.bench_function(BenchmarkId::new(format!("{codec}, level {level}"), name), |b| {
                    b.iter(|| way(black_box(payload.as_bytes()), &mut out));
                });
            }
        }
        let mut compressor = Compress::new_with_window_bits(Compression::new(6), false, WINDOW);
        group.bench_function(BenchmarkId::new("reset alone", name), |b| b.iter(|| compressor.reset()));
    }
    group.finish();
}

fn inflating(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("inflate");
    for (name, payload) in payloads() {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut packed = Vec::with_capacity(payload.len() + 64);
        ways(6)[0].1(payload.as_bytes(), &mut packed);
        let mut out = Vec::with_capacity(payload.len() + 64);
        let mut theirs = Decompress::new(false);
        group.bench_function(BenchmarkId::new("flate2 on zlib-rs", name), |b| {
            b.iter(|| {
                theirs.reset(false);
                out.clear();
                theirs
                    .decompress_vec(black_box(&packed), &mut out, FlushDecompress::Sync)
                    .expect("it inflates")
            });
        });
        let mut direct = Inflate::new(false, WINDOW);
        let mut room = vec![0; payload.len() + 64];
        group.bench_function(BenchmarkId::new("zlib-rs", name), |b| {
            b.iter(|| {
                direct.reset(false);
                direct
                    .decompress(black_box(&packed), &mut room, InflateFlush::SyncFlush)
                    .expect("it inflates")
            });
        });
        let mut oxide = InflateState::new_boxed(DataFormat::Raw);
        group.bench_function(BenchmarkId::new("miniz_oxide", name), |b| {
            b.iter(|| {
                oxide.reset(DataFormat::Raw);
                inflate(&mut oxide, black_box(&packed), &mut room, MZFlush::Sync)
            });
        });
    }
    group.finish();
}

/// The server's own way from a frame to a shared compressed one, and from a payload to checked text.
fn ours(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("longwire");
    for (name, payload) in payloads() {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut frame = Vec::new();
        frame::append(&mut frame, Opcode::Text, payload.as_bytes());
        let mut deflater = Deflater::new(Config { level: 1, min_size: 0 });
        let mut counters = Counters::default();
        group.bench_function(BenchmarkId::new("for one receiver", name), |b| {
            b.iter(|| {
                let packed = deflater.pack(&Frame::new(&frame), Window::MAX, &mut counters);
                deflater.rest();
                packed
            });
        });
        let frame = Frame::new(&frame);
        let packed = deflater.pack(&frame, Window::MAX, &mut counters);
        group.bench_function(BenchmarkId::new("for each further one", name), |b| {
            b.iter(|| deflater.pack(black_box(&frame), Window::MAX, &mut counters));
        });
        let mut inflater = Inflater::default();
        let payload = &packed.bytes()[if packed.bytes()[1] < 126 { 2 } else { 4 }..];
        group.bench_function(BenchmarkId::new("inflate text", name), |b| {
            b.iter(|| inflater.inflate(black_box(payload), true, 65_536).map(<[u8]>::len));
        });
    }
    group.finish();
}

/// What this thread used of a core.
struct CpuTime;

static SHOWN_AS: WallTime = WallTime;

impl CpuTime {
    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        SHOWN_AS.formatter()
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = compressing, inflating, ours
}
criterion_main!(benches);
