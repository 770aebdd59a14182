//! What holds for any message that is compressed, by us and by others, on its way through frames that are cut. Knows no connection.

use crate::inflate::by_another;
use crate::oracle::{End, Event, ours};
use flate2::{Compress, Compression, FlushCompress};
use longwire::frame::Frame;
use longwire::metrics::Counters;
use longwire::net::deflate::{Config, Deflater, Inflater, Window};
use longwire::net::frame::{self, Opcode};
use longwire::net::inbound::Limits;
use std::cell::RefCell;

/// The longest message, and the parts that another makes of it (bytes; number).
const MAX: usize = 1 << 17;
const PARTS: usize = 64;
/// What a flush ends with, and a message leaves out.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How a message's parts may be flushed; the last way is to say that it was the message's last block, and to begin anew.
const FLUSHES: [FlushCompress; 5] = [
    FlushCompress::None,
    FlushCompress::Partial,
    FlushCompress::Sync,
    FlushCompress::Full,
    FlushCompress::Finish,
];

thread_local! {
    /// A core's own, of three levels, for message after message: nothing of one may be seen in the next.
    static CODECS: RefCell<(Inflater, [Deflater; 3])> = RefCell::new((
        Inflater::default(),
        [1, 6, 9].map(|level| Deflater::new(Config { level, min_size: 0 })),
    ));
}

/// The message behind four bytes, which choose how much of it is repeated, the level, the window and the cuts, comes back: what we make of
/// it from another's inflater, and what another makes of it in several blocks from ours, sent in masked fragments that come in pieces.
pub fn deflate_round_trip(data: &[u8]) {
    let Some((&[level, bits, times, cut], text)) = data.split_first_chunk() else { return };
    let text = text.repeat(1 + usize::from(times % 16));
    let (window, cut) = (Window::of(9 + bits % 7).expect("9 to 15 bits"), 1 + usize::from(cut));
    CODECS.with_borrow_mut(|(inflater, deflaters)| {
        let deflater = &mut deflaters[usize::from(level) % deflaters.len()];
        let mut bytes = Vec::new();
        frame::append(&mut bytes, Opcode::Binary, &text);
        let plain = Frame::new(&bytes);
        let packed = deflater.pack(&plain, window, &mut Counters::default());
        deflater.rest();
        if !packed.is(&plain) {
            assert!(packed.size() < plain.size());
            assert_eq!(by_another(payload(packed.bytes())).as_deref(), Some(&text[..]));
        }
        let compressed = in_blocks(&text, u32::from(level) % 10, window.bits(), cut);
        let stream = in_fragments(&compressed, cut);
        let limits = Limits { message_max: MAX, fragments_max: 0, deflate: true };
        let (events, end) = ours(&stream, &[cut, 1 + stream.len() / 3], &limits);
        assert_eq!((&events[..], end), (&[Event::Compressed(false, compressed)][..], End::Waits));
        let [Event::Compressed(_, compressed)] = &events[..] else { unreachable!("one message") };
        assert_eq!(inflater.inflate(compressed, false, text.len()), Ok(&text[..]));
    });
}

/// The payload of a frame of ours.
fn payload(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0], 0xc2, "FIN, RSV1, binary");
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

/// What a client may make of a message: parts that are flushed in any way.
fn in_blocks(text: &[u8], level: u32, bits: u8, cut: usize) -> Vec<u8> {
    let mut codec = Compress::new_with_window_bits(Compression::new(level), false, bits);
    let part = cut.max(text.len() / PARTS);
    let mut out = Vec::with_capacity(2 * text.len() + 64 * (PARTS + 2));
    for (number, part) in text.chunks(part).enumerate() {
        let flush = FLUSHES[(number + cut) % FLUSHES.len()];
        codec.compress_vec(part, &mut out, flush).expect("room enough");
        if flush == FlushCompress::Finish {
            codec.reset();
        }
    }
    codec.compress_vec(&[], &mut out, FlushCompress::Sync).expect("room enough");
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

/// A compressed binary message in masked frames of several sizes.
fn in_fragments(payload: &[u8], cut: usize) -> Vec<u8> {
    let size = (payload.len() / PARTS).max(cut);
    let pieces: Vec<&[u8]> = if payload.is_empty() { vec![payload] } else { payload.chunks(size).collect() };
    let mut stream = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let first = if number == 0 { 0x42 } else { 0 };
        let fin = if number + 1 == pieces.len() { 0x80 } else { 0 };
        let mask = (cut as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
        stream.extend([first | fin, 0xff]);
        stream.extend((piece.len() as u64).to_be_bytes());
        stream.extend(mask);
        stream.extend(piece.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    stream
}
