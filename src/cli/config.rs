//! Settings from this process's arguments, environment and file; `checkconfig` and `genconfig`. Knows no server.

use super::tls::Tls;
use super::{Failure, cores, print, serve};
use crate::settings::{self, CONFIG_VARIABLE, ROWS, Settings, Sources};
use clap::ArgMatches;
use std::env;
use std::fmt::Write;
use std::fs;

/// The settings that the arguments, the environment and the file give.
pub(super) fn load(given: &ArgMatches) -> Result<Settings, Failure> {
    let variables: Vec<(String, String)> = env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let named = given.try_get_one::<String>("config").ok().flatten().cloned();
    let file = match named.or_else(|| env::var(CONFIG_VARIABLE).ok().filter(|path| !path.is_empty())) {
        Some(path) => Some((path.clone(), read(&path)?)),
        None => None,
    };
    Ok(Sources { flags: settings::given(given), variables, file }.load()?)
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::usage(
            format!("settings file {path}: {error}"),
            "`longwire genconfig > longwire.toml` writes one to start from",
        )
    })
}

/// `longwire checkconfig`: all checks of a start that need no socket.
pub(super) fn check(given: &ArgMatches) -> Result<(), Failure> {
    let settings = load(given)?;
    settings.check_sign_in().map_err(Failure::failed)?;
    settings.check_store().map_err(Failure::failed)?;
    serve::verifier(&settings)?;
    let tls = Tls::load(&settings)?;
    let cores = cores::resolve(&settings.server_cores)?;
    settings.check_shares(cores.len()).map_err(Failure::failed)?;
    let defaults = Settings::default();
    let mut page = format!("ok: a server would start on core {}\n", cores::list(&cores));
    for row in ROWS.iter().filter(|row| (row.show)(&settings) != (row.show)(&defaults)) {
        let _ = writeln!(page, "  {} = {}", row.key, (row.show)(&settings));
    }
    if let Some(warning) = tls.as_ref().and_then(Tls::warning) {
        let _ = writeln!(page, "warning: {warning}");
    }
    print(&page);
    Ok(())
}

/// `longwire genconfig`.
#[allow(clippy::unnecessary_wraps, reason = "every command has this shape")]
pub(super) fn generate(given: &ArgMatches) -> Result<(), Failure> {
    print(&if given.get_flag("markdown") { settings::markdown() } else { settings::toml_template() });
    Ok(())
}
