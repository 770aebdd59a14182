//! What a text says about where to listen. Opens nothing; knows no socket and no setting.

use crate::limits::{LISTENERS_MAX, UNIX_PATH_MAX};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What may be written.
const FORMS: &str = "write IP:PORT or ws://IP:PORT, like 127.0.0.1:9501 or [::1]:9501, wss://IP:PORT for TLS, \
                     or unix:/PATH; each may end with ?proxy=v2";

/// A place to listen, and what is spoken there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Debug)]
pub struct Endpoint {
    /// Where.
    pub place: Place,
    /// Whether connections are TLS (`wss`).
    pub tls: bool,
    /// Whether each connection begins with a header of the PROXY protocol, version 2.
    pub proxy: bool,
}

/// Where clients, or the proxy in front of them, connect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Debug)]
pub enum Place {
    /// TCP; port 0 takes a free one.
    Ip(SocketAddr),
    /// A Unix stream socket: a file.
    Unix(PathBuf),
}

impl Endpoint {
    /// Plain WebSocket over TCP.
    pub fn plain(address: SocketAddr) -> Self {
        Self { place: Place::Ip(address), tls: false, proxy: false }
    }

    /// Reads a list with commas between its items.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        if items.len() > LISTENERS_MAX {
            return Err(format!("names {} places; a server listens on {LISTENERS_MAX} at most", items.len()));
        }
        let read = |item: &&str| match item.parse::<Self>() {
            Err(why) if items.len() > 1 => Err(format!("names `{item}`, which {why}")),
            other => other,
        };
        let list = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let same = |a: &Self, b: &Self| a.place == b.place && a.address().is_none_or(|at| at.port() != 0);
        let part = |one: SocketAddr, all: SocketAddr| {
            let same_port = one.port() == all.port() && one.port() != 0;
            same_port && one.is_ipv4() == all.is_ipv4() && all.ip().is_unspecified() && one.ip() != all.ip()
        };
        let addresses: Vec<SocketAddr> = list.iter().filter_map(Self::address).collect();
        let pairs = || addresses.iter().flat_map(|one| addresses.iter().map(move |all| (*one, *all)));
        if let Some((one, all)) = pairs().find(|(one, all)| part(*one, *all)) {
            return Err(format!("names {one} beside {all}, of which it is a part"));
        }
        match (1..list.len()).find(|&i| list[..i].iter().any(|other| same(other, &list[i]))) {
            Some(twice) => Err(format!("names {} twice", list[twice].place)),
            None => Ok(list),
        }
    }

    /// Its address, if it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Ip(address) => Some(address),
            Place::Unix(_) => None,
        }
    }

    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.ip().is_loopback())
    }

    /// How a client names it: a URL, or the socket's file.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Ip(address) => format!("{}://{address}/", if self.tls { "wss" } else { "ws" }),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, option) = text.split_once('?').map_or((text, None), |(place, o)| (place, Some(o)));
        let proxy = match option {
            None => false,
            Some("proxy=v2") => true,
            Some(other) => {
                return Err(format!(
                    "ends with ?{other}, which is unknown; ?proxy=v2 is all that can be asked for"
                ));
            }
        };
        if let Some(path) = place.strip_prefix("unix:") {
            return Ok(Self { place: Place::Unix(socket_file(path)?), tls: false, proxy });
        }
        let (tls, address) = match place.split_once("://") {
            None => (false, place),
            Some(("ws", address)) => (false, address),
            Some(("wss", address)) => (true, address),
            Some((scheme, _)) => return Err(format!("begins with {scheme}://, which is unknown; {FORMS}")),
        };
        let address = address.parse().map_err(|_| format!("is not an address to listen on; {FORMS}"))?;
        Ok(Self { place: Place::Ip(address), tls, proxy })
    }
}

fn socket_file(path: &str) -> Result<PathBuf, String> {
    if !Path::new(path).is_absolute() || path.ends_with('/') {
        return Err(
            "does not name a file by its whole path; write unix:/PATH, like unix:/run/longwire/ws".into()
        );
    }
    if path.len() > UNIX_PATH_MAX {
        return Err(format!("has a path of {} bytes; a socket's has {UNIX_PATH_MAX} at most", path.len()));
    }
    Ok(path.into())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// As it is written in the settings.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss://" } else { "" };
        let option = if self.proxy { "?proxy=v2" } else { "" };
        write!(f, "{scheme}{}{option}", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_says_what_it_says_and_is_shown_so() {
        for (text, shown, url) in [
            ("127.0.0.1:9501", "127.0.0.1:9501", "ws://127.0.0.1:9501/"),
            ("ws://[::1]:9501", "[::1]:9501", "ws://[::1]:9501/"),
            ("wss://[::]:443", "wss://[::]:443", "wss://[::]:443/"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock", "unix:/run/a b.sock"),
            ("ws://0.0.0.0:1?proxy=v2", "0.0.0.0:1?proxy=v2", "ws://0.0.0.0:1/"),
            ("unix:/x?proxy=v2", "unix:/x?proxy=v2", "unix:/x"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!((endpoint.to_string(), endpoint.url()), (shown.into(), url.into()));
            assert_eq!(shown.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_MAX));
        for (text, says) in [
            ("", "IP:PORT"),
            ("localhost:9501", "is not an address"),
            ("127.0.0.1", "127.0.0.1:9501"),
            ("ws://127.0.0.1:9501/", "is not an address"),
            ("http://127.0.0.1:80", "begins with http://"),
            ("127.0.0.1:1?proxy=v1", "?proxy=v2 is all"),
            ("127.0.0.1:1?", "?proxy=v2 is all"),
            ("unix:", "whole path"),
            ("unix:run/x", "whole path"),
            ("unix:/run/", "whole path"),
            (&long, "at most"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_list_names_no_place_twice_and_not_too_many() {
        let list = Endpoint::list("127.0.0.1:1, wss://127.0.0.1:2,unix:/x").expect("a list");
        assert_eq!(list.len(), 3);
        assert!(Endpoint::list("127.0.0.1:0,127.0.0.1:0,0.0.0.0:0").is_ok(), "free ports");
        assert!(Endpoint::list("0.0.0.0:1,[::]:1,[::1]:2,127.0.0.1:2").is_ok(), "none is a part of another");
        for (text, says) in [
            ("127.0.0.1:1,wss://127.0.0.1:1", "names 127.0.0.1:1 twice"),
            ("unix:/x,unix:/x?proxy=v2", "names unix:/x twice"),
            ("0.0.0.0:1,wss://127.0.0.1:1", "names 127.0.0.1:1 beside 0.0.0.0:1"),
            ("[::1]:1,[::]:1", "names [::1]:1 beside [::]:1"),
            ("127.0.0.1:1,", "names ``"),
            ("127.0.0.1:1,x", "names `x`, which is not an address"),
            (&["127.0.0.1:0"; LISTENERS_MAX + 1].join(","), "at most"),
        ] {
            let error = Endpoint::list(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
