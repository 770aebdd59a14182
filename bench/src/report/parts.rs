//! What single workloads have to say besides what all of them say, and its text. Knows no other part of a report.
use super::text::quantiles;
use crate::latency::Quantiles;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Longwire's counter of what was read from disk.
const DISK_READS: &str = "longwire_store_reads_total";

/// Each is there when its workload ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<WeightPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storm: Option<StormPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) churn: Option<ChurnPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rampup: Option<RampupPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mixed: Option<MixedPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recover: Option<RecoverPart>,
}

/// A server that was started again on what it had stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RecoverPart {
    /// Messages that it had got, and the bytes of all its files.
    pub(crate) stored: u64,
    pub(crate) stored_bytes: u64,
    /// After it was asked to stop, and after it was killed under load.
    pub(crate) after_stop: Recovery,
    pub(crate) after_kill: Recovery,
}

/// One start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// From the command until it said that it was ready.
    pub(crate) seconds: f64,
    /// Its resident memory then.
    pub(crate) rss: Option<u64>,
}

/// What a connection at rest weighs on both sides, in bytes, and what it may.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WeightPart {
    /// Growth of resident memory for each connection.
    pub(crate) server: Option<f64>,
    pub(crate) generator: f64,
    /// Growth of the kernel's slabs for each: both sides' sockets, when both are on this machine.
    pub(crate) kernel: f64,
    pub(crate) server_max: Option<f64>,
    pub(crate) generator_max: Option<f64>,
}

/// Connections that all went and came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StormPart {
    pub(crate) rounds: Vec<StormRound>,
    /// From each one's end until it was signed in again.
    pub(crate) back_us: Option<Quantiles>,
    /// Attempts that failed, by kind; each was followed by another one, up to a bound.
    pub(crate) failed_attempts: BTreeMap<String, u64>,
    /// Connections that gave up.
    pub(crate) given_up: u64,
    /// What a round with `sync` cost the server for each above one without, where there were both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sync_cpu_us: Option<f64>,
    /// What the server read from disk in the measured time, by its own count, where `sync` was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disk_reads: Option<f64>,
}

/// One storm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StormRound {
    /// They asked for what they had missed, and were told of so many conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) synced: Option<u64>,
    /// Connections that went.
    pub(crate) went: u64,
    /// Connections that were not there to go: not back from the round before, or given up.
    #[serde(default)]
    pub(crate) away: u64,
    /// Those of them that went that came back.
    pub(crate) back: u64,
    /// Until the last one was back; nothing when not all were.
    pub(crate) seconds: Option<f64>,
    /// The server's CPU time in that time, the messages beside it included.
    pub(crate) server_cpu_us_per_connection: Option<f64>,
}

/// Connections that come and go while others chat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ChurnPart {
    /// Connections that came, and that went, in the measured time.
    pub(crate) came: u64,
    pub(crate) went: u64,
    /// All of the server's CPU time in the measured time, closes and chat beside it included, for each that came.
    #[serde(default)]
    pub(crate) server_cpu_us_per_connection: Option<f64>,
    /// From when each was meant to connect until it was signed in; until the end of the run for those who never were.
    pub(crate) sign_in_us: Option<Quantiles>,
    /// Connections that were not opened because too many were behind already.
    pub(crate) skipped: u64,
    /// Connections that were meant to come, and had not signed in when the run ended.
    #[serde(default)]
    pub(crate) never_came: u64,
    /// Connections that were cut because the server did not answer their close frame.
    #[serde(default)]
    pub(crate) unclosed: u64,
}

/// The search for the highest rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RampupPart {
    /// The p99 that was allowed.
    pub(crate) limit_us: f64,
    /// The highest rate that held it, and the least that did not.
    pub(crate) best: Option<f64>,
    pub(crate) over: Option<f64>,
    /// What was at its end there.
    pub(crate) limited_by: Option<String>,
    pub(crate) steps: Vec<RampupStep>,
}

