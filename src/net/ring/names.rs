//! Where the kernel writes from where a connection came, a place for each accept under way. Knows no connections.
#![allow(unsafe_code)]

use crate::limits::ACCEPTS_AT_ONCE;
use socket2::{SockAddr, SockAddrStorage, socklen_t};
use std::cell::UnsafeCell;
use std::net::IpAddr;

const _: () = assert!(ACCEPTS_AT_ONCE <= u64::BITS, "a bit for each place");

/// What the kernel writes.
struct Name {
    address: SockAddrStorage,
    length: socklen_t,
}

/// A place that the kernel may write to until its accept has completed.
pub(super) struct Lent {
    pub(super) number: u32,
    pub(super) address: *mut libc::sockaddr,
    pub(super) length: *mut socklen_t,
}

/// All places of a ring.
pub(super) struct Names {
    // Behind a pointer of its own: where the kernel writes does not move.
    places: Box<[UnsafeCell<Name>]>,
    /// Which of them are lent, a bit each.
    lent: u64,
}

impl Names {
    pub(super) fn new() -> Self {
        let name = || Name { address: SockAddrStorage::zeroed(), length: 0 };
        Self { places: (0..ACCEPTS_AT_ONCE).map(|_| UnsafeCell::new(name())).collect(), lent: 0 }
    }

    /// Lends a place to an accept, if one is left.
    pub(super) fn lend(&mut self) -> Option<Lent> {
        let number = (!self.lent).trailing_zeros();
        let place = self.places.get(number as usize)?.get();
        let address = SockAddrStorage::zeroed();
        let length = address.size_of();
        self.lent |= 1 << number;
        // SAFETY: the place is there, and nobody else has a pointer to it: its bit was clear.
        unsafe {
            *place = Name { address, length };
            Some(Lent {
                number,
                address: (&raw mut (*place).address).cast(),
                length: &raw mut (*place).length,
            })
        }
    }

    /// Takes a place back, whose accept has completed, and reads what was written: nothing where the accept failed.
    pub(super) fn take_back(&mut self, number: u32) -> Option<IpAddr> {
        let place = self.places.get(number as usize)?.get();
        self.lent &= !(1 << number);
        // SAFETY: the kernel is done with the place. It was zeroed when it was lent, so all of it is initialised; what the kernel
        // wrote over that is an address of the family that it names, and without it the family is none.
        let address = unsafe {
            let Name { address, length } =
                place.replace(Name { address: SockAddrStorage::zeroed(), length: 0 });
            SockAddr::new(address, length)
        };
        address.as_socket().map(|address| address.ip())
    }

    /// The places that are lent.
    pub(super) fn lent(&self) -> impl Iterator<Item = u32> + use<> {
        let lent = self.lent;
        (0..u64::BITS).filter(move |number| lent & (1 << number) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_lent_once_and_says_nothing_unless_it_was_written() {
        let mut names = Names::new();
        let all: Vec<Lent> = std::iter::from_fn(|| names.lend()).collect();
        assert_eq!(all.len() as u32, ACCEPTS_AT_ONCE);
        assert!(names.lent().eq(0..ACCEPTS_AT_ONCE));
        assert_eq!(names.take_back(5), None);
        assert_eq!(names.lend().map(|lent| lent.number), Some(5));
        assert_eq!(names.take_back(ACCEPTS_AT_ONCE), None);
        (0..ACCEPTS_AT_ONCE).for_each(|number| assert_eq!(names.take_back(number), None));
        assert_eq!(names.lent().count(), 0);
    }
}
