//! A finished server frame, encoded once and shared by all its receivers. Knows nothing of what is inside.

use std::num::NonZeroU64;
use std::sync::Arc;

/// The number of encodings a [`Frames`] has room for; `wire::Encoding` has as many variants.
pub const ENCODINGS: usize = 2;

/// Frames up to this size count as if each holder had its own copy (bytes).
const SHARED_MIN: usize = 256;

/// The bytes of one WebSocket frame, header included, ready to be written to any number of connections.
#[derive(Clone, Debug)]
pub struct Frame(Arc<[u8]>);

impl Frame {
    /// Copies finished bytes into one shared allocation.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// The bytes, header included.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Their number.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Whether the other is this frame, not only one of the same bytes.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The part of its memory that is one holder's, where all who hold it share alike.
    pub fn share(&self) -> usize {
        // To look at who holds it costs more than a small frame is worth.
        if self.size() <= SHARED_MIN { self.size() } else { self.size() / Arc::strong_count(&self.0) }
    }

    /// Whether someone else holds it as well.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// One event in each encoding that anyone speaks, by the encoding's index; what nobody speaks is not written.
#[derive(Clone, Debug)]
pub struct Frames([Option<Frame>; ENCODINGS]);

// An absent frame costs no flag beside it: mails carry these.
const _: () = assert!(size_of::<Frames>() == ENCODINGS * size_of::<Frame>());

impl Frames {
    /// Asks for the frame of each encoding that is spoken, by its index.
    pub fn of_spoken(spoken: [bool; ENCODINGS], mut frame: impl FnMut(usize) -> Frame) -> Self {
        Self(std::array::from_fn(|n| spoken[n].then(|| frame(n))))
    }

    /// For whoever comes: a frame of every encoding.
    pub fn of_all(frame: impl FnMut(usize) -> Frame) -> Self {
        Self::of_spoken([true; ENCODINGS], frame)
    }

    /// The frame of one encoding, if it was spoken when this was encoded.
    #[inline]
    pub fn get(&self, encoding: usize) -> Option<&Frame> {
        self.0[encoding].as_ref()
    }
}

/// What an ephemeral frame is about, as a number: of two with the same topic only the newer need be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topic(NonZeroU64);

impl Topic {
    /// A topic by its hash, whose lowest bit does not count.
    pub fn new(hash: u64) -> Self {
        Self(NonZeroU64::MIN | hash)
    }
}

/// What may happen to a frame whose receiver is slow (design D7: latest ephemeral first, then stored, then the session).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Typing, presence, group events: may be dropped and is counted, and gives way to a newer one of its topic.
    Ephemeral(Option<Topic>),
    /// A message that is in the log: may be dropped once the session is told to `resync`.
    Stored,
    /// An answer to the session's own command, which owed it: never dropped while the connection lives.
    Reply,
    /// What a session is told that no command asked for, as that one was refused which is not answered else: never dropped either.
    Told,
}