/// One rate that was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RampupStep {
    /// Messages a second: meant, and sent.
    pub(crate) rate: f64,
    pub(crate) achieved: f64,
    pub(crate) latency_us: Option<Quantiles>,
    pub(crate) lag_p99_us: Option<f64>,
    /// Share of one core, in percent.
    pub(crate) server_cpu: Option<f64>,
    pub(crate) held: bool,
    /// Why not.
    pub(crate) why: Option<String>,
}

/// What a blend was made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MixedPart {
    pub(crate) private_messages: u64,
    pub(crate) group_messages: u64,
    /// Messages by bytes of payload.
    pub(crate) sizes: BTreeMap<u32, u64>,
    /// Signs of life that clients asked for, and got.
    pub(crate) pings: u64,
    pub(crate) pongs: u64,
    pub(crate) slow_readers: u64,
    /// What reached slow readers, and when; it is no part of the other latencies.
    pub(crate) slow_deliveries: u64,
    pub(crate) slow_latency_us: Option<Quantiles>,
    /// Messages that slow readers did not get: a server may drop them, and says so to the client.
    pub(crate) slow_missed: u64,
    /// Messages of slow readers that were on their way when the server closed them, and came nowhere.
    #[serde(default)]
    pub(crate) slow_cut_short: u64,
    /// Slow readers that the server closed, by kind.
    pub(crate) slow_closed: BTreeMap<String, u64>,
}

impl Parts {
    /// Whether what these workloads are about went well.
    pub(crate) fn clean(&self) -> bool {
        self.wrong().is_empty()
    }

    /// What did not.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.weight.as_ref().is_some_and(|weight| !weight.clean()) {
            wrong.push("a connection at rest weighs more than it may".to_owned());
        }
        wrong.extend(self.storm.iter().flat_map(StormPart::wrong));
        wrong.extend(self.churn.iter().flat_map(ChurnPart::wrong));
        wrong
    }
}

/// Those counts that are not 0, with what they count.
fn counted<const N: usize>(counts: [(u64, &str); N]) -> Vec<String> {
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

impl WeightPart {
    fn clean(&self) -> bool {
        let within = |bytes: f64, max: Option<f64>| max.is_none_or(|max| bytes <= max);
        // What is not known is within no bound.
        within(self.server.unwrap_or(f64::INFINITY), self.server_max)
            && within(self.generator, self.generator_max)
    }
}

impl StormPart {
    /// The difference between rounds with `sync` and those without.
    pub(crate) fn sync_cpu(rounds: &[StormRound]) -> Option<f64> {
        let mean = |synced: bool| {
            let of = rounds.iter().filter(|round| round.synced.is_some() == synced);
            let each: Vec<f64> = of.filter_map(|round| round.server_cpu_us_per_connection).collect();
            (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
        };
        Some(mean(true)? - mean(false)?)
    }

    /// Reads from disk among what the server counted.
    pub(crate) fn disk_reads(counters: &[(String, f64)]) -> f64 {
        let is_read = |name: &str| name.split('{').next() == Some(DISK_READS);
        counters.iter().filter(|(name, _)| is_read(name)).map(|(_, count)| count).sum()
    }

    fn wrong(&self) -> Vec<String> {
        let rounds =
            |bad: fn(&StormRound) -> bool| self.rounds.iter().filter(|round| bad(round)).count() as u64;
        let of = self.rounds.len();
        let nobody = format!("of {of} rounds had nobody to send away");
        let not_all = format!("of {of} rounds did not bring everyone back");
        counted([
            (rounds(|round| round.went == 0), &nobody),
            (rounds(|round| round.back != round.went), &not_all),
            (self.given_up, "connections gave up coming back"),
        ])
    }
}

impl ChurnPart {
    fn wrong(&self) -> Vec<String> {
        counted([
            (self.never_came, "connections never came"),
            (self.skipped, "connections were not opened"),
            (self.unclosed, "close frames were never answered"),
        ])
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.weight.iter().try_for_each(|weight| weight.fmt(f))?;
        self.storm.iter().try_for_each(|storm| storm.fmt(f))?;
        self.churn.iter().try_for_each(|churn| churn.fmt(f))?;
        self.rampup.iter().try_for_each(|rampup| rampup.fmt(f))?;
        self.mixed.iter().try_for_each(|mixed| mixed.fmt(f))?;
        self.recover.iter().try_for_each(|recover| recover.fmt(f))
    }
}

impl fmt::Display for WeightPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = |max: Option<f64>| max.map_or_else(String::new, |max| format!(" (at most {max:.0})"));
        let server = self.server.map_or_else(|| "unknown".into(), |bytes| format!("{bytes:.0} bytes"));
        let (server_max, generator_max) = (most(self.server_max), most(self.generator_max));
        let Self { generator, kernel, .. } = self;
        write!(
            f,
            "  {:<10} {server}{server_max} in the server, {generator:.0} bytes{generator_max} in the generator, \
             {kernel:.0} bytes in the kernel for both sides",
            "each"
        )?;
        writeln!(f, "{}", if self.clean() { "" } else { ": TOO MUCH" })
    }
}

