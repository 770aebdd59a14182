//! WebSocket frames as a client writes and reads them. Knows no message and no socket.
//!
//! Client frames are masked with one fixed, non-zero key: the server has to unmask as it would for anyone, and
//! the generator can prepare a frame once and patch it.
use std::fmt;

/// The mask of every frame that the generator sends.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Opcodes of RFC 6455.
pub(crate) const TEXT: u8 = 1;
/// A message of bytes.
pub(crate) const BINARY: u8 = 2;
/// A close frame.
pub(crate) const CLOSE: u8 = 8;
/// A ping frame.
pub(crate) const PING: u8 = 9;
/// A pong frame.
pub(crate) const PONG: u8 = 10;

const LONG: usize = usize::MAX / 2;
const FIN: u8 = 0x80;
/// The bit that says that a message is compressed (RFC 7692, section 6).
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;

/// A frame's header as a server sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Whether it is the last of its message.
    pub(crate) fin: bool,
    /// Whether it begins a compressed message.
    pub(crate) compressed: bool,
    /// Opcode.
    pub(crate) op: u8,
    /// Bytes of the header itself.
    pub(crate) header: usize,
    /// Bytes of payload behind it.
    pub(crate) payload: usize,
}

impl Header {
    /// Whether it goes on with the message before it.
    pub(crate) fn continues(self) -> bool {
        self.op == 0
    }

    /// Header and payload together.
    pub(crate) fn total(self) -> usize {
        self.header + self.payload
    }
}

/// What a server must not send to this client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    /// Reserved bits without an extension.
    Reserved,
    /// A masked frame from a server.
    Masked,
    /// An opcode that RFC 6455 reserves.
    Opcode,
    /// A control frame in pieces, or over 125 bytes.
    Control,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "reserved bits set in a server's frame",
            Self::Masked => "a masked frame from the server",
            Self::Opcode => "a reserved opcode in a server's frame",
            Self::Control => "a control frame in pieces, or too long",
        })
    }
}

/// Parses a server frame's header; `None` when more bytes are needed. Messages may be compressed if that was agreed on.
pub(crate) fn parse(bytes: &[u8], may_compress: bool) -> Result<Option<Header>, Bad> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let compressed = may_compress && matches!(first & 0x7f, 0x41 | 0x42);
    if first & 0x70 != 0 && !compressed {
        return Err(Bad::Reserved);
    }
    if second & MASKED != 0 {
        return Err(Bad::Masked);
    }
    let op = first & 0x0f;
    let fin = first & FIN != 0;
    match op {
        0..=2 => {}
        CLOSE..=PONG if fin && second <= &125 => {}
        CLOSE..=PONG => return Err(Bad::Control),
        _ => return Err(Bad::Opcode),
    }
    let (header, payload) = match second & 0x7f {
        126 => match rest {
            [a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            // A length beyond any memory can only fail later, as a frame over the limit; the header still adds to it.
            Some(length) => (10, usize::try_from(u64::from_be_bytes(*length)).unwrap_or(LONG).min(LONG)),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    Ok(Some(Header { fin, compressed, op, header, payload }))
}

/// Appends one whole masked frame.
pub(crate) fn write(out: &mut Vec<u8>, op: u8, payload: &[u8]) {
    begin(out, FIN | op, payload);
}

/// Appends one whole masked frame of a message that is compressed.
pub(crate) fn write_compressed(out: &mut Vec<u8>, op: u8, payload: &[u8]) {
    begin(out, FIN | COMPRESSED | op, payload);
}

/// The opcode of a whole masked frame, and its payload, masked as it is.
pub(crate) fn own(frame: &[u8]) -> Option<(u8, &[u8])> {
    let header = match frame.get(1)? & 0x7f {
        126 => 2 + 2 + MASK.len(),
        127 => 2 + 8 + MASK.len(),
        _ => 2 + MASK.len(),
    };
    Some((frame[0] & 0x0f, frame.get(header..)?))
}

fn begin(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    #[allow(clippy::cast_possible_truncation)] // each arm's range fits its type
    match payload.len() {
        n @ 0..=125 => out.push(MASKED | n as u8),
        n @ 126..=0xffff => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let body = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[body..], 0);
}

/// Masks `bytes`, which start `offset` bytes into their frame's payload.
pub(crate) fn mask(bytes: &mut [u8], offset: usize) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= MASK[(offset + at) & 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::frame::{FrameHeader, coding::Data, coding::OpCode};

    fn server_frame(payload: usize) -> Vec<u8> {
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let mut bytes = Vec::new();
        header.format(payload as u64, &mut bytes).unwrap();
        bytes.resize(bytes.len() + payload, b'x');
        bytes
    }

    #[test]
    fn every_length_form_parses_as_tungstenite_writes_it() {
        for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let bytes = server_frame(payload);
            let header = parse(&bytes, false).unwrap().unwrap();
            assert_eq!((header.op, header.payload, header.total()), (TEXT, payload, bytes.len()));
        }
    }

    #[test]
    fn a_cut_header_asks_for_more() {
        let bytes = server_frame(70_000);
        for cut in 0..10 {
            assert_eq!(parse(&bytes[..cut], false), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn no_length_is_too_long_to_add_up() {
        let bytes = [0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(parse(&bytes, false).unwrap().unwrap().total() > isize::MAX as usize);
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        assert_eq!(parse(&[0xc1, 0], false), Err(Bad::Reserved));
        assert_eq!(parse(&[0x81, 0x80], false), Err(Bad::Masked));
        // Compressed, if that was agreed on: a message's first frame only.
        assert!(
            parse(&[0xc1, 0], true).unwrap().unwrap().compressed
                && !parse(&[0x81, 0], true).unwrap().unwrap().compressed
        );
        for bad in [0xc0, 0xc9, 0xe1, 0xd2, 0x91] {
            assert_eq!(parse(&[bad, 0], true), Err(Bad::Reserved), "{bad:x}");
        }
        for op in (3..8).chain(11..16) {
            assert_eq!(parse(&[0x80 | op, 0], false), Err(Bad::Opcode));
        }
        for control in [[PING, 0], [0x80 | PING, 126], [0x80 | CLOSE, 127]] {
            assert_eq!(parse(&control, false), Err(Bad::Control));
        }
    }

    #[test]
    fn a_written_frame_reads_back_in_tungstenite() {
        for size in [0_usize, 5, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut bytes = Vec::new();
            write(&mut bytes, TEXT, &payload);
            let mut cursor = std::io::Cursor::new(&bytes);
            let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!((header.mask, length), (Some(MASK), size as u64));
            let at = usize::try_from(cursor.position()).unwrap();
            let mut body = bytes[at..].to_vec();
            mask(&mut body, 0);
            assert_eq!(body, payload);
        }
    }
}
