//! The mark inside each payload: which run it belongs to, who sent it, which number it has, and when it was meant to
//! be sent.
//!
//! Fixed width, lower-case hex, found by its first bytes wherever the server's JSON puts the payload, so that the
//! receive path parses no JSON. Knows no frame and no socket.
use memchr::memchr_iter;

/// Bytes of a mark; the smallest payload of a message.
pub(crate) const SIZE: usize = 4 + 8 + 8 + 8 + 16;

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

impl Mark {
    /// Finds the mark in a frame's payload.
    pub(crate) fn find(bytes: &[u8]) -> Option<Self> {
        for at in memchr_iter(b'#', bytes) {
            let found = bytes.get(at..at + SIZE)?;
            if found[1] != b'l' || found[3] != b':' {
                continue;
            }
            let kind = match found[2] {
                b'w' => Kind::Work,
                b'p' => Kind::Probe,
                b'b' => Kind::Broadcast,
                _ => continue,
            };
            #[allow(clippy::cast_possible_truncation)] // eight digits are 32 bits
            return Some(Self {
                kind,
                run: unhex(&found[4..12])? as u32,
                sender: unhex(&found[12..20])? as u32,
                seq: unhex(&found[20..28])? as u32,
                time: unhex(&found[28..44])?,
            });
        }
        None
    }

    /// Writes the mark over the first [`SIZE`] bytes.
    pub(crate) fn put(self, out: &mut [u8]) {
        out[..4].copy_from_slice(&[b'#', b'l', self.kind as u8, b':']);
        hex(u64::from(self.run), &mut out[4..12]);
        hex(u64::from(self.sender), &mut out[12..20]);
        hex(u64::from(self.seq), &mut out[20..28]);
        hex(self.time, &mut out[28..44]);
    }
}

/// Writes `value` as `out.len()` hex digits.
pub(crate) fn hex(value: u64, out: &mut [u8]) {
    let mut rest = value;
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

fn unhex(digits: &[u8]) -> Option<u64> {
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

    #[test]
    fn a_mark_is_found_wherever_the_payload_stands() {
        let mark =
            Mark { kind: Kind::Work, run: 0x00c0_ffee, sender: 0xdead_beef, seq: 7, time: u64::MAX - 3 };
        let mut payload = [b'.'; 64];
        mark.put(&mut payload);
        let frame =
            [br##"{"type":"message","from":"#l","message":""## as &[u8], &payload, br#"","seq":5}"#].concat();
        assert_eq!(Mark::find(&frame), Some(mark));
        assert_eq!(Mark::find(&payload), Some(mark));
    }

    #[test]
    fn without_a_whole_mark_there_is_none() {
        let mut payload = [b'.'; SIZE];
        Mark { kind: Kind::Probe, run: 4, sender: 1, seq: 2, time: 3 }.put(&mut payload);
        assert_eq!(Mark::find(&payload[..SIZE - 1]), None);
        payload[9] = b'Z';
        assert_eq!(Mark::find(&payload), None);
        assert_eq!(Mark::find(br#"{"type":"ack","id":"x"}"#), None);
    }
}
