//! `longwire tune`: the machine's checklist, and its changes. Knows no knob.

use super::{Failure, config, print};
use crate::settings::{self, CONFIG_VARIABLE, CoreList, Settings};
use crate::tune::{Applied, Facts, Goal, Outcome, Page, applied_text, apply, keep};
use clap::ArgMatches;
use std::env;

/// Connections to tune for when nothing says how many.
pub(super) const CONNECTIONS: u64 = 1_000_000;
const LIMIT: &str = "server.connection_limit";

/// Prints the checklist, or makes its changes and tells what became of them.
pub(super) fn run(given: &ArgMatches) -> Result<(), Failure> {
    let settings = config::load(given)?;
    let text = |id: &str| given.get_one::<String>(id).map_or("", String::as_str);
    let facts = Facts::new(text("root"), text("pid"));
    let goal = goal(given, &settings);
    let mut page = Page::new(&facts, &goal);
    let json = given.get_flag("json");
    if given.get_flag("apply") {
        let applied = apply(&facts, &page.knobs, given.get_flag("dry-run"));
        let kept = if given.get_flag("keep") { keep(&facts, &applied) } else { Ok(Vec::new()) };
        // What the machine is like now, not what it was.
        page = Page::new(&facts, &goal);
        page.applied = applied;
        if !json {
            print(&applied_text(&page.applied));
        }
        let kept = kept.map_err(|error| Failure::failed(format!("what was set will not stay: {error}")))?;
        if !json {
            kept.iter().for_each(|file| print(&format!("stays by   {file}\n")));
        }
    }
    if json {
        let text = serde_json::to_string_pretty(&page).map_err(Failure::failed)?;
        print(&(text + "\n"));
    } else if !given.get_flag("apply") {
        print(&page.text());
    }
    verdict(&page, given)
}

fn verdict(page: &Page, given: &ArgMatches) -> Result<(), Failure> {
    let refused = |change: &&Applied| matches!(change.outcome, Outcome::Refused(_));
    match (page.applied.iter().filter(refused).count(), page.changes()) {
        (0, 0) => Ok(()),
        (0, left) if given.get_flag("check") => Err(Failure::failed(format!("{left} to change"))),
        (0, _) => Ok(()),
        (refused, _) => Err(Failure::failed(format!("{refused} refused"))
            .next("run it as root, outside of containers that mount /proc/sys read-only")),
    }
}

/// What a server with these settings would make room for; a million when there are no settings of one.
fn goal(given: &ArgMatches, settings: &Settings) -> Goal {
    let variable = settings::row(LIMIT).map(settings::Row::variable).unwrap_or_default();
    let set = settings::given(given).iter().any(|(key, _)| key == LIMIT)
        || given.contains_id("config")
        || [CONFIG_VARIABLE, &variable].iter().any(|name| env::var_os(name).is_some());
    let cores = match &settings.server_cores {
        CoreList::All => None,
        CoreList::Only(cores) => Some(cores.clone()),
    };
    let connections = if set { u64::from(settings.server_connection_limit) } else { CONNECTIONS };
    Goal { connections, cores, listen: settings.server_listen.clone() }
}
