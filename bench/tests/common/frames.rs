//! Frames as a server writes them, right ones and wrong ones, byte by byte.

/// Opcodes of RFC 6455.
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;

/// A whole frame; `first` is its first byte without the final bit.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(0x80 | first, payload.len()) as &[u8], payload].concat()
}

/// A piece of a message that goes on.
pub(crate) fn piece(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(first, payload.len()) as &[u8], payload].concat()
}

/// A close frame with a code and a reason.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes() as &[u8], reason.as_bytes()].concat())
}

/// A header, with any length.
pub(crate) fn head(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(u8::try_from(length).unwrap()),
        126..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes
}

/// The first whole frame of a client in `bytes`: its opcode, its payload, unmasked, and its length.
pub(crate) fn of_client(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let short = usize::from(bytes.get(1)? & 0x7f);
    let (length, mask) = match short {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).unwrap(), 10),
        _ => (short, 2),
    };
    let key = bytes.get(mask..mask + 4)?;
    let masked = bytes.get(mask + 4..mask + 4 + length)?;
    let payload = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((bytes[0] & 0x0f, payload, mask + 4 + length))
}