impl fmt::Display for StormPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, round) in self.rounds.iter().enumerate() {
            write!(f, "  {:<10} {} of {} back", format!("round {}", at + 1), round.back, round.went)?;
            if let Some(told) = round.synced {
                write!(f, " and synced, told of {told} conversations")?;
            }
            if round.away > 0 {
                write!(f, ", {} were still away when it began", round.away)?;
            }
            if let Some(seconds) = round.seconds {
                let rate = round.back as f64 / seconds.max(1e-9);
                write!(f, ", the last after {seconds:.3} s ({rate:.0}/s)")?;
            }
            if let Some(us) = round.server_cpu_us_per_connection {
                write!(f, ", {us:.1} µs server CPU each")?;
            }
            writeln!(f)?;
        }
        self.back_us.iter().try_for_each(|q| quantiles(f, "back after", q))?;
        if let Some(us) = self.sync_cpu_us {
            writeln!(f, "  {:<10} {us:.1} µs server CPU each above the sign-in", "sync")?;
        }
        if let Some(reads) = self.disk_reads {
            writeln!(f, "  {:<10} {:.0} reads from disk in all", "server", reads.max(0.0))?;
        }
        if !self.failed_attempts.is_empty() || self.given_up > 0 {
            let (kinds, given_up) = (kinds(&self.failed_attempts), self.given_up);
            writeln!(f, "  {:<10} {kinds}; {given_up} connections gave up", "attempts")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChurnPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { came, went, skipped, never_came, unclosed, .. } = self;
        write!(f, "  {:<10} {came} connections came, {went} went", "churn")?;
        if let Some(us) = self.server_cpu_us_per_connection {
            write!(f, ", {us:.1} µs server CPU for each that came, all that it did counted")?;
        }
        if *never_came > 0 {
            write!(f, "; {never_came} NEVER came")?;
        }
        if *skipped > 0 {
            write!(f, "; {skipped} were NOT opened: the server was too far behind")?;
        }
        if *unclosed > 0 {
            write!(f, "; {unclosed} were cut: their close frames were NOT answered")?;
        }
        writeln!(f)?;
        self.sign_in_us.iter().try_for_each(|q| quantiles(f, "sign-in", q))
    }
}

impl fmt::Display for RampupPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "steps", "rate/s", "sent/s", "p50 µs", "p99 µs", "p99.9 µs", "lag p99", "server"
        )?;
        for step in &self.steps {
            let cell = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.0}"));
            let latency = |of: fn(&Quantiles) -> f64| cell(step.latency_us.as_ref().map(of));
            let server = step.server_cpu.map_or_else(|| "-".into(), |cpu| format!("{cpu:.0} %"));
            let (p50, p99, p999) = (latency(|q| q.p50), latency(|q| q.p99), latency(|q| q.p999));
            let (lag, why) = (cell(step.lag_p99_us), step.why.as_deref().unwrap_or("held"));
            let (rate, achieved) = (step.rate, step.achieved);
            writeln!(
                f,
                "  {:<10} {rate:>9.0} {achieved:>9.0} {p50:>9} {p99:>9} {p999:>9} {lag:>9} {server:>7}  {why}",
                ""
            )?;
        }
        let best = self.best.map_or_else(|| "no rate".into(), |rate| format!("{rate:.0} messages/s"));
        write!(f, "  {:<10} {best} with p99 under {:.3} ms", "highest", self.limit_us / 1e3)?;
        match &self.limited_by {
            Some(by) => writeln!(f, "; the limit was {by}"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for RecoverPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.stored_bytes as f64 / 1e6;
        writeln!(f, "  {:<10} {} messages in {stored:.1} MB of files", "stored", self.stored)?;
        for (what, Recovery { seconds, rss }) in [("stopped", self.after_stop), ("killed", self.after_kill)] {
            let rss = rss.map_or_else(|| "?".into(), |rss| format!("{:.1}", rss as f64 / 1e6));
            writeln!(f, "  {what:<10} ready {seconds:.3} s after it was started again, {rss} MB resident")?;
        }
        Ok(())
    }
}

