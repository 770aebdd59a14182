//! `longwire store`: files and standard streams for what looks after a stopped store, and words for what it found. Knows no format.

mod page;

use super::{Failure, config, print};
use crate::ids::ConversationId;
use crate::store::{self, ImportError, RebuildError, Stopped};
use clap::ArgMatches;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a long work says how far it has come.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Runs one of its commands.
pub(super) fn run(given: &ArgMatches) -> Result<(), Failure> {
    let Some((command, given)) = given.subcommand() else {
        return Err(Failure::usage("no command is given", "see `longwire store --help`"));
    };
    let settings = config::load(given)?;
    let Some(folder) = settings.store_data_dir else {
        return Err(Failure::usage("no folder is given", "name the store's: --data-dir DIR"));
    };
    match command {
        "check" => check(&folder),
        "stats" => stats(&folder),
        "export" => export(&folder, given),
        "import" => import(&folder, given),
        "delete" => delete(&folder, given),
        _ => rebuild(&folder, given),
    }
}

/// Says on standard error how far it has come: on a terminal in one line, else now and then.
fn progress() -> impl FnMut(&'static str, u64) {
    let (mut told, is_terminal) = (Instant::now(), io::stderr().is_terminal());
    move |doing, done| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprint!("{done} {doing}{}", if is_terminal { "\u{1b}[K\r" } else { "\n" });
        }
    }
}

fn check(folder: &Path) -> Result<(), Failure> {
    let store = Stopped::open(folder).map_err(Failure::failed)?;
    let found = store::check(&store, &mut progress());
    print(&page::checked(&found));
    match found.faults_found {
        0 => Ok(()),
        1 => Err(Failure::failed("1 fault")),
        faults => Err(Failure::failed(format!("{faults} faults"))),
    }
}

fn stats(folder: &Path) -> Result<(), Failure> {
    let store = Stopped::open(folder).map_err(Failure::failed)?;
    let stats = store::stats(&store, &mut progress()).map_err(checkable)?;
    print(&page::stats(&stats));
    Ok(())
}

fn checkable(error: impl std::fmt::Display) -> Failure {
    Failure::failed(error).next("`longwire store check` tells what is damaged, and what to do")
}

fn export(folder: &Path, given: &ArgMatches) -> Result<(), Failure> {
    let store = Stopped::open(folder).map_err(Failure::failed)?;
    let (name, view_only) = (file(given).unwrap_or("-"), given.get_flag("view-only"));
    let written = |error: io::Error| Failure::failed(format!("{name}: {error}"));
    let done = if name == "-" {
        store::export(&store, view_only, &mut io::stdout().lock(), &mut progress()).map_err(checkable)?
    } else {
        // It gets its name when it is whole and on the disk.
        let part = PathBuf::from(format!("{name}.part"));
        let mut private = OpenOptions::new();
        private.write(true).create(true).truncate(true).mode(0o600);
        let mut out = private.open(&part).map_err(written)?;
        let done = store::export(&store, view_only, &mut out, &mut progress()).map_err(checkable)?;
        out.sync_all().and_then(|()| fs::rename(part, name)).map_err(written)?;
        done
    };
    eprintln!("{}", page::exported(&done));
    Ok(())
}

fn file(given: &ArgMatches) -> Option<&str> {
    given.get_one::<String>("file").map(String::as_str)
}

fn open(name: &str) -> Result<Box<dyn BufRead>, Failure> {
    if name == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(name).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

fn import(folder: &Path, given: &ArgMatches) -> Result<(), Failure> {
    let mut lines = open(file(given).unwrap_or("-"))?;
    let done = store::import(folder, &mut lines, &mut progress()).map_err(|error| match error {
        ImportError::NotEmpty(_) => Failure::failed(error).next("name another folder with --data-dir"),
        error => Failure::failed(error),
    })?;
    eprintln!("{}", page::imported(&done));
    Ok(())
}

fn delete(folder: &Path, given: &ArgMatches) -> Result<(), Failure> {
    let name = given.get_one::<String>("conversation").map_or("", String::as_str);
    let conversation = ConversationId::parse(name).map_err(|_| {
        Failure::usage(
            format!("`{name}` is no conversation"),
            "name a private one like u:alice:bob, its users in byte order, or a group's like g:garden",
        )
    })?;
    let done = store::delete(folder, &conversation).map_err(Failure::failed)?;
    eprintln!("{}", page::deleted(&conversation, &done));
    Ok(())
}

fn rebuild(folder: &Path, given: &ArgMatches) -> Result<(), Failure> {
    let mut lines = file(given).map(open).transpose()?;
    let lines = lines.as_mut().map(|lines| lines as &mut dyn BufRead);
    let done =
        store::rebuild(folder, lines, given.get_flag("accept-loss"), &mut progress()).map_err(|error| {
            let next = match &error {
                RebuildError::NeedsExport | RebuildError::Gap { .. } => {
                    "longwire store rebuild --data-dir DIR EXPORT"
                }
                _ => "docs/storage.md tells what can be done",
            };
            Failure::failed(error).next(next)
        })?;
    eprintln!("{}", page::rebuilt(&done));
    io::stderr().flush().map_err(Failure::failed)
}
