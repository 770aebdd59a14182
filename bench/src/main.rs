//! `longwire-bench`: drives a chat server over loopback and reports its cost per delivery and its latency.
mod cli;
mod control;
mod engine;
mod latency;
mod ledger;
mod limits;
mod procstat;
mod report;
mod scenario;
mod schedule;
mod sources;
mod target;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("longwire-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
