//! Which web pages may connect (protocol: none, the server's own, or those listed). Knows no connection.

use super::HttpRules;
use super::answer::Refusal;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Judges an upgrade by its `Host` and `Origin`.
///
/// In dev mode anyone may sign in, so a page of any site could, through the browser of whoever runs the server; a page can also make
/// its own name resolve to a loopback address, and then both headers agree: hence the name itself is looked at.
pub(super) fn check(host: &str, origin: Option<&str>, rules: &HttpRules) -> Result<(), Refusal> {
    if rules.dev && !is_loopback(host) {
        return Err(Refusal::NotLoopback);
    }
    let Some(origin) = origin else { return Ok(()) };
    if is_own(host, origin)
        || rules.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// Whether the page came from here: the same host and port. Browsers leave out the port that a scheme implies.
fn is_own(host: &str, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let implied = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let bare = |name: &'_ str| name.strip_suffix(implied).unwrap_or(name).to_ascii_lowercase();
    bare(authority) == bare(host)
}

fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.split_once(']').map(|(address, _)| address.parse::<Ipv6Addr>());
        return matches!(address, Some(Ok(address)) if address.is_loopback());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{check, is_loopback, is_own};
    use crate::net::http::HttpRules;

    #[test]
    fn the_servers_own_pages() {
        for (host, origin) in [
            ("localhost:9501", "http://localhost:9501"),
            ("Chat.example.org", "https://chat.example.org"),
            ("chat.example.org:443", "https://chat.example.org"),
            ("chat.example.org", "http://chat.example.org:80"),
            ("[::1]:9501", "http://[::1]:9501"),
        ] {
            assert!(is_own(host, origin), "{host} {origin}");
        }
        for (host, origin) in [
            ("localhost:9501", "http://localhost:3000"),
            ("localhost:9501", "http://localhost"),
            ("chat.example.org", "https://chat.example.org.evil.net"),
            ("chat.example.org:443", "http://chat.example.org"),
            ("localhost", "null"),
            ("", ""),
        ] {
            assert!(!is_own(host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn loopback_names() {
        for host in ["localhost", "LOCALHOST:9501", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:9501"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "localhost.evil.net", "127.evil.net", "10.0.0.1", "[::2]:1", "[::1", "::1", "evil.net:80"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn listed_origins_pass_and_dev_mode_still_wants_a_loopback_name() {
        let mut rules =
            HttpRules { allowed_origins: vec!["https://app.example.org".into()], ..HttpRules::default() };
        assert!(check("chat.example.org", None, &rules).is_ok());
        assert!(check("chat.example.org", Some("https://app.example.org"), &rules).is_ok());
        assert!(check("chat.example.org", Some("https://evil.net"), &rules).is_err());
        rules.dev = true;
        assert!(check("chat.example.org", None, &rules).is_err());
        assert!(check("evil.net:9501", Some("http://evil.net:9501"), &rules).is_err());
        assert!(check("localhost:9501", Some("http://evil.net"), &rules).is_err());
        assert!(check("localhost:9501", Some("http://localhost:9501"), &rules).is_ok());
    }
}
