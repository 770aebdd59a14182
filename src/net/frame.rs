//! WebSocket frames on the wire: reads client headers, writes server ones (RFC 6455 section 5.2). Knows no connection and no state.

use super::inbound::ProtocolError;
use crate::limits::CLOSE_REASON_MAX;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest header of a server frame (bytes); servers do not mask.
pub const SERVER_HEADER_MAX: usize = 10;
/// The longest header of a client frame (bytes).
pub const CLIENT_HEADER_MAX: usize = 14;
/// The longest payload of a control frame (bytes).
pub const CONTROL_MAX: usize = 125;

/// The first reserved bit: the message is compressed (RFC 7692 section 6).
const COMPRESSED: u8 = 0x40;

const _: () = assert!(CLOSE_REASON_MAX + 2 == CONTROL_MAX);

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// A later piece of a fragmented message.
    Continue = 0,
    /// UTF-8 text.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The end, with a code and a reason.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl Opcode {
    /// The opcode of a message.
    pub fn of_message(text: bool) -> Self {
        if text { Self::Text } else { Self::Binary }
    }

    /// Whether it is close, ping or pong.
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    fn of(opcode: OpCode) -> Option<Self> {
        Some(match opcode {
            OpCode::Data(Data::Continue) => Self::Continue,
            OpCode::Data(Data::Text) => Self::Text,
            OpCode::Data(Data::Binary) => Self::Binary,
            OpCode::Control(Control::Close) => Self::Close,
            OpCode::Control(Control::Ping) => Self::Ping,
            OpCode::Control(Control::Pong) => Self::Pong,
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => return None,
        })
    }
}

/// The header of one client frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it is the last of its message.
    pub fin: bool,
    /// Whether it begins a compressed message; whether that was agreed on is the connection's to know.
    pub compressed: bool,
    /// What its payload is masked with.
    pub mask: [u8; 4],
    /// Bytes of payload that follow the header.
    pub payload: u64,
    /// Bytes of the header itself.
    pub size: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when it has not fully arrived.
    ///
    /// tungstenite takes it apart and refuses reserved opcodes; what else no client may send is refused here. As there, a length in
    /// a longer form than needed is accepted.
    ///
    /// # Errors
    /// 1002 for reserved bits (the first one may begin a data message: RFC 7692) or opcodes, a missing mask, a long or fragmented control frame, a length of 2^63 or more.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let mut cursor = Cursor::new(bytes);
        let Some((header, payload)) = FrameHeader::parse(&mut cursor).map_err(|_| ProtocolError::OPCODE)?
        else {
            return Ok(None);
        };
        let fin = header.is_final;
        let Some(opcode) = Opcode::of(header.opcode) else { return Err(ProtocolError::OPCODE) };
        let compressed = header.rsv1;
        if header.rsv2 || header.rsv3 || compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(ProtocolError::RESERVED_BITS);
        }
        let Some(mask) = header.mask else { return Err(ProtocolError::UNMASKED) };
        if opcode.is_control() && !(fin && payload <= CONTROL_MAX as u64) {
            return Err(ProtocolError::CONTROL);
        }
        if payload >> 63 != 0 {
            return Err(ProtocolError::LENGTH);
        }
        Ok(Some(Self { opcode, fin, compressed, mask, payload, size: cursor.position() as usize }))
    }
}

/// Writes the header of a server frame to the front of `out` and returns its size.
#[inline]
pub fn write_header(out: &mut [u8; SERVER_HEADER_MAX], opcode: Opcode, fin: bool, payload: usize) -> usize {
    out[0] = opcode as u8 | u8::from(fin) << 7;
    if payload <= CONTROL_MAX {
        out[1] = payload as u8;
        2
    } else if let Ok(length) = u16::try_from(payload) {
        out[1] = 126;
        out[2..4].copy_from_slice(&length.to_be_bytes());
        4
    } else {
        out[1] = 127;
        out[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
        10
    }
}

/// Empties `scratch` and leaves room for a header, so that a payload can be encoded right behind it; then [`finish`].
pub fn begin(scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.resize(SERVER_HEADER_MAX, 0);
}

/// Puts the header right before the payload that was appended since [`begin`], and returns the whole frame.
pub fn finish(scratch: &mut [u8], opcode: Opcode) -> &[u8] {
    finish_with(scratch, opcode, 0)
}

/// The same for a compressed payload.
pub fn finish_compressed(scratch: &mut [u8], opcode: Opcode) -> &[u8] {
    finish_with(scratch, opcode, COMPRESSED)
}

fn finish_with(scratch: &mut [u8], opcode: Opcode, bits: u8) -> &[u8] {
    let Some((room, payload)) = scratch.split_first_chunk_mut::<SERVER_HEADER_MAX>() else { return &[] };
    let mut header = [0; SERVER_HEADER_MAX];
    let size = write_header(&mut header, opcode, true, payload.len());
    header[0] |= bits;
    let start = SERVER_HEADER_MAX - size;
    room[start..].copy_from_slice(&header[..size]);
    &scratch[start..]
}

/// The payload of a server's frame, if it is a whole message and not compressed.
pub fn message_in(frame: &[u8]) -> Option<(Opcode, &[u8])> {
    const FIN: u8 = 0x80;
    let (opcode, start) = match *frame {
        [first, second, ..] => {
            let opcode = [Opcode::Text, Opcode::Binary].into_iter().find(|o| first == FIN | *o as u8)?;
            (opcode, [2, 4, 10][usize::from(second.saturating_sub(CONTROL_MAX as u8))])
        }
        _ => return None,
    };
    Some((opcode, frame.get(start..)?))
}

/// Appends one whole frame to `out`.
pub fn append(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let mut header = [0; SERVER_HEADER_MAX];
    let size = write_header(&mut header, opcode, true, payload.len());
    out.reserve(size + payload.len());
    out.extend_from_slice(&header[..size]);
    out.extend_from_slice(payload);
}

/// A whole close frame; a reason that is too long is cut between characters.
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(CLOSE_REASON_MAX)]);
    control(Opcode::Close, &payload)
}

