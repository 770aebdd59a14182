//! What holds for any payload of a compressed message, beside what another codec makes of it. Knows no frames.

use longwire::frame::Frame;
use longwire::metrics::Counters;
use longwire::net::deflate::{Config, Deflater, Inflater, Window};
use longwire::net::frame::{self, Opcode};
use longwire::net::inbound::ProtocolError;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use std::cell::RefCell;

/// The longest message (bytes).
const MAX: usize = 1 << 16;
/// What a sender takes off, and an empty last block.
const END: [u8; 6] = [0, 0, 0xff, 0xff, 3, 0];

thread_local! {
    /// A core's own, for message after message: nothing of one may be seen in the next.
    static CODECS: RefCell<(Inflater, Deflater)> =
        RefCell::new((Inflater::default(), Deflater::new(Config { level: 1, min_size: 0 })));
}

/// What inflates is what another codec reads, within the limit to the byte, and is text if that is what it should be. Any bytes
/// that are compressed here come back.
pub fn inflate(data: &[u8]) {
    CODECS.with_borrow_mut(|(inflater, deflater)| {
        let theirs = by_another(data);
        match inflater.inflate(data, false, MAX) {
            Ok(message) => {
                let message = message.to_vec();
                assert_eq!(theirs.as_ref(), Some(&message));
                assert_eq!(inflater.inflate(data, false, message.len()), Ok(&message[..]));
                let text = str::from_utf8(&message).map(str::as_bytes).map_err(|_| ProtocolError::NOT_UTF8);
                assert_eq!(inflater.inflate(data, true, MAX), text);
                if let Some(less) = message.len().checked_sub(1) {
                    assert_eq!(inflater.inflate(data, false, less), Err(ProtocolError::TOO_BIG));
                }
            }
            Err(error) => assert!([ProtocolError::TOO_BIG, ProtocolError::NOT_DEFLATED].contains(&error)),
        }
        assert!(inflater.held_bytes() <= MAX + 1);
        comes_back(data, inflater, deflater);
    });
}

fn comes_back(data: &[u8], inflater: &mut Inflater, deflater: &mut Deflater) {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, Opcode::Binary, data);
    let (plain, window) = (Frame::new(&bytes), Window::of(9 + data.len() as u8 % 7).expect("9 to 15 bits"));
    let packed = deflater.pack(&plain, window, &mut Counters::default());
    if packed.is(&plain) {
        return;
    }
    assert!(packed.size() < plain.size());
    let bytes = packed.bytes();
    assert_eq!(bytes[0], 0xc2, "FIN, RSV1, binary");
    let payload = if bytes[1] < 126 { &bytes[2..] } else { &bytes[4..] };
    assert_eq!(inflater.inflate(payload, false, data.len()), Ok(data));
}

/// The message as miniz_oxide reads it, block after block into one buffer; `None` if it does not, or finds too much.
pub(crate) fn by_another(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; MAX + 1];
    let (mut rest, mut length) = (data, 0);
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    while !rest.is_empty() {
        let mut codec = Box::<DecompressorOxide>::default();
        let more = flags | TINFL_FLAG_HAS_MORE_INPUT;
        let (status, read, written) = decompress(&mut codec, rest, &mut out, length, more);
        (rest, length) = (&rest[read..], length + written);
        match status {
            TINFLStatus::Done => {}
            TINFLStatus::NeedsMoreInput => {
                let (status, read, written) = decompress(&mut codec, &END, &mut out, length, flags);
                length += written;
                if status != TINFLStatus::Done || read != END.len() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    out.truncate(length);
    (length <= MAX).then_some(out)
}
