//! One message after another out of its compressed form, into a buffer they share. Knows no frame.

use crate::limits::{LAST_BLOCKS_MAX, SCRATCH_KEPT};
use crate::net::inbound::ProtocolError;
use crate::net::utf8;
use flate2::{Decompress, FlushDecompress, Status};

/// What a sender takes off the end of a message (RFC 7692 section 7.2.2), and an empty last block: a message that is whole ends
/// exactly there, and one that was cut off does not.
const END: [u8; 6] = [0, 0, 0xff, 0xff, 3, 0];
/// The first room for an inflated message (bytes); it doubles.
const FIRST_ROOM: usize = 4096;
/// The farthest that deflate looks back (bytes).
const WINDOW: usize = 1 << 15;

/// The decompressor of a core.
#[derive(Debug)]
pub struct Inflater {
    codec: Decompress,
    out: Vec<u8>,
}

impl Default for Inflater {
    /// Of the largest window, which reads what was compressed with any.
    fn default() -> Self {
        Self { codec: Decompress::new(false), out: Vec::new() }
    }
}

impl Inflater {
    /// Inflates a whole message of at most `max` bytes; text is checked to be UTF-8.
    ///
    /// The buffer grows as the message does, never past `max` and one byte: a bomb costs no more than an honest message.
    ///
    /// # Errors
    /// 1007 for what is no deflate data or no text, 1009 for a message over `max`, as soon as it is.
    pub fn inflate(&mut self, payload: &[u8], text: bool, max: usize) -> Result<&[u8], ProtocolError> {
        self.out.clear();
        // Not even an empty message is compressed to nothing (it is one byte 0), but nothing is what it can only mean.
        if !payload.is_empty() {
            self.codec.reset(false);
            if let Err(error) = self.run(payload, max) {
                // What a codec keeps of a message that it did not come to the end of is its own affair, and has been wrong in others: it
                // is not used again. Its sender's connection ends as well, so each can cost one.
                self.codec = Decompress::new(false);
                return Err(error);
            }
        }
        if text && !utf8::is_utf8(&self.out) {
            return Err(ProtocolError::NOT_UTF8);
        }
        Ok(&self.out)
    }

    /// Gives a buffer back that a large message has grown.
    pub fn rest(&mut self) {
        if self.out.capacity() > SCRATCH_KEPT {
            self.out = Vec::new();
        }
    }

    /// The buffer it keeps (bytes).
    pub fn held_bytes(&self) -> usize {
        self.out.capacity()
    }

    fn run(&mut self, payload: &[u8], max: usize) -> Result<(), ProtocolError> {
        let mut rest = payload;
        let mut last_blocks = 0;
        while self.feed(&mut rest, max)? == Status::StreamEnd {
            if rest.is_empty() {
                return Ok(());
            }
            last_blocks += 1;
            if last_blocks > LAST_BLOCKS_MAX {
                return Err(ProtocolError::NOT_DEFLATED);
            }
            // A sender may mark any block as the last one (section 7.2.3.4); the next begins at a byte and may look back.
            let window = self.out.len().saturating_sub(WINDOW);
            self.codec.reset(false);
            self.codec.set_dictionary(&self.out[window..]).map_err(|_| ProtocolError::NOT_DEFLATED)?;
        }
        rest = &END;
        match self.feed(&mut rest, max)? {
            Status::StreamEnd if rest.is_empty() => Ok(()),
            _ => Err(ProtocolError::NOT_DEFLATED),
        }
    }

    /// Inflates until the input is used up or a last block has ended.
    fn feed(&mut self, input: &mut &[u8], max: usize) -> Result<Status, ProtocolError> {
        loop {
            if self.out.len() == self.out.capacity() {
                let room = (2 * self.out.len()).clamp(FIRST_ROOM, max.max(FIRST_ROOM) + 1);
                self.out.reserve_exact(room - self.out.len());
            }
            let before = self.codec.total_in();
            let status = self.codec.decompress_vec(input, &mut self.out, FlushDecompress::None);
            let status = status.map_err(|_| ProtocolError::NOT_DEFLATED)?;
            *input = &input[(self.codec.total_in() - before) as usize..];
            if self.out.len() > max {
                return Err(ProtocolError::TOO_BIG);
            }
            // With room left it has taken all that it could.
            if status == Status::StreamEnd || self.out.len() < self.out.capacity() {
                return Ok(status);
            }
        }
    }
}
