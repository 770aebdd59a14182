//! How many connections each address has, on all cores together. Knows no connection.
//!
//! The kernel spreads one address's connections over the cores, so this is the one count that they share: behind a lock, since
//! it is touched when a connection comes and when it has gone, and not at all without a limit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections past the limit that are still told so, as a multiple of the limit; further ones are closed at once, so that
/// they cannot hold slots by asking slowly.
const TOLD: u32 = 2;

/// The counts, of addresses that have connections only: the server's places for connections bound them.
#[derive(Debug)]
pub struct Crowd {
    limit: u32,
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's part of its address's count, until it is dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    network: IpAddr,
    over: bool,
}

impl Crowd {
    /// Counts up to so many for each address.
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, counts: Mutex::default() })
    }

    /// A place for one more connection; none if its address has far too many.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut counts = self.counts();
        let count = counts.entry(network).or_default();
        if *count >= self.limit.saturating_mul(TOLD) {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Arc::clone(self), network, over: *count > self.limit })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // A count is whole after each step.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether it is past the limit: the connection is to be told, not served.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

/// Whom an address belongs to: of IPv6 everybody has a network of 64 bits at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_places_and_as_many_to_be_told() {
        let crowd = Crowd::new(2);
        let mut places: Vec<Place> = std::iter::from_fn(|| crowd.enter(ip("192.0.2.1"))).collect();
        assert_eq!(places.iter().map(Place::is_over).collect::<Vec<_>>(), [false, false, true, true]);
        assert!(crowd.enter(ip("192.0.2.2")).is_some_and(|place| !place.is_over()));
        places.truncate(1);
        assert!(
            crowd.enter(ip("::ffff:192.0.2.1")).is_some_and(|place| !place.is_over()),
            "the same address"
        );
        places.clear();
        assert!(crowd.counts().is_empty(), "who has gone is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let crowd = Crowd::new(1);
        let addresses = ["2001:db8::1", "2001:db8::2:3:4:5", "2001:db8:0:1::1"];
        let places: Vec<Place> = addresses.iter().filter_map(|address| crowd.enter(ip(address))).collect();
        assert_eq!(places.iter().map(Place::is_over).collect::<Vec<_>>(), [false, true, false]);
    }
}
