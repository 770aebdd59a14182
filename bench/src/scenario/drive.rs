//! A run's threads: those that measure, and the one that watches them. Knows no workload.
use super::watch::{Before, Watch};
use super::{Measured, Run};
use crate::control::Control;
use crate::engine::{self, Driver, Plan};
use crate::sync::Probe;
use std::thread::Scope;
use std::time::UNIX_EPOCH;

/// Niceness of the thread that watches: it is to wait for those that measure, and not they for it.
const WATCH_NICE: i32 = 10;

impl Run<'_> {
    /// Runs one driver per thread through all phases and measures the window. A connection that fails before everyone is
    /// signed in ends the run.
    pub(crate) fn drive<D: Driver>(&self, drivers: Vec<D>) -> anyhow::Result<(Measured, Vec<D>)> {
        self.drive_sparing(drivers, 0)
    }

    /// The same for drivers that go on without up to `spare` connections that failed while they were set up.
    pub(crate) fn drive_sparing<D: Driver>(
        &self,
        drivers: Vec<D>,
        spare: u64,
    ) -> anyhow::Result<(Measured, Vec<D>)> {
        let mut probe = self.target.disk.as_deref().map(Probe::open).transpose()?;
        probe.iter_mut().try_for_each(Probe::alone)?;
        let before = Before::of(self);
        let (threads, cores) = (self.args.threads.min(self.shares.len()), self.args.cores());
        if threads > cores {
            self.control.note(&format!(
                "{threads} generator threads share {cores} cores (--threads, --core): they wait for each other"
            ));
        }
        let (mut measured, drivers) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                self.args.pin();
                // Where it is refused, the watcher costs the generator a little more.
                let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), WATCH_NICE);
                Watch::new(self, before, spare).through()
            });
            let threads = self.start(scope, drivers);
            if let Some(probe) = &mut probe {
                scope.spawn(|| {
                    self.args.pin();
                    if let Err(error) = probe.beside(self.control) {
                        self.control.note(&format!("{error:#}"));
                    }
                });
            }
            let drivers: Result<Vec<D>, _> = threads.into_iter().map(|thread| thread.join()).collect();
            let panicked = |_| anyhow::anyhow!("a generator thread panicked");
            let measured = watcher.join().map_err(panicked)?;
            anyhow::Ok((measured, drivers.map_err(panicked)?))
        })?;
        if let Some(how) = self.target.ended() {
            self.control.call_off(&format!("the server ended by itself: {how}"));
        }
        let started = self.control.started().duration_since(UNIX_EPOCH);
        measured.started = started.map_or(0.0, |since| since.as_secs_f64());
        measured.spun = self.control.total(|tallies| &tallies.spun) > 0;
        measured.called_off = self.control.called_off();
        measured.failed = self.control.failed();
        measured.failures = self.control.failures();
        measured.errors = self.control.total(|tallies| &tallies.errors);
        measured.heartbeats = self.control.total(|tallies| &tallies.pings);
        measured.handshakes = self.control.total(|tallies| &tallies.handshakes);
        measured.resumed = self.control.total(|tallies| &tallies.resumed);
        measured.told_to_wait = self.control.total(|tallies| &tallies.told_to_wait);
        measured.raw_sync = probe.map(|probe| probe.found());
        measured.notes = measured.called_off.iter().cloned().chain(self.control.notes()).collect();
        let foreign = self.control.total(|tallies| &tallies.foreign);
        if foreign > 0 {
            measured.notes.push(format!("{foreign} messages of another run came, and were not counted"));
        }
        Ok((measured, drivers))
    }

    fn start<'scope, 'env, D: Driver + 'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, 'env>,
        drivers: Vec<D>,
    ) -> Vec<std::thread::ScopedJoinHandle<'scope, D>> {
        let sources = self.args.sources(self.target.address.ip(), self.shares.iter().sum());
        let mut first = 0;
        let mut threads = Vec::new();
        for (thread, (mut driver, &count)) in drivers.into_iter().zip(self.shares).enumerate() {
            let (server, path) = (self.target.address, self.target.path.clone());
            let (sources, pace) = (sources.clone(), self.args.pace(self.shares.len()));
            let (tcp, subprotocol) = (self.tcp, self.control.dialect().subprotocol());
            let (compress, tls) = (self.args.compress(), self.target.tls.clone());
            let plan =
                Plan { thread, tcp, server, path, subprotocol, tls, compress, sources, pace, first, count };
            first += count;
            threads.push(scope.spawn(move || {
                let _leaving = Leaving(self.control);
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
        threads
    }
}

/// Says that a thread has left, however it did.
struct Leaving<'a>(&'a Control);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.call_off("a generator thread panicked");
        }
        self.0.thread_left();
    }
}
