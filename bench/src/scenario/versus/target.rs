//! One side of a comparison: a server by name, by address or by command, and the options that go with it. Knows no workload.
use super::peers::{Peer, Places};
use anyhow::{Context, bail, ensure};
use std::fmt;

/// What a server speaks that the registry does not know, unless it is said: what most of those speak that it knows, so
/// that all do the same work.
const DIALECT: &str = "tutorial";

/// A `--target` as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    name: String,
    what: String,
}

/// A `--with` as it was typed: options of the workload for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct With {
    name: String,
    options: Vec<String>,
}

/// A server to measure.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: String,
    server: Server,
    /// Options that only this target's runs have.
    own: Vec<String>,
}

#[derive(Debug, Clone)]
enum Server {
    Peer(Peer),
    /// Started by a command, for any workload.
    Command(String),
    /// Running: the workload's options that lead to it.
    Running(Vec<String>),
}

impl Wanted {
    /// `NAME`, or `NAME=WHAT`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, what) = text.split_once('=').unwrap_or((text, text));
        if name.is_empty() || name.contains(char::is_whitespace) || what.is_empty() {
            return Err("give it a name: NAME=WHAT".into());
        }
        Ok(Self { name: name.to_owned(), what: what.to_owned() })
    }

    /// Which server that is, and whether it is there.
    pub(super) fn resolve(&self, peers: &[Peer], places: &Places) -> anyhow::Result<Target> {
        let what = &self.what;
        let server = if let Some(peer) = peers.iter().find(|peer| peer.name == *what) {
            peer.check(places)?;
            Server::Peer(peer.clone())
        } else if what.starts_with("ws://") || what.starts_with("wss://") || what.starts_with("tcp://") {
            Server::Running(running(what)?)
        } else if what == &self.name {
            let known: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
            bail!(
                "no server is called {what}: there are {}, or NAME=ws://…, or NAME=\"COMMAND {{port}}\"",
                known.join(", ")
            );
        } else {
            Server::Command(what.clone())
        };
        Ok(Target { name: self.name.clone(), server, own: Vec::new() })
    }
}

/// `ws://host:port/path,pid=123,dialect=socketio` as options.
fn running(text: &str) -> anyhow::Result<Vec<String>> {
    let mut parts = text.split(',');
    let mut options = vec!["--url".to_owned(), parts.next().unwrap_or_default().to_owned()];
    for part in parts {
        let option = match part.split_once('=') {
            Some(("pid", pid)) => ["--server-pid", pid],
            Some(("dialect", dialect)) => ["--dialect", dialect],
            _ => bail!("{text}: behind the address there may be pid=… and dialect=…, not {part}"),
        };
        options.extend(option.map(str::to_owned));
    }
    if !options.iter().any(|option| option == "--dialect") {
        options.extend(["--dialect", DIALECT].map(str::to_owned));
    }
    Ok(options)
}

impl With {
    /// `NAME=OPTIONS`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, options) = text.split_once('=').ok_or("it is NAME=OPTIONS")?;
        let options = shell_words::split(options).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), options })
    }
}

impl Target {
    /// Those that were asked for; without any, all that are there. What is missing is told by `say`.
    pub(super) fn choose(
        wanted: &[Wanted],
        with: &[With],
        places: &Places,
        say: impl Fn(&str),
    ) -> anyhow::Result<Vec<Self>> {
        let peers = Peer::all(places)?;
        let mut targets = Vec::new();
        for wanted in wanted {
            let target = wanted.resolve(&peers, places)?;
            ensure!(
                targets.iter().all(|other: &Self| other.name != target.name),
                "two targets are called {}",
                target.name
            );
            targets.push(target);
        }
        if wanted.is_empty() {
            for peer in peers {
                match peer.check(places) {
                    Ok(()) => {
                        let name = peer.name.clone();
                        targets.push(Self { name, server: Server::Peer(peer), own: Vec::new() });
                    }
                    Err(missing) => say(&format!("skipped: {missing}")),
                }
            }
        }
        for With { name, options } in with {
            let target = targets.iter_mut().find(|target| target.name == *name);
            target
                .with_context(|| format!("--with {name}=…: no target is called that"))?
                .own
                .extend_from_slice(options);
        }
        Ok(targets)
    }

