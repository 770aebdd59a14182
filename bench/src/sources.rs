//! Addresses to connect from: each one has ports of its own. Knows no socket.
use crate::limits::{PER_SOURCE, SOURCES_DEFAULT, SOURCES_MAX};
use anyhow::{Context, ensure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One address, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceRange {
    first: IpAddr,
    count: usize,
}

impl SourceRange {
    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (0..self.count as u128).map(move |nth| match self.first {
            #[allow(clippy::cast_possible_truncation)] // counts are at most `SOURCES_MAX`
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + nth as u32).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + nth).into(),
        })
    }
}

impl FromStr for SourceRange {
    type Err = anyhow::Error;

    /// Reads `127.0.1.1` or `127.0.1.1-127.0.1.128`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let address =
            |text: &str| text.trim().parse::<IpAddr>().with_context(|| format!("{text} is no address"));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (address(first)?, address(last)?);
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        ensure!(
            first.is_ipv4() == last.is_ipv4() && bits(first) <= bits(last),
            "{text} is no range of addresses"
        );
        let more = usize::try_from(bits(last) - bits(first)).unwrap_or(usize::MAX);
        ensure!(more < SOURCES_MAX, "{text} holds more than {SOURCES_MAX} addresses");
        Ok(Self { first, count: more + 1 })
    }
}

/// The addresses of a run: those asked for, or enough of them where a server on this machine is to have more connections
/// than one address is good for; none leaves the choice to the kernel.
pub(crate) fn of_run(asked: &[SourceRange], server: IpAddr, connections: usize) -> Vec<IpAddr> {
    if !asked.is_empty() {
        return asked.iter().copied().flat_map(SourceRange::addresses).take(SOURCES_MAX).collect();
    }
    if connections > PER_SOURCE && server.is_ipv4() && server.is_loopback() {
        let first = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
        return SourceRange { first, count: SOURCES_DEFAULT }.addresses().collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<String>> {
        Ok(text.parse::<SourceRange>()?.addresses().map(|address| address.to_string()).collect())
    }

    #[test]
    fn one_address_and_ranges_are_read() {
        assert_eq!(read("127.0.0.9").unwrap(), ["127.0.0.9"]);
        assert_eq!(read("10.0.0.255-10.0.1.1").unwrap(), ["10.0.0.255", "10.0.1.0", "10.0.1.1"]);
        assert_eq!(read("fd00::ffff-fd00::1:0").unwrap(), ["fd00::ffff", "fd00::1:0"]);
        for wrong in
            ["", "127.0.1", "127.0.0.2-127.0.0.1", "127.0.0.1-fd00::1", "10.0.0.0-10.255.0.0", "::-ffff::"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn many_connections_to_this_machine_are_spread_by_themselves() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(of_run(&[], loopback, PER_SOURCE), Vec::<IpAddr>::new());
        let spread = of_run(&[], loopback, 1_000_000);
        assert_eq!((spread.len(), spread[0]), (SOURCES_DEFAULT, IpAddr::from([127, 0, 1, 1])));
        assert!(spread.len() * PER_SOURCE > 1_000_000);
        assert_eq!(of_run(&[], IpAddr::from([10, 0, 0, 1]), 1_000_000), Vec::<IpAddr>::new());
        let asked = ["127.0.0.9".parse().unwrap(), "127.0.2.1-127.0.2.2".parse().unwrap()];
        assert_eq!(of_run(&asked, loopback, 1_000_000).len(), 3);
    }
}
