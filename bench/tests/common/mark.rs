//! The mark inside each payload, read by other means than the generator's own.

/// A mark's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// `w`: a message of the workload, `p`: a probe, `b`: a broadcast.
    pub(crate) kind: char,
    pub(crate) run: u64,
    pub(crate) sender: u64,
    pub(crate) seq: u64,
    /// When it was meant to be sent, in nanoseconds since the run's origin.
    pub(crate) time: u64,
}

impl Mark {
    /// Finds it in a message: `#l`, the kind, a colon, then numbers of fixed width in hex.
    pub(crate) fn find(message: &[u8]) -> Option<Self> {
        let rest = &message[message.windows(2).position(|two| two == b"#l")? + 2..];
        let kind = char::from(*rest.first()?);
        let digits = std::str::from_utf8(rest.get(2..42)?).ok()?;
        let number = |from: usize, to: usize| u64::from_str_radix(digits.get(from..to)?, 16).ok();
        Some(Self {
            kind,
            run: number(0, 8)?,
            sender: number(8, 16)?,
            seq: number(16, 24)?,
            time: number(24, 40)?,
        })
    }
}
