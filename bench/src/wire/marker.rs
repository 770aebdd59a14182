//! The mark inside each payload: which run it belongs to, who sent it, which number it has, and when it was meant to
//! be sent.
//!
//! Fixed width, lower-case hex, found by its first bytes wherever the server's message has the payload, so that the
//! receive path parses no JSON and no Protobuf. It ends with a check over its fields and the payload's length, and the
//! payload behind it is nothing but [`filler`]: a payload that came as it was sent is told from any other. Knows no frame
//! and no socket.
use super::filler;
use memchr::{memchr_iter, memchr2};

/// Bytes of a mark; the smallest payload of a message.
pub(crate) const SIZE: usize = CHECK + 4;
const CHECK: usize = 4 + 8 + 8 + 8 + 16;

/// Bytes of a payload's length, as a varint, at most.
const VARINT_MAX: usize = 4;

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

/// How a message tells where the payload in it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bounds {
    /// By a quote or a backslash behind it, or with its own end: a word in a text.
    Quoted,
    /// By the payload's length before it, a varint: a field of Protobuf.
    Counted,
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
    /// Finds the mark in a message.
    pub(crate) fn find(message: &[u8], bounds: Bounds) -> Found {
        let mut found = Found::Nothing;
        for at in memchr_iter(b'#', message) {
            if !matches!(message[at..], [_, b'l', b'w' | b'p' | b'b', b':', ..]) {
                continue;
            }
            match Self::read(message, at, bounds) {
                Some(mark) => return Found::Whole(mark),
                None => found = Found::Broken,
            }
        }
        found
    }

    /// The payload that begins at `at`; `None` unless it is as it was sent.
    fn read(message: &[u8], at: usize, bounds: Bounds) -> Option<Self> {
        let (before, bytes) = message.split_at_checked(at)?;
        let kind = match bytes.get(2)? {
            b'w' => Kind::Work,
            b'p' => Kind::Probe,
            _ => Kind::Broadcast,
        };
        let length = match bounds {
            Bounds::Quoted => {
                let rest = bytes.get(SIZE..)?;
                SIZE + memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
            }
            Bounds::Counted => count_at_end(before)?,
        };
        let (mark, rest) = bytes.get(..length)?.split_at_checked(SIZE)?;
        #[allow(clippy::cast_possible_truncation)] // eight digits are 32 bits
        let read = Self {
            kind,
            run: unhex(&mark[4..12])? as u32,
            sender: unhex(&mark[12..20])? as u32,
            seq: unhex(&mark[20..28])? as u32,
            time: unhex(&mark[28..CHECK])?,
        };
        let whole = unhex(&mark[CHECK..])? == read.check(length) && filler::is(rest);
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

/// The varint that `bytes` end with. (It can be read backwards: all of its bytes but the last have their highest bit set,
/// and the tag before it has not.)
fn count_at_end(bytes: &[u8]) -> Option<usize> {
    let (last, before) = bytes.split_last().filter(|(last, _)| **last < 0x80)?;
    let low = before.iter().rev().take(VARINT_MAX - 1).take_while(|byte| **byte >= 0x80);
    Some(low.fold(usize::from(*last), |count, byte| count << 7 | usize::from(byte & 0x7f)))
}

/// A payload of `length` bytes, which are as many as a mark's at least.
pub(crate) fn blank(length: usize, mark: Mark) -> Vec<u8> {
    let mut payload = vec![0; length];
    filler::fill(&mut payload[SIZE..]);
    mark.put(&mut payload, length);
    payload
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
        blank(length, MARK)
    }

    #[test]
    fn a_mark_is_found_wherever_the_payload_stands() {
        for length in [SIZE, SIZE + 1, 64, 255, 256, 512, 1000, 70_000] {
            let payload = payload(length);
            let before = br##"{"type":"message","from":"#lw:","group":"#l","message":""## as &[u8];
            let frame = [before, &payload, br#"","seq":5}"#].concat();
            assert_eq!(Mark::find(&frame, Bounds::Quoted), Found::Whole(MARK));
            assert_eq!(Mark::find(&payload, Bounds::Quoted), Found::Whole(MARK));
            // As a string within a string.
            let frame = [br#"{"data":"{\"message\":\""# as &[u8], &payload, br#"\"}"}"#].concat();
            assert_eq!(Mark::find(&frame, Bounds::Quoted), Found::Whole(MARK));
            let frame = counted(&payload, length);
            assert_eq!(Mark::find(&frame, Bounds::Counted), Found::Whole(MARK));
        }
    }

    /// A payload as a Protobuf message has it, with a length before it that may be wrong.
    fn counted(payload: &[u8], mut length: usize) -> Vec<u8> {
        let mut frame = b"\x0a\x7f\x0a\x03#lw\x32".to_vec();
        while length >= 0x80 {
            frame.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        frame.push(length as u8);
        // What follows may look as if it were a part of the payload.
        [&frame, payload, b".....J\x01g"].concat()
    }

    #[test]
    fn a_changed_or_miscounted_payload_is_broken_in_protobuf() {
        for length in [SIZE, 64, 127, 128, 600, 70_000] {
            let good = payload(length);
            for at in (4..length.min(200)).chain([length - 1]) {
                let mut bad = good.clone();
                bad[at] = if bad[at] == b'7' { b'3' } else { b'7' };
                let found = Mark::find(&counted(&bad, length), Bounds::Counted);
                assert_eq!(found, Found::Broken, "byte {at} of {length}");
            }
            for wrong in [0, 1, SIZE - 1, length - 1, length + 1, length + 5, 1 << 20, 1 << 40] {
                let found = Mark::find(&counted(&good, wrong), Bounds::Counted);
                assert_eq!(found, Found::Broken, "{wrong} in place of {length}");
            }
            let cut = counted(&good, length);
            assert_eq!(Mark::find(&cut[..cut.len() - 9], Bounds::Counted), Found::Broken, "cut off");
        }
        assert_eq!(Mark::find(&payload(64), Bounds::Counted), Found::Broken, "no length at all");
    }

    #[test]
    fn a_changed_or_cut_payload_is_broken() {
        for length in [SIZE, 64, 600] {
            let good = payload(length);
            for at in 4..length {
                for wrong in [b'Z', b'0', b'1', b' ', 0xff] {
                    let mut bad = good.clone();
                    if std::mem::replace(&mut bad[at], wrong) != wrong {
                        assert_eq!(
                            Mark::find(&bad, Bounds::Quoted),
                            Found::Broken,
                            "byte {at} of {length} as {wrong}"
                        );
                    }
                }
                assert_eq!(Mark::find(&good[..at], Bounds::Quoted), Found::Broken, "cut at {at} of {length}");
            }
            assert_eq!(
                Mark::find(&[&good as &[u8], b"."].concat(), Bounds::Quoted),
                Found::Broken,
                "one byte more than {length}"
            );
        }
    }

    #[test]
    fn other_texts_have_none() {
        for bounds in [Bounds::Quoted, Bounds::Counted] {
            for other in [br#"{"type":"ack","id":"x"}"# as &[u8], b"#", b"#lx:00000000"] {
                assert_eq!(Mark::find(other, bounds), Found::Nothing);
            }
        }
    }
}
