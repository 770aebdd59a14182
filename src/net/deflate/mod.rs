//! permessage-deflate (RFC 7692): a message compressed and inflated by itself, with codecs that a core's connections share. Knows no
//! connection.
//!
//! No context is kept from one message to the next in either direction, so a connection costs nothing but the byte that holds what
//! it agreed on. flate2's zlib-rs does the work: `docs/measurements.md` has what it takes, and why it was chosen.

mod deflater;
mod inflater;
#[cfg(test)]
mod tests;

pub use deflater::{Config, Deflater};
pub use inflater::Inflater;

/// How far back a compressor may look: 2 to the power of 9 to 15 bytes. Its number is never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window(u8);

impl Window {
    /// The fewest bits: what zlib calls a raw window of 8 is one of 9, which a peer that asked for 8 could not read.
    const MIN_BITS: u8 = 9;
    const MAX_BITS: u8 = 15;
    /// How many there are.
    const COUNT: usize = (Self::MAX_BITS - Self::MIN_BITS + 1) as usize;
    /// What a peer reads that asks for nothing.
    pub const MAX: Self = Self(Self::MAX_BITS);

    /// The window of so many bits, if there is one.
    pub fn of(bits: u8) -> Option<Self> {
        (Self::MIN_BITS..=Self::MAX_BITS).contains(&bits).then_some(Self(bits))
    }

    /// Its number of bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Its place among all.
    fn index(self) -> usize {
        usize::from(self.0 - Self::MIN_BITS)
    }
}
