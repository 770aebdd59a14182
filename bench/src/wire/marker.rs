//! The mark inside each payload: which run it belongs to, who sent it, which number it has, and when it was meant to
//! be sent.
//!
//! Fixed width, lower-case hex, found by its first bytes wherever the server's JSON puts the payload, so that the
//! receive path parses no JSON. It ends with a check over its fields and the payload's length, and the payload behind
//! it is nothing but [`FILLER`]: a payload that came as it was sent is told from any other. Knows no frame and no socket.
use memchr::{memchr_iter, memchr2};

/// Bytes of a mark; the smallest payload of a message.
pub(crate) const SIZE: usize = CHECK + 4;
const CHECK: usize = 4 + 8 + 8 + 8 + 16;

/// What fills a payload up behind its mark.
pub(crate) const FILLER: u8 = b'.';

/// What the payload belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A counted message of the workload.
    Work = b'w',
    /// Sent before the run to learn that the way is open.
    Probe = b'p',
    /// To everyone, beside the workload.
    Broadcast = b'b',
}

/// A mark, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// What it belongs to.
    pub(crate) kind: Kind,
    /// The run's number: what another run left on its way is none of this one's.
    pub(crate) run: u32,
    /// The sender's number.
    pub(crate) sender: u32,
    /// The sender's count.
    pub(crate) seq: u32,
    /// Nanoseconds since the run began.
    pub(crate) time: u64,
}

/// What a payload is to the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// As it was sent.
    Whole(Mark),
    /// It begins as a mark does, and is not what any generator sent.
    Broken,
    /// No payload: an answer or an event.
    Nothing,
}

impl Mark {
    /// Finds the mark in a frame's payload.
    pub(crate) fn find(bytes: &[u8]) -> Found {
        let mut found = Found::Nothing;
        for at in memchr_iter(b'#', bytes) {
            if !matches!(bytes[at..], [_, b'l', b'w' | b'p' | b'b', b':', ..]) {
                continue;
            }
            match Self::read(&bytes[at..]) {
                Some(mark) => return Found::Whole(mark),
                None => found = Found::Broken,
            }
        }
        found
    }

    /// The payload with which `bytes` begin; `None` unless it is as it was sent.
    fn read(bytes: &[u8]) -> Option<Self> {
        let kind = match bytes.get(2)? {
            b'w' => Kind::Work,
            b'p' => Kind::Probe,
            _ => Kind::Broadcast,
        };
        let (mark, rest) = bytes.split_at_checked(SIZE)?;
        #[allow(clippy::cast_possible_truncation)] // eight digits are 32 bits
        let read = Self {
            kind,
            run: unhex(&mark[4..12])? as u32,
            sender: unhex(&mark[12..20])? as u32,
            seq: unhex(&mark[20..28])? as u32,
            time: unhex(&mark[28..CHECK])?,
        };
        // The payload ends where its string does, or with the frame.
        let filler = &rest[..memchr2(b'"', b'\\', rest).unwrap_or(rest.len())];
        let whole = unhex(&mark[CHECK..])? == read.check(SIZE + filler.len()) && filled(filler);
        whole.then_some(read)
    }

    /// Writes the mark over the first [`SIZE`] bytes of a payload of `length` bytes.
    pub(crate) fn put(self, out: &mut [u8], length: usize) {
        out[..4].copy_from_slice(&[b'#', b'l', self.kind as u8, b':']);
        hex(u64::from(self.run), &mut out[4..12]);
        hex(u64::from(self.sender), &mut out[12..20]);
        hex(u64::from(self.seq), &mut out[20..28]);
        hex(self.time, &mut out[28..CHECK]);
        hex(self.check(length), &mut out[CHECK..SIZE]);
    }

    /// Sixteen bits that depend on every field and on the payload's length. (An odd factor and the upper half: a change in
    /// one bit moves all of them.)
    fn check(self, length: usize) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let words =
            [self.kind as u64, u64::from(self.run), u64::from(self.sender), u64::from(self.seq), self.time];
        let sum =
            words.iter().fold(length as u64, |sum, word| (sum ^ word).wrapping_mul(ODD).rotate_left(29));
        sum.wrapping_mul(ODD) >> 48
    }
}

/// Whether it is filler and nothing else, compared as memory is.
fn filled(mut bytes: &[u8]) -> bool {
    const FILL: [u8; 256] = [FILLER; 256];
    while let Some((first, rest)) = bytes.split_first_chunk::<256>() {
        if *first != FILL {
            return false;
        }
        bytes = rest;
    }
    bytes == &FILL[..bytes.len()]
}

/// Writes `value` as `out.len()` hex digits.
pub(crate) fn hex(value: u64, out: &mut [u8]) {
    let mut rest = value;
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// Reads hex digits; `None` for anything else.
pub(crate) fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark =
        Mark { kind: Kind::Work, run: 0x00c0_ffee, sender: 0xdead_beef, seq: 7, time: u64::MAX - 3 };

    fn payload(length: usize) -> Vec<u8> {
        let mut payload = vec![FILLER; length];
        MARK.put(&mut payload, length);
        payload
    }

    #[test]
    fn a_mark_is_found_wherever_the_payload_stands() {
        for length in [SIZE, SIZE + 1, 64, 255, 256, 512, 1000, 70_000] {
            let payload = payload(length);
            let before = br##"{"type":"message","from":"#lw:","group":"#l","message":""## as &[u8];
            let frame = [before, &payload, br#"","seq":5}"#].concat();
            assert_eq!(Mark::find(&frame), Found::Whole(MARK));
            assert_eq!(Mark::find(&payload), Found::Whole(MARK));
            // As a string within a string.
            let frame = [br#"{"data":"{\"message\":\""# as &[u8], &payload, br#"\"}"}"#].concat();
            assert_eq!(Mark::find(&frame), Found::Whole(MARK));
        }
    }

    #[test]
    fn a_changed_or_cut_payload_is_broken() {
        for length in [SIZE, 64, 600] {
            let good = payload(length);
            for at in 4..length {
                for wrong in [b'Z', b'0', b'1', b' ', 0xff] {
                    let mut bad = good.clone();
                    if std::mem::replace(&mut bad[at], wrong) != wrong {
                        assert_eq!(Mark::find(&bad), Found::Broken, "byte {at} of {length} as {wrong}");
                    }
                }
                assert_eq!(Mark::find(&good[..at]), Found::Broken, "cut at {at} of {length}");
            }
            assert_eq!(
                Mark::find(&[&good as &[u8], b"."].concat()),
                Found::Broken,
                "one byte more than {length}"
            );
        }
    }

    #[test]
    fn other_texts_have_none() {
        assert_eq!(Mark::find(br#"{"type":"ack","id":"x"}"#), Found::Nothing);
        assert_eq!(Mark::find(b"#"), Found::Nothing);
        assert_eq!(Mark::find(b"#lx:00000000"), Found::Nothing);
    }
}