impl fmt::Display for MixedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> =
            self.sizes.iter().map(|(size, count)| format!("{count} of {size} B")).collect();
        writeln!(
            f,
            "  {:<10} {} private messages, {} to groups: {}; {} pings, {} answered",
            "blend",
            self.private_messages,
            self.group_messages,
            sizes.join(", "),
            self.pings,
            self.pongs
        )?;
        if self.slow_readers > 0 {
            let closed =
                if self.slow_closed.is_empty() { "none closed".into() } else { kinds(&self.slow_closed) };
            let Self { slow_readers, slow_deliveries, slow_missed, slow_cut_short, .. } = self;
            write!(
                f,
                "  {:<10} {slow_readers}, who got {slow_deliveries} messages and missed {slow_missed}; {closed}",
                "slow"
            )?;
            if *slow_cut_short > 0 {
                write!(f, ", with {slow_cut_short} messages of theirs on the way")?;
            }
            writeln!(f)?;
            self.slow_latency_us.iter().try_for_each(|q| quantiles(f, "to slow", q))?;
        }
        Ok(())
    }
}

fn kinds(counts: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_without_anybody_to_send_away_is_no_success() {
        let round = |went, away, back| StormRound {
            synced: None,
            went,
            away,
            back,
            seconds: None,
            server_cpu_us_per_connection: None,
        };
        let storm = |rounds| Parts {
            storm: Some(StormPart {
                rounds,
                back_us: None,
                failed_attempts: BTreeMap::new(),
                given_up: 0,
                sync_cpu_us: None,
                disk_reads: None,
            }),
            ..Parts::default()
        };
        let good = storm(vec![round(40, 0, 40), round(37, 3, 37)]);
        assert!(good.clean(), "{:?}", good.wrong());
        assert!(good.to_string().contains("37 of 37 back, 3 were still away when it began"), "{good}");
        let empty = storm(vec![round(40, 0, 40), round(0, 40, 0)]);
        assert_eq!(empty.wrong(), ["1 of 2 rounds had nobody to send away"]);
        let unfinished = storm(vec![round(40, 0, 39)]);
        assert_eq!(unfinished.wrong(), ["1 of 1 rounds did not bring everyone back"]);
    }

    #[test]
    fn each_way_of_not_coming_is_said() {
        let said = |churn: ChurnPart| {
            let parts = Parts { churn: Some(churn), ..Parts::default() };
            (parts.clean(), parts.wrong().join(", "), parts.to_string())
        };
        assert!(said(ChurnPart { came: 5, went: 5, ..ChurnPart::default() }).0);
        for (churn, wrong, shown) in [
            (ChurnPart { never_came: 3, ..ChurnPart::default() }, "3 connections never came", "3 NEVER came"),
            (ChurnPart { skipped: 2, ..ChurnPart::default() }, "2 connections were not", "2 were NOT opened"),
            (ChurnPart { unclosed: 1, ..ChurnPart::default() }, "1 close frames", "1 were cut"),
        ] {
            let (clean, said, text) = said(churn);
            assert!(!clean && said.contains(wrong) && text.contains(shown), "{said}; {text}");
        }
    }
}
