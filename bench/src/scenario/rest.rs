//! Connections at rest beside a workload, in the same threads: what work costs as they grow in number. Knows no socket.
use super::crowd::Crowd;
use super::{Run, shares};
use crate::engine::{Beside, Driver};
use crate::ledger::Faults;
use clap::Args;

/// One of so many connections at rest may fail while they are opened.
const SPARE: u64 = 100;

/// How many there are.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestArgs {
    /// Further signed-in connections, at rest beside the workload
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 0)]
    pub(crate) idle: usize,
}

/// A workload's driver, and the connections at rest of the same thread.
pub(crate) type WithRest<'a, D> = Beside<D, Crowd<'a>>;

impl RestArgs {
    /// A workload's shares with these connections added.
    pub(crate) fn added(&self, workload: &[usize]) -> Vec<usize> {
        let rest = shares(self.idle, 1, workload.len());
        workload.iter().zip(rest).map(|(work, rest)| work + rest).collect()
    }

    /// Puts them beside the drivers of a workload, whose `shares` come first in each thread.
    pub(crate) fn beside<'a, D: Driver>(
        &self,
        run: &Run<'a>,
        drivers: Vec<D>,
        workload: &[usize],
    ) -> Vec<WithRest<'a, D>> {
        let mut first = workload.iter().sum();
        let rest = shares(self.idle, 1, workload.len());
        let threads = drivers.into_iter().zip(workload).zip(rest).enumerate();
        threads
            .map(|(part, ((driver, &split), count))| {
                let crowd = Crowd::new((run.control, part), (first, count));
                first += count;
                Beside::new(driver, split, crowd)
            })
            .collect()
    }

    /// How many of them a run goes on without.
    pub(crate) fn spare(&self) -> u64 {
        self.idle as u64 / SPARE
    }

    /// In a report's words.
    pub(crate) fn describe(&self) -> String {
        if self.idle == 0 { String::new() } else { format!(", beside {} connections at rest", self.idle) }
    }
}

/// Books what went wrong on connections at rest.
pub(crate) fn close<D>(drivers: &[WithRest<'_, D>], faults: &mut Faults) {
    drivers.iter().for_each(|driver| driver.second.close(faults));
}
