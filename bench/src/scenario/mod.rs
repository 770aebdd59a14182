//! The workloads, and what all of them share: threads, phases, the measured window.
pub(crate) mod broadcast;
pub(crate) mod common;
pub(crate) mod crowd;
pub(crate) mod echo;
mod entry;
pub(crate) mod group;
pub(crate) mod idle;
pub(crate) mod pairs;
pub(crate) mod versus;

use crate::control::{Control, Phase, Window};
use crate::engine::{self, Driver, Plan};
use crate::ledger::Faults;
use crate::limits::SETUP_SECONDS;
use crate::procstat::{self, Sample, Usage};
use crate::report::Course;
use crate::target::{Target, TargetArgs};
use anyhow::{Context, bail};
use std::time::{Duration, Instant};

/// What was counted in the measured window, and what went wrong in the whole run.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) deliveries: u64,
    pub(crate) acks: u64,
    pub(crate) server: Option<Usage>,
    pub(crate) generator: Option<Usage>,
    pub(crate) ring_enters: Option<u64>,
    /// The server's CPU seconds until everyone was signed in.
    pub(crate) setup_cpu: Option<f64>,
    /// The server's resident bytes before the first connection.
    pub(crate) rss_before: Option<u64>,
    /// How many connections there were, and the resident bytes, about when half of them were open.
    pub(crate) rss_half: Option<(u64, u64)>,
    pub(crate) failed: usize,
    pub(crate) errors: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) faults: Faults,
    pub(crate) course: Course,
}

/// The run as the main thread sees it.
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

impl Run<'_> {
    /// Runs one driver per thread through all phases and measures the window.
    pub(crate) fn drive<D: Driver>(&self, drivers: Vec<D>) -> anyhow::Result<(Measured, Vec<D>)> {
        let before = self.target.pid.and_then(Sample::of);
        std::thread::scope(|scope| {
            let connections = self.shares.iter().sum();
            let sources = self.args.sources(self.target.address.ip(), connections);
            let mut first = 0;
            let mut threads = Vec::new();
            for (thread, (mut driver, &count)) in drivers.into_iter().zip(self.shares).enumerate() {
                let (server, path) = (self.target.address, self.target.path.clone());
                let (sources, pace) = (sources.clone(), self.args.pace(self.shares.len()));
                let plan = Plan { thread, tcp: self.tcp, server, path, sources, pace, first, count };
                first += count;
                threads.push(scope.spawn(move || {
                    self.args.pin();
                    // A finer timer than the default 50 µs; where it is refused, the lag's histogram shows it.
                    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
                    let tallies = self.control.tallies(thread);
                    if let Err(error) = engine::run(&plan, self.control, tallies, &mut driver) {
                        self.control.call_off(&format!("{error:#}"));
                    }
                    driver
                }));
            }
            let measured = self.watch(before.as_ref());
            if measured.is_err() {
                self.control.finish();
            }
            let drivers: Vec<D> = threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a generator thread panicked")))
                .collect::<Result<_, _>>()?;
            let mut measured = measured?;
            measured.failed = self.control.failed();
            measured.errors = self.control.total(|tallies| &tallies.errors);
            measured.notes = self.control.notes();
            let foreign = self.control.total(|tallies| &tallies.foreign);
            if foreign > 0 {
                measured.notes.push(format!("{foreign} messages of another run came, and were not counted"));
            }
            Ok((measured, drivers))
        })
    }

    /// The main thread's part: waits for everyone, looks at both sides at the window's ends.
    fn watch(&self, before: Option<&Sample>) -> anyhow::Result<Measured> {
        let rss_half = self.wait_until_ready()?;
        let ready = self.target.pid.and_then(Sample::of);
        let setup_cpu = before.zip(ready.as_ref()).map(|(before, ready)| ready.since(before).cpu);
        self.control.begin();
        let (from, to) = self.control.measured().context("the run has begun")?;
        self.sleep_until(from);
        // The page is asked for outside the window: answering it is no part of the workload.
        let enters_at_start = self.target.ring_enters();
        let start = self.look();
        self.sleep_until(to);
        let end = self.look();
        let enters_at_end = self.target.ring_enters();
        while self.control.phase(self.control.now()) != Phase::Over && !self.all_done() {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.control.finish();
        let usage = |(end, start): (&Sample, &Sample)| end.since(start);
        Ok(Measured {
            seconds: end.at.duration_since(start.at).as_secs_f64(),
            sent: end.sent - start.sent,
            deliveries: end.deliveries - start.deliveries,
            acks: end.acks - start.acks,
            server: end.server.as_ref().zip(start.server.as_ref()).map(usage),
            generator: end.generator.as_ref().zip(start.generator.as_ref()).map(usage),
            ring_enters: enters_at_end.zip(enters_at_start).map(|(end, start)| end.saturating_sub(start)),
            setup_cpu,
            rss_before: before.map(|sample| sample.rss),
            rss_half,
            ..Measured::default()
        })
    }

    /// Waits for everyone to be signed in; on the way looks at the server's memory once, half-way.
    fn wait_until_ready(&self) -> anyhow::Result<Option<(u64, u64)>> {
        let connections: usize = self.shares.iter().sum();
        let patience = Duration::from_secs(SETUP_SECONDS + connections as u64 / 1000);
        let since = Instant::now();
        let mut half = None;
        while self.control.ready() < self.shares.len() {
            if self.control.failed() > 0 {
                bail!("setting up {connections} connections failed: {}", self.control.notes().join("; "));
            }
            if since.elapsed() > patience {
                let notes = self.control.notes().join("; ");
                bail!("not everyone was connected, signed in and heard after {patience:?}: {notes}");
            }
            let opened = self.control.total(|tallies| &tallies.opened);
            if half.is_none() && opened >= connections as u64 / 2 {
                half = self.target.pid.and_then(procstat::rss).map(|rss| (opened, rss));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(half)
    }

    fn sleep_until(&self, time: u64) {
        while self.control.now() < time && !self.control.over() {
            let left = Duration::from_nanos(time - self.control.now().min(time));
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Whether nothing is on its way any more. Drivers say so themselves; they are done when they are ready twice.
    fn all_done(&self) -> bool {
        self.control.ready() >= 2 * self.shares.len() || self.control.over()
    }

    fn look(&self) -> Look {
        Look {
            generator: Sample::of(std::process::id()),
            at: Instant::now(),
            server: self.target.pid.and_then(Sample::of),
            sent: self.control.total(|tallies| &tallies.sent),
            deliveries: self.control.total(|tallies| &tallies.delivered),
            acks: self.control.total(|tallies| &tallies.acked),
        }
    }
}

/// Both sides and the counters at one moment.
struct Look {
    at: Instant,
    server: Option<Sample>,
    generator: Option<Sample>,
    sent: u64,
    deliveries: u64,
    acks: u64,
}

/// Opens the server and a run of `shares` on it.
pub(crate) fn with_run<T>(
    args: &TargetArgs,
    window: Window,
    shares: &[usize],
    work: impl FnOnce(&Run<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let target = args.open()?;
    let control = Control::new(window, shares.len(), args.dialect.clone())?;
    work(&Run { target: &target, args, control: &control, shares, tcp: None })
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
