//! From arguments to actions, and from errors to text with what to do next. Knows no connection and no rule of chat.

mod args;
mod banner;
mod config;
mod control;
mod cores;
mod failure;
mod serve;
mod start;
mod store;
mod tls;
mod token;
mod tune;

use failure::Failure;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command line of this process. Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.
pub fn run() -> ExitCode {
    let matches = args::command().get_matches();
    let done = match matches.subcommand() {
        Some(("serve", given)) => serve::chat(given),
        Some(("echo", given)) => serve::echo(given),
        Some(("gentoken", given)) => token::generate(given),
        Some(("checkconfig", given)) => config::check(given),
        Some(("genconfig", given)) => config::generate(given),
        Some(("tune", given)) => tune::run(given),
        Some(("store", given)) => store::run(given),
        _ => Err(Failure::usage("no command is given", "see `longwire --help`")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