/// The answer to a close frame without a code: as empty as that one.
pub fn empty_close_frame() -> Vec<u8> {
    control(Opcode::Close, &[])
}

/// A whole ping frame; more than 125 bytes of payload are cut.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    control(Opcode::Ping, payload)
}

/// A whole pong frame; more than 125 bytes of payload are cut.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    control(Opcode::Pong, payload)
}

fn control(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append(&mut frame, opcode, &payload[..payload.len().min(CONTROL_MAX)]);
    frame
}

#[cfg(test)]
mod tests {
    use super::{
        Header, Opcode, SERVER_HEADER_MAX, append, begin, close_frame, finish, finish_compressed, message_in,
        ping, write_header,
    };
    use tungstenite::protocol::frame::FrameHeader;
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    fn theirs(opcode: Opcode) -> OpCode {
        match opcode {
            Opcode::Continue => OpCode::Data(Data::Continue),
            Opcode::Text => OpCode::Data(Data::Text),
            Opcode::Binary => OpCode::Data(Data::Binary),
            Opcode::Close => OpCode::Control(Control::Close),
            Opcode::Ping => OpCode::Control(Control::Ping),
            Opcode::Pong => OpCode::Control(Control::Pong),
        }
    }

    #[test]
    fn every_first_pair_of_bytes_is_judged_by_the_rules() {
        for (first, second) in (0..=255_u8).flat_map(|first| (0..=255_u8).map(move |second| (first, second)))
        {
            for long in [[0_u8, 0], [0, 200], [0x80, 0], [0x7f, 0xff]] {
                let bytes = [&[first, second], &long[..], &[3, 1, 4, 1, 5, 9, 2, 6, 5, 3]].concat();
                let (payload, size) = match second & 0x7f {
                    126 => (u64::from(u16::from_be_bytes(long)), 8),
                    127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()), 14),
                    short => (u64::from(short), 6),
                };
                let (fin, control) = (first & 0x80 != 0, first & 0x08 != 0);
                let compressed = first & 0x40 != 0;
                let refused = first & 0x30 != 0
                    || compressed && !matches!(first & 0x0f, 1 | 2)
                    || matches!(first & 0x0f, 3..=7 | 11..=15)
                    || second & 0x80 == 0
                    || control && (payload > 125 || !fin)
                    || payload >> 63 != 0;
                match Header::parse(&bytes) {
                    Err(_) => assert!(refused, "{bytes:x?}"),
                    Ok(header) => {
                        let header = header.unwrap();
                        assert!(!refused, "{bytes:x?}");
                        assert_eq!((header.opcode as u8, header.fin), (first & 0x0f, fin));
                        assert_eq!((header.payload, header.size), (payload, size));
                        assert_eq!(header.compressed, compressed);
                        assert_eq!(header.mask, bytes[size - 4..size]);
                        for part in 0..size {
                            assert_eq!(Header::parse(&bytes[..part]), Ok(None), "partial at {part}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn headers_are_written_as_tungstenite_writes_them() {
        let opcodes =
            [Opcode::Continue, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
        for opcode in opcodes {
            for fin in [false, true] {
                for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 40] {
                    let header =
                        FrameHeader { is_final: fin, opcode: theirs(opcode), ..FrameHeader::default() };
                    let mut bytes = Vec::new();
                    header.format(length as u64, &mut bytes).unwrap();
                    let mut ours = [0; SERVER_HEADER_MAX];
                    let size = write_header(&mut ours, opcode, fin, length);
                    assert_eq!(&ours[..size], bytes);
                }
            }
        }
    }

    #[test]
    fn a_payload_written_behind_the_reserved_room_becomes_a_frame() {
        let mut scratch = vec![9; 40];
        for length in [0, 5, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            begin(&mut scratch);
            scratch.extend_from_slice(&payload);
            let mut appended = Vec::new();
            append(&mut appended, Opcode::Text, &payload);
            assert_eq!(finish(&mut scratch, Opcode::Text), appended);
            assert_eq!(message_in(&appended), Some((Opcode::Text, &payload[..])));
            appended[0] |= 0x40;
            assert_eq!(finish_compressed(&mut scratch, Opcode::Text), appended);
            assert_eq!(message_in(&appended), None);
        }
        assert_eq!(message_in(b"\x82\x01x"), Some((Opcode::Binary, &b"x"[..])));
        for other in [&close_frame(1000, "")[..], &ping(b""), b"HTTP/1.1 101 x", b"\x81", b"\x01\x00", b""] {
            assert_eq!(message_in(other), None);
        }
    }

    #[test]
    fn control_frames_never_exceed_their_limit() {
        assert_eq!(close_frame(1000, "bye"), b"\x88\x05\x03\xe8bye");
        let long = close_frame(1000, &"é".repeat(100));
        assert_eq!(long.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&long[4..]).is_ok());
        assert_eq!(ping(&[0; 300]).len(), 127);
    }
}
