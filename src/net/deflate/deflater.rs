//! Frames to compressed ones, once for all receivers of a frame that agreed on the same window. Knows no receiver.

use super::Window;
use crate::frame::Frame;
use crate::limits::{DEFLATED_FRAMES, SCRATCH_KEPT};
use crate::metrics::{Counter, Counters};
use crate::net::frame::{self, Opcode};
use flate2::{Compress, Compression, FlushCompress};

/// What a flush ends with, and a message leaves out (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// What a flush takes, and enough more that a codec which is done leaves some over (bytes).
const FLUSH_ROOM: usize = 64;

/// How frames are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// From 1, the fastest, to 9.
    pub level: u32,
    /// Messages below this go as they are (bytes).
    pub min_size: usize,
}

/// A frame that someone may go on sending, and what became of it in each window.
#[derive(Debug)]
struct Known {
    /// Held, so that no other frame can come to lie at its place; by nobody else in here.
    source: Frame,
    packed: [Packed; Window::COUNT],
}

#[derive(Debug, Default)]
enum Packed {
    #[default]
    Untried,
    /// It gets no smaller.
    Plain,
    Smaller(Frame),
}

/// The compressors of a core, one a window, made when first used.
#[derive(Debug)]
pub struct Deflater {
    config: Config,
    codecs: [Option<Compress>; Window::COUNT],
    scratch: Vec<u8>,
    /// Frames that somebody may still send, the newest last.
    known: Vec<Known>,
}

impl Deflater {
    /// Without any compressor yet.
    pub fn new(config: Config) -> Self {
        Self { config, codecs: Default::default(), scratch: Vec::new(), known: Vec::new() }
    }

    /// The frame as a receiver gets it that agreed on `window`: compressed if it is a message, not too small, and gets smaller.
    ///
    /// A frame that goes to many is compressed for the first. It is known again as long as whoever sends it holds it, like a fan-out
    /// that takes many turns; of more than `DEFLATED_FRAMES` at a time the oldest is forgotten, and compressed anew for the rest.
    pub fn pack(&mut self, frame: &Frame, window: Window, counters: &mut Counters) -> Frame {
        let Some((opcode, payload)) = frame::message_in(frame.bytes()) else { return frame.clone() };
        if payload.len() < self.config.min_size {
            return frame.clone();
        }
        let place = self.place_of(frame);
        if let Packed::Untried = self.known[place].packed[window.index()] {
            counters.count(Counter::FramesDeflated);
            self.known[place].packed[window.index()] = self.deflate(opcode, payload, window);
        }
        match &self.known[place].packed[window.index()] {
            Packed::Smaller(packed) => packed.clone(),
            Packed::Plain | Packed::Untried => frame.clone(),
        }
    }

    /// Forgets frames that nobody else holds any more, and gives back a buffer that a large one has grown: once a turn.
    pub fn rest(&mut self) {
        if !self.known.is_empty() {
            self.known.retain(|known| known.source.is_shared());
        }
        if self.scratch.capacity() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
    }

    /// How many frames it would know again.
    pub fn known_frames(&self) -> usize {
        self.known.len()
    }

    /// Where a frame is known, which it is from now on: most often it is the newest.
    fn place_of(&mut self, frame: &Frame) -> usize {
        if let Some(place) = self.known.iter().rposition(|known| known.source.is(frame)) {
            return place;
        }
        if self.known.len() == DEFLATED_FRAMES {
            self.known.retain(|known| known.source.is_shared());
        }
        if self.known.len() == DEFLATED_FRAMES {
            self.known.remove(0);
        }
        self.known.push(Known { source: frame.clone(), packed: Default::default() });
        self.known.len() - 1
    }

    fn deflate(&mut self, opcode: Opcode, payload: &[u8], window: Window) -> Packed {
        let level = Compression::new(self.config.level);
        let mut codec = self.codecs[window.index()]
            .take()
            .unwrap_or_else(|| Compress::new_with_window_bits(level, false, window.bits()));
        codec.reset();
        frame::begin(&mut self.scratch);
        let start = self.scratch.len();
        self.scratch.reserve(room_for(payload.len()));
        let done = codec.compress_vec(payload, &mut self.scratch, FlushCompress::Sync);
        if done.is_err() || self.scratch.len() == self.scratch.capacity() {
            // It may have more to write, and zlib-rs (0.6.8) loses that much of its own room at each reset, until it panics for
            // want of it: such a codec is not used again.
            return Packed::Plain;
        }
        self.codecs[window.index()] = Some(codec);
        let end = self.scratch.len().saturating_sub(TAIL.len());
        if !self.scratch.ends_with(&TAIL) || end >= start + payload.len() {
            return Packed::Plain;
        }
        self.scratch.truncate(end);
        Packed::Smaller(Frame::new(frame::finish_compressed(&mut self.scratch, opcode)))
    }
}

/// More than any level writes: a byte takes nine bits at most, or five bytes stand before a block of what is not compressed.
fn room_for(payload: usize) -> usize {
    payload + payload / 8 + payload / 64 + FLUSH_ROOM
}
