//! The servers that can be compared by name: which there are, whether one is there, how to get it. Knows no workload.
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::env;
use std::path::{Path, PathBuf};

/// The peers that come with this program.
const REGISTRY: &str = include_str!("../../../peers/peers.toml");
/// The registry's place below a source tree: where it is, the peers are.
const IN_TREE: &str = "bench/peers";
/// Where programs are looked for besides `PATH`: a user's often lacks it.
const SYSTEM: &str = "/usr/sbin";

/// A server that is known by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Peer {
    pub(super) name: String,
    /// Commands as `--spawn` takes them, for a chat workload and for `echo`.
    pub(super) chat: Option<String>,
    pub(super) echo: Option<String>,
    pub(super) dialect: Option<String>,
    #[serde(default)]
    pub(super) echo_options: String,
    needs: Vec<String>,
    get: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    peer: Vec<Peer>,
}

/// Where things are on this machine.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// This program's folder: the other programs of the same build are there.
    bin: PathBuf,
    /// `bench/peers`, if it was found.
    peers: Option<PathBuf>,
}

impl Places {
    /// `peers` as given, or as found above this program or above where it runs.
    pub(super) fn find(peers: Option<PathBuf>) -> anyhow::Result<Self> {
        let program = env::current_exe().context("this program's own path")?;
        let bin = program.parent().context("this program's folder")?.to_owned();
        let above =
            |from: &Path| from.ancestors().map(|folder| folder.join(IN_TREE)).find(|peers| peers.is_dir());
        let here = env::current_dir().ok();
        let peers = peers.or_else(|| above(&bin)).or_else(|| above(here.as_deref()?));
        Ok(Self { bin, peers })
    }

    /// A text of the registry with its places filled in, as words of a command line.
    fn fill(&self, text: &str) -> String {
        let word = |path: &Path| shell_words::quote(&path.to_string_lossy()).into_owned();
        let peers = self.peers.as_deref().unwrap_or_else(|| Path::new(IN_TREE));
        text.replace("{bin}", &word(&self.bin)).replace("{peers}", &word(peers))
    }

    fn has(&self, need: &str) -> bool {
        let need = need.replace("{bin}", &self.bin.to_string_lossy());
        let need = match &self.peers {
            Some(peers) => need.replace("{peers}", &peers.to_string_lossy()),
            None => need,
        };
        if need.contains('/') {
            return Path::new(&need).exists();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).chain([PathBuf::from(SYSTEM)]).any(|folder| folder.join(&need).is_file())
    }
}

impl Peer {
    /// All of them, their commands filled in.
    pub(super) fn all(places: &Places) -> anyhow::Result<Vec<Self>> {
        let registry: Registry = toml::from_str(REGISTRY).context("the registry of peers")?;
        let fill = |peer: Self| Self {
            chat: peer.chat.map(|command| places.fill(&command)),
            echo: peer.echo.map(|command| places.fill(&command)),
            get: places.fill(&peer.get),
            ..peer
        };
        Ok(registry.peer.into_iter().map(fill).collect())
    }

    /// Says what is missing, and how to get it.
    pub(super) fn check(&self, places: &Places) -> anyhow::Result<()> {
        let missing = self.needs.iter().find(|need| !places.has(need));
        ensure!(missing.is_none(), "{} is not there; get it by: {}", self.name, self.get);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialect::Dialect;

    #[test]
    fn the_registry_reads_and_its_dialects_exist() {
        let places = Places { bin: "/a b/bin".into(), peers: Some("/p".into()) };
        let peers = Peer::all(&places).unwrap();
        for peer in &peers {
            assert!(peer.chat.is_some() || peer.echo.is_some(), "{peer:?}");
            for command in peer.chat.iter().chain(&peer.echo) {
                assert!(command.contains("{port}") && !command.contains("{bin}"), "{command}");
                assert!(shell_words::split(command).unwrap()[0] != "/a", "{command}");
            }
            peer.dialect.iter().for_each(|name| drop(Dialect::named(name).unwrap()));
        }
        let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["longwire", "longwire-echo", "tcp-echo", "tokio", "ws", "socketio", "nchan"]);
    }

    #[test]
    fn what_is_not_there_is_told_with_how_to_get_it() {
        let places = Places { bin: "/nowhere".into(), peers: None };
        let error = Peer::all(&places).unwrap()[0].check(&places).unwrap_err().to_string();
        assert!(error.contains("longwire is not there") && error.contains("cargo build"), "{error}");
        assert!(places.has("sh") && !places.has("no-such-program"));
    }
}