    /// The workload's words, for this server; `None` when it has nothing for this kind of workload. `head` names the workload;
    /// what was typed behind it wins over what the target has of its own accord, and the target's own options over both.
    pub(super) fn words(&self, head: &[String], typed: &[String], echo: bool) -> Option<Vec<String>> {
        let mut words = head.to_vec();
        match &self.server {
            Server::Running(options) => words.extend_from_slice(options),
            Server::Command(command) => {
                words.extend(["--spawn", command, "--dialect", DIALECT].map(str::to_owned));
            }
            Server::Peer(peer) if echo => {
                words.extend(["--spawn".to_owned(), peer.echo.clone()?]);
                words.extend(peer.echo_options.split_whitespace().map(str::to_owned));
            }
            Server::Peer(peer) => {
                words.extend(["--spawn".to_owned(), peer.chat.clone()?]);
                words.extend(peer.dialect.iter().flat_map(|name| ["--dialect".to_owned(), name.clone()]));
            }
        }
        words.extend([typed, &self.own].concat());
        Some(words)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Server::Peer(peer) => f.write_str(&peer.name)?,
            Server::Command(command) => f.write_str(command)?,
            Server::Running(options) => f.write_str(&options[1])?,
        }
        if self.own.is_empty() { Ok(()) } else { write!(f, ", with {}", self.own.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, echo: bool) -> Option<Vec<String>> {
        let places = Places::find(None).unwrap();
        let peers = Peer::all(&places).unwrap();
        Wanted::parse(text).unwrap().resolve(&peers, &places).unwrap().words(&[], &[], echo)
    }

    #[test]
    fn a_running_server_is_reached_by_its_address() {
        assert_eq!(
            target("swoole=ws://127.0.0.1:9501/", false).unwrap(),
            ["--url", "ws://127.0.0.1:9501/", "--dialect", "tutorial"]
        );
        assert_eq!(
            target("mine=ws://h:1/x,pid=7,dialect=socketio", true).unwrap(),
            ["--url", "ws://h:1/x", "--server-pid", "7", "--dialect", "socketio"]
        );
    }

    #[test]
    fn a_command_is_started() {
        assert_eq!(
            target("mine=./server --port={port}", false).unwrap(),
            ["--spawn", "./server --port={port}", "--dialect", "tutorial"]
        );
    }

    #[test]
    fn what_is_typed_wins_over_the_targets_habits_and_its_own_options_over_all() {
        let places = Places::find(None).unwrap();
        let wanted = [Wanted::parse("mine=ws://h:1/,dialect=nchan").unwrap()];
        let with = [With::parse("mine=--ids --dialect longwire").unwrap()];
        let targets = Target::choose(&wanted, &with, &places, |_| {}).unwrap();
        let (head, typed) = (["pairs".to_owned()], ["--users=4".to_owned()]);
        let words = targets[0].words(&head, &typed, false).unwrap().join(" ");
        assert_eq!(words, "pairs --url ws://h:1/ --dialect nchan --users=4 --ids --dialect longwire");
        assert_eq!(targets[0].to_string(), "ws://h:1/, with --ids --dialect longwire");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let places = Places::find(None).unwrap();
        let error = |wanted: &[&str], with: &[&str]| {
            let wanted: Vec<Wanted> = wanted.iter().map(|text| Wanted::parse(text).unwrap()).collect();
            let with: Vec<With> = with.iter().map(|text| With::parse(text).unwrap()).collect();
            format!("{:#}", Target::choose(&wanted, &with, &places, |_| {}).unwrap_err())
        };
        assert!(error(&["nobody"], &[]).contains("tokio, ws, socketio"));
        assert!(error(&["a=x {port}", "a=y {port}"], &[]).contains("two targets"));
        assert!(error(&["a=ws://h:1/,cpu=7"], &[]).contains("not cpu=7"));
        assert!(error(&["a=x {port}"], &["b=--ids"]).contains("no target"));
        assert!(Wanted::parse("=x").is_err() && With::parse("x").is_err());
    }
}
