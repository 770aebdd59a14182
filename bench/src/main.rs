//! `longwire-bench`: drives a chat server over loopback and reports its cost per delivery and its latency.
mod cli;
mod control;
mod engine;
mod interrupt;
mod late;
mod latency;
mod ledger;
mod limits;
mod procstat;
mod progress;
mod report;
mod scenario;
mod schedule;
mod scrape;
mod sources;
mod sync;
mod target;
mod timeline;
mod tls;
mod tokens;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = match cli::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("longwire-bench: {error:#}");
            ExitCode::FAILURE
        }
    };
    if interrupt::requested() { ExitCode::from(interrupt::EXIT) } else { code }
}
