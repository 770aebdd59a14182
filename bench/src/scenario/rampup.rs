//! Finds the highest rate whose p99 stays under a limit. Knows no socket and no driver.
use super::common::LoadArgs;
use super::echo::{self, EchoArgs};
use super::groups::{self, GroupsArgs};
use super::pairs::{self, PairsArgs};
use super::rest::RestArgs;
use crate::interrupt;
use crate::late;
use crate::ledger::Faults;
use crate::limits::RAMPUP_STEPS_MAX;
use crate::report::{Parts, RampupPart, RampupStep, Report, Saturated};
use crate::target::{Target, TargetArgs};
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// Share of the lag in a latency from which on it is the generator's fault.
const LAG_SHARE: f64 = 0.5;
/// Members of a group, and groups of a user, with `--of groups`.
const MEMBERS: u32 = 20;
const GROUPS_PER_USER: u32 = 2;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    Pairs,
    /// Groups of 20, each user in two of them; the rate is that of all groups together.
    Groups,
    Echo,
}

/// Options of `rampup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RampupArgs {
    /// The workload of which the rate is sought
    #[arg(long, value_enum, default_value = "pairs")]
    pub(crate) of: Of,
    /// Users, a multiple of 10; connections of an echo
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) users: u32,
    /// The p99 that a rate has to keep under
    #[arg(long, default_value = "10ms", value_parser = humantime::parse_duration)]
    pub(crate) limit: Duration,
    /// How close to it the search goes: 0.05 is 5 %
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    pub(crate) precision: f64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

fn share(text: &str) -> anyhow::Result<f64> {
    let share: f64 = text.parse()?;
    ensure!((0.001..=1.0).contains(&share), "must be between 0.001 and 1");
    Ok(share)
}

/// Doubles until a rate fails, or halves until one holds, and then closes in between the two.
#[derive(Debug, Clone, Copy)]
struct Search {
    from: f64,
    precision: f64,
    held: Option<f64>,
    failed: Option<f64>,
}

impl Search {
    /// The rate to try next.
    fn next(&self) -> Option<f64> {
        match (self.held, self.failed) {
            (None, None) => Some(self.from),
            (Some(held), None) => Some(held * 2.0),
            (None, Some(failed)) => Some(failed / 2.0).filter(|&rate| rate >= 1.0),
            (Some(held), Some(failed)) => {
                let between = (held * failed).sqrt();
                // A rate that can be read, where that moves it by less than the finest precision.
                let between = if between >= 1000.0 { between.round() } else { between };
                (failed / held > 1.0 + self.precision).then_some(between)
            }
        }
    }

    fn tell(&mut self, rate: f64, held: bool) {
        *if held { &mut self.held } else { &mut self.failed } = Some(rate);
    }
}

/// Runs the search.
pub(crate) fn run(args: &TargetArgs, options: &RampupArgs) -> anyhow::Result<Report> {
    ensure!(options.load.open_loop(), "a rate is sought: there is no --in-flight here");
    ensure!(options.users.is_multiple_of(10), "--users must be a multiple of 10");
    if options.of == Of::Echo {
        echo::check(args)?;
    }
    interrupt::listen();
    let target = args.open()?;
    let from = options.load.rate;
    let mut search = Search { from, precision: options.precision, held: None, failed: None };
    let (mut steps, mut best, mut last) = (Vec::new(), None, None);
    let (mut faults, mut limited_by) = (Faults::default(), None);
    while let Some(rate) = search.next().filter(|_| steps.len() < RAMPUP_STEPS_MAX) {
        let report = at(&target, args, options, rate)?;
        if report.interrupted {
            last = Some(report);
            break;
        }
        let step = judge(&report, rate, options.limit);
        search.tell(rate, step.held);
        eprintln!("{rate:.0}/s: {}", step.why.as_deref().unwrap_or("held"));
        if step.held {
            best = Some(report);
        } else {
            limited_by = Some(side(&report).to_owned());
            // What comes too late is lost there; but nothing may be wrong otherwise, at any rate.
            faults.add(&Faults { lost: 0, unacked: 0, ..report.faults.clone() });
            last = Some(report);
        }
        steps.push(step);
    }
    let part = RampupPart {
        limit_us: options.limit.as_secs_f64() * 1e6,
        best: search.held,
        over: search.failed,
        limited_by,
        steps,
    };
    let found = best.is_some();
    let mut report = best.or(last).context("no rate was tried")?;
    report.faults.add(&faults);
    if !found {
        report
            .notes
            .push("no rate that was tried kept under the limit; the figures are the last one's".to_owned());
    }
    let workload = format!("the highest rate with p99 under {:?}: {}", options.limit, report.workload);
    Ok(Report {
        scenario: "rampup".to_owned(),
        workload,
        parts: Parts { rampup: Some(part), ..Parts::default() },
        ..report
    })
}

