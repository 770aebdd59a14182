//! permessage-deflate as a client (RFC 7692): each message by itself, a compressor a thread. Knows no connection.
use crate::limits::COMPRESS_LEVEL;
use crate::wire::frame;
use flate2::{Compress, Compression, FlushCompress};

/// What is offered: neither side keeps a context from one message to the next.
pub(crate) const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// What a flush ends with, and a message leaves out (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// What a flush takes, and enough more that a codec which is done leaves some over (bytes).
const FLUSH_ROOM: usize = 64;

/// Compresses what leaves.
pub(super) struct Packer {
    /// Messages below this leave as they are (bytes).
    min: usize,
    codec: Compress,
    plain: Vec<u8>,
    packed: Vec<u8>,
    frame: Vec<u8>,
}

impl Packer {
    pub(super) fn new(min: usize) -> Self {
        let codec = codec();
        Self { min, codec, plain: Vec::new(), packed: Vec::new(), frame: Vec::new() }
    }

    /// A whole masked frame of a message, compressed; `None` if it is too small or gets no smaller.
    pub(super) fn pack(&mut self, frame: &[u8]) -> Option<&[u8]> {
        let (op, body) = frame::own(frame)?;
        if body.len() < self.min {
            return None;
        }
        self.plain.clear();
        self.plain.extend_from_slice(body);
        frame::mask(&mut self.plain, 0);
        self.packed.clear();
        self.packed.reserve(body.len() + body.len() / 8 + body.len() / 64 + FLUSH_ROOM);
        self.codec.reset();
        let done = self.codec.compress_vec(&self.plain, &mut self.packed, FlushCompress::Sync);
        if done.is_err() || self.packed.len() == self.packed.capacity() {
            // It may have more to write: what it keeps of that is no beginning for the next message.
            self.codec = codec();
            return None;
        }
        let packed = self.packed.strip_suffix(&TAIL)?;
        if packed.len() >= body.len() {
            return None;
        }
        self.frame.clear();
        frame::write_compressed(&mut self.frame, op, packed);
        Some(&self.frame)
    }
}

fn codec() -> Compress {
    Compress::new(Compression::new(COMPRESS_LEVEL), false)
}

/// Whether a server's answer grants what was offered, and nothing that was not. A smaller window of its own is its affair.
pub(super) fn granted(answer: Option<&[u8]>) -> Result<(), String> {
    let Some(answer) = answer else {
        return Err("asked for permessage-deflate, the server granted none".into());
    };
    let answer = String::from_utf8_lossy(answer);
    let mut parts = answer.split(';').map(str::trim);
    let known = |part: &str| {
        matches!(part, "server_no_context_takeover" | "client_no_context_takeover")
            || part.starts_with("server_max_window_bits=")
    };
    let ours = parts.next() == Some("permessage-deflate") && parts.clone().all(known);
    if ours && parts.any(|part| part == "server_no_context_takeover") {
        return Ok(());
    }
    Err(format!("asked for {OFFER}, the server granted {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::filler;
    use longwire::net::deflate::Inflater;

    #[test]
    fn what_is_packed_is_what_was_written() {
        let mut packer = Packer::new(100);
        for size in [0, 99, 100, 512, 4096, 70_000] {
            let mut message = vec![0; size];
            filler::fill(&mut message);
            let mut frame = Vec::new();
            frame::write(&mut frame, frame::TEXT, &message);
            let packed = packer.pack(&frame).map(<[u8]>::to_vec);
            assert_eq!(packed.is_some(), size >= 100, "{size}");
            let Some(packed) = packed else { continue };
            assert_eq!(packed[0], 0xc1, "the last of its message, compressed, text");
            assert!(packed.len() < frame.len());
            let mut body = frame::own(&packed).unwrap().1.to_vec();
            frame::mask(&mut body, 0);
            assert_eq!(Inflater::default().inflate(&body, true, 1 << 20).unwrap(), message);
        }
    }

    #[test]
    fn what_gets_no_smaller_leaves_as_it_is() {
        let mut packer = Packer::new(1);
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        for size in [1, 100, 5000, 100_000] {
            let message: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
            let mut frame = Vec::new();
            frame::write(&mut frame, frame::BINARY, &message);
            assert_eq!(packer.pack(&frame), None, "{size} random bytes, seed {seed}");
        }
    }

    #[test]
    fn an_answer_grants_what_was_offered() {
        for good in [
            OFFER,
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover;server_max_window_bits=12",
        ] {
            assert_eq!(granted(Some(good.as_bytes())), Ok(()), "{good}");
        }
        for bad in [
            "permessage-deflate",
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover, permessage-bzip",
            "x-webkit-deflate-frame; server_no_context_takeover",
        ] {
            assert!(granted(Some(bad.as_bytes())).is_err(), "{bad}");
        }
        assert!(granted(None).unwrap_err().contains("granted none"));
    }
}
