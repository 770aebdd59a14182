//! Which encodings there are sessions of: counted per shard, and whether any shard has some told to all by one line of
//! memory. Knows no session.

use crate::frame::ENCODINGS;
use crate::wire::Encoding;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many shards have sessions of each encoding. On cache lines of its own: everyone reads it with each event, and it is
/// written only when a shard's first session of an encoding begins or its last one ends.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Speakers([AtomicU32; ENCODINGS]);

/// One shard's count of its sessions by encoding, and its view of the others.
#[derive(Debug)]
pub struct Spoken {
    here: [u32; ENCODINGS],
    speakers: Arc<Speakers>,
}

impl Spoken {
    /// A shard without sessions, among those that share `speakers`.
    pub(super) fn by(speakers: &Arc<Speakers>) -> Self {
        Self { here: [0; ENCODINGS], speakers: Arc::clone(speakers) }
    }

    /// A session begins here. When this returns every shard can see it, before anything reaches its client and whatever
    /// that causes comes back.
    pub(super) fn begins(&mut self, encoding: Encoding) {
        let here = &mut self.here[encoding.index()];
        *here += 1;
        if *here == 1 {
            self.speakers.0[encoding.index()].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A session has ended here.
    pub(super) fn ended(&mut self, encoding: Encoding) {
        let here = &mut self.here[encoding.index()];
        *here -= 1;
        if *here == 0 {
            self.speakers.0[encoding.index()].fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether any shard has a session of this encoding.
    #[inline]
    pub(super) fn anywhere(&self, encoding: Encoding) -> bool {
        self.speakers.0[encoding.index()].load(Ordering::Acquire) > 0
    }

    /// This shard's sessions of an encoding.
    pub(super) fn here(&self, encoding: Encoding) -> u32 {
        self.here[encoding.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_spoken_from_the_first_session_on_any_shard_to_the_last() {
        let speakers = Arc::default();
        let [mut one, mut other] = [Spoken::by(&speakers), Spoken::by(&speakers)];
        let json = Encoding::Json;
        assert!(!one.anywhere(json) && !other.anywhere(json));
        one.begins(json);
        one.begins(json);
        other.begins(json);
        assert_eq!((one.here(json), other.here(json)), (2, 1));
        one.ended(json);
        one.ended(json);
        assert!(one.anywhere(json) && other.anywhere(json), "the other shard has one");
        other.ended(json);
        assert!(!one.anywhere(json) && !other.anywhere(json));
    }
}