/// One step: the workload at a rate.
fn at(target: &Target, args: &TargetArgs, options: &RampupArgs, rate: f64) -> anyhow::Result<Report> {
    let load = LoadArgs { rate, ..options.load.clone() };
    let users = options.users as usize;
    let rest = RestArgs { idle: 0 };
    match options.of {
        Of::Pairs => pairs::on(target, args, &PairsArgs { users, ids: false, rest, load }),
        Of::Echo => echo::on(target, args, &EchoArgs { connections: users, tcp: false, load }),
        Of::Groups => {
            let groups = options.users * GROUPS_PER_USER / MEMBERS;
            let load = LoadArgs { rate: rate / f64::from(groups), ..load };
            let (members, groups_per_user) = (MEMBERS, GROUPS_PER_USER);
            let options = GroupsArgs { groups, members, groups_per_user, senders: 4, ids: false, rest, load };
            groups::on(target, args, &options)
        }
    }
}

/// Whether a rate held, and why not.
fn judge(report: &Report, rate: f64, limit: Duration) -> RampupStep {
    let achieved = report.sent as f64 / report.seconds.max(1e-9);
    let meant = report.lag_us.map_or(0, |lag| lag.count);
    let p99 = report.latency_us.map(|latency| latency.p99);
    let why = if let Some(why) = &report.called_off {
        Some(why.clone())
    } else if report.in_time.is_some_and(|sent| !late::reached(sent, meant)) {
        Some(format!("{} did not reach the rate", side(report)))
    } else if !report.clean() {
        Some("messages or connections were lost".to_owned())
    } else {
        match p99 {
            None => Some("nothing arrived".to_owned()),
            Some(p99) if p99 > limit.as_secs_f64() * 1e6 => Some(format!("over the limit: {}", side(report))),
            Some(_) => None,
        }
    };
    RampupStep {
        rate,
        achieved,
        latency_us: report.latency_us,
        lag_p99_us: report.lag_us.map(|lag| lag.p99),
        server_cpu: report.server.map(|usage| usage.cpu_percent()),
        held: why.is_none(),
        why,
    }
}

/// Who was at the end: the generator, when the latency is mostly its own lag or its cores were full.
fn side(report: &Report) -> &'static str {
    let lag = report.lag_us.map_or(0.0, |lag| lag.p99);
    let own = report.latency_us.is_some_and(|latency| lag >= LAG_SHARE * latency.p99);
    match report.saturated {
        Saturated::Both => "both sides",
        Saturated::Generator => "the generator",
        Saturated::Server if !own => "the server",
        _ if own => "the generator",
        _ => "the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(capacity: f64, from: f64) -> (Search, usize) {
        let mut search = Search { from, precision: 0.05, held: None, failed: None };
        let mut steps = 0;
        while let Some(rate) = search.next() {
            search.tell(rate, rate <= capacity);
            steps += 1;
            assert!(steps < RAMPUP_STEPS_MAX, "{search:?}");
        }
        (search, steps)
    }

    #[test]
    fn the_search_closes_in_from_either_side() {
        for capacity in [7.0, 999.0, 1000.0, 61_234.0, 1e6] {
            for from in [1.0, 1000.0, 1e6] {
                let (search, steps) = found(capacity, from);
                let held = search.held.unwrap();
                assert!(held <= capacity && search.failed.unwrap() > capacity, "{search:?}");
                assert!(search.failed.unwrap() / held <= 1.05, "{search:?} in {steps} steps");
            }
        }
        assert_eq!(found(0.5, 1000.0).0.held, None, "nothing holds");
    }
}
