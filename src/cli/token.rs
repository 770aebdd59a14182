//! `longwire gentoken`: a signed token for one user. Knows no server.

use super::{Failure, config, print};
use crate::auth::{Grant, Key, issue};
use crate::clock::Clock;
use crate::ids::{BadName, GroupName, UserName};
use crate::settings::Value;
use clap::ArgMatches;
use std::time::{Duration, Instant};

/// Prints the token alone, so that a script can take it.
pub(super) fn generate(given: &ArgMatches) -> Result<(), Failure> {
    let settings = config::load(given)?;
    let Some(path) = &settings.token_key_file else {
        return Err(Failure::usage(
            "no key to sign with",
            "give the server's --token-key FILE; make one: `head -c 32 /dev/urandom | base64 > token.key`",
        ));
    };
    let text = |id: &str| given.get_one::<String>(id).map_or("", String::as_str);
    let bad =
        |flag: &str, error: BadName| Failure::usage(format!("--{flag}: {error}"), "choose another name");
    let groups: Result<Vec<_>, _> =
        given.get_many::<String>("group").unwrap_or_default().map(|g| GroupName::new(g)).collect();
    let grant = Grant {
        user: UserName::new(text("user")).map_err(|error| bad("user", error))?,
        ttl: ttl(text("ttl"))?,
        groups: groups.map_err(|error| bad("group", error))?,
        broadcast: given.get_flag("broadcast"),
        audience: settings.token_audience.clone(),
        issuer: settings.token_issuer.clone(),
    };
    let key = Key::from_file(path).map_err(Failure::failed)?;
    let now = Clock::new(Instant::now()).now().wall;
    let token = issue(&key, &grant, now).map_err(|_| {
        Failure::failed("the token would be too long to be accepted").next("name fewer groups")
    })?;
    print(&format!("{token}\n"));
    Ok(())
}

fn ttl(text: &str) -> Result<Duration, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--ttl: `{text}` {why}"), "try `--ttl 1h`");
    let ttl = Duration::read(text).map_err(|why| wrong(&why))?;
    if ttl.as_secs() == 0 { Err(wrong("is less than a second")) } else { Ok(ttl) }
}
