//! Messages that come in pieces (RFC 6455, section 5.4): one for a connection at most. Knows no socket.
use super::End;
use crate::limits::{PIECES_BYTES, READ_BYTES};
use crate::wire::frame::Header;
use std::collections::HashMap;

/// The beginnings of messages whose rest has not come. Few servers send any.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    begun: HashMap<usize, Begun>,
    /// Bytes in all of them.
    bytes: usize,
}

/// A message of which more is to come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) compressed: bool,
    pub(super) bytes: Vec<u8>,
}

impl Pieces {
    /// Whether a connection's data frame is a message by itself.
    pub(super) fn whole(&self, at: usize, header: Header) -> bool {
        header.fin && !header.continues() && (self.begun.is_empty() || !self.begun.contains_key(&at))
    }

    /// Takes a piece, and gives the message of which it is the last.
    pub(super) fn add(&mut self, at: usize, header: Header, payload: &[u8]) -> Result<Option<Begun>, End> {
        if header.continues() != self.begun.contains_key(&at) {
            return Err(End::Protocol("pieces of messages that do not belong together".into()));
        }
        let message = self.begun.entry(at).or_default();
        if message.bytes.len() + payload.len() > READ_BYTES || self.bytes + payload.len() > PIECES_BYTES {
            return Err(End::Protocol("too much in pieces".into()));
        }
        self.bytes += payload.len();
        message.compressed |= header.compressed;
        message.bytes.extend_from_slice(payload);
        Ok(if header.fin { self.forget(at) } else { None })
    }

    /// Gives what there is of a connection's message.
    pub(super) fn forget(&mut self, at: usize) -> Option<Begun> {
        let message = self.begun.remove(&at)?;
        self.bytes -= message.bytes.len();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{self, TEXT};

    fn header(op: u8, fin: bool) -> Header {
        frame::parse(&[u8::from(fin) << 7 | op, 0], true).unwrap().unwrap()
    }

    fn begun(compressed: bool, bytes: &[u8]) -> Begun {
        Begun { compressed, bytes: bytes.to_vec() }
    }

    #[test]
    fn the_first_piece_says_whether_all_are_compressed() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(1, header(0x40 | TEXT, false), b"a"), Ok(None));
        assert_eq!(pieces.add(1, header(0, true), b"b"), Ok(Some(begun(true, b"ab"))));
    }

    #[test]
    fn pieces_become_messages_connection_by_connection() {
        let mut pieces = Pieces::default();
        assert!(pieces.whole(1, header(TEXT, true)) && !pieces.whole(1, header(TEXT, false)));
        assert_eq!(pieces.add(1, header(TEXT, false), b"a"), Ok(None));
        assert_eq!(pieces.add(2, header(TEXT, false), b"x"), Ok(None));
        assert!(pieces.whole(3, header(TEXT, true)) && !pieces.whole(1, header(TEXT, true)));
        assert_eq!(pieces.add(1, header(0, false), b"b"), Ok(None));
        assert_eq!(pieces.add(1, header(0, true), b"c"), Ok(Some(begun(false, b"abc"))));
        assert_eq!((pieces.forget(1), pieces.bytes), (None, 1));
        assert_eq!(pieces.forget(2), Some(begun(false, b"x")));
    }

    #[test]
    fn what_does_not_belong_together_or_has_no_end_is_refused() {
        let mut pieces = Pieces::default();
        assert!(pieces.add(1, header(0, true), b"a").is_err());
        assert_eq!(pieces.add(1, header(TEXT, false), b"a"), Ok(None));
        assert!(pieces.add(1, header(TEXT, true), b"a").is_err());
        let much = vec![0; READ_BYTES];
        assert!(pieces.add(1, header(0, false), &much).is_err());
    }
}
