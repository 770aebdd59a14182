//! Snapshots as a page that Prometheus reads (OpenMetrics text). Knows no shard and no HTTP.
//!
//! Counters and histograms are summed over the shards; gauges carry a `shard` label, since there the spread matters.

use super::CertificateLevels;
use super::process::Process;
use super::store;
use crate::metrics::{Counter, Counters, Gauge, Histogram, Histograms, Snapshot, StoreLevels};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::time::Duration;

/// The page's type.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histograms' buckets (µs).
const BUCKETS: [u64; 17] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000,
];

#[derive(Debug)]
struct Scrape {
    answers: Vec<Snapshot>,
    draining: bool,
    certificate: Option<CertificateLevels>,
    store: Option<StoreLevels>,
    process: Process,
}

/// The whole page.
pub(super) fn page(
    answers: Vec<Snapshot>,
    draining: bool,
    certificate: Option<CertificateLevels>,
    store: Option<StoreLevels>,
) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        answers,
        draining,
        certificate,
        store,
        process: Process::read(),
    }));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        self.counters(&mut encoder)?;
        self.gauges(&mut encoder)?;
        self.histograms(&mut encoder)?;
        self.certificate(&mut encoder)?;
        if let Some(levels) = &self.store {
            store::encode(levels, &mut encoder)?;
        }
        self.server(&mut encoder)
    }
}

impl Scrape {
    fn counters(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let mut sum = Counters::default();
        self.answers.iter().for_each(|answer| sum.merge(&answer.counters));
        for family in Counter::ALL.chunk_by(|a, b| a.family() == b.family()) {
            let name = family[0].family();
            let mut metric = encoder.encode_descriptor(name, family[0].help(), None, MetricType::Counter)?;
            for counter in family {
                let value = sum.get(*counter);
                if counter.labels().is_empty() {
                    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
                } else {
                    let labels = counter.labels();
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
                }
            }
        }
        Ok(())
    }

    fn gauges(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        for family in Gauge::ALL.chunk_by(|a, b| a.family() == b.family()) {
            let (name, help) = (family[0].family(), family[0].help());
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for answer in &self.answers {
                let shard = answer.shard.0.to_string();
                for gauge in family {
                    let labels = [&[("shard", shard.as_str())], gauge.labels()].concat();
                    metric.encode_family(&labels)?.encode_gauge(&answer.gauges.get(*gauge))?;
                }
            }
        }
        Ok(())
    }

    fn histograms(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let mut sum = Histograms::default();
        self.answers.iter().for_each(|answer| sum.merge(&answer.histograms));
        let bounds = BUCKETS.map(Duration::from_micros);
        let labels = bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        for histogram in Histogram::ALL {
            let counts = sum.spread(*histogram, &bounds);
            let buckets: Vec<(f64, u64)> = labels.clone().zip(counts).collect();
            let (total, count) = (sum.sum(*histogram).as_secs_f64(), sum.count(*histogram));
            encoder
                .encode_descriptor(histogram.family(), histogram.help(), None, MetricType::Histogram)?
                .encode_histogram::<NoLabelSet>(total, count, &buckets, None)?;
        }
        Ok(())
    }

    fn certificate(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let Some(CertificateLevels { expires, reloads, failures }) = self.certificate else { return Ok(()) };
        encoder
            .encode_descriptor(
                "longwire_tls_certificate_expires_seconds",
                "When the certificate expires (seconds since the Unix epoch)",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&expires)?;
        let help =
            "Times SIGHUP had the certificate read again, by outcome; after a failure the old one is kept";
        let mut metric =
            encoder.encode_descriptor("longwire_tls_reloads", help, None, MetricType::Counter)?;
        for (outcome, times) in [("done", reloads), ("failed", failures)] {
            let labels = [("outcome", outcome)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&times, None)?;
        }
        Ok(())
    }

    fn server(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let levels = [
            ("longwire_shards_answering", "Shards that answered this scrape", self.answers.len() as u64),
            ("longwire_draining", "Whether the server is stopping", u64::from(self.draining)),
            ("process_resident_memory_bytes", "Resident memory", self.process.resident_bytes),
            (
                "process_open_fds",
                "Open file descriptors (connections are held in the rings and do not show here)",
                self.process.open_fds,
            ),
        ];
        for (name, help, level) in levels {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&level)?;
        }
        encoder
            .encode_descriptor("process_cpu_seconds", "CPU time, user and system", None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&self.process.cpu_seconds, None)?;
        encoder
            .encode_descriptor("longwire_build", "The running version", None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}
