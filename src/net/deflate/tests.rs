//! Messages that other compressors wrote, damaged ones, and what comes out of ours, by example.

use super::{Config, Deflater, Inflater, Window};
use crate::frame::Frame;
use crate::limits::{DEFLATED_FRAMES, LAST_BLOCKS_MAX, SCRATCH_KEPT};
use crate::metrics::{Counter, Counters};
use crate::net::frame::{self, Opcode};
use crate::net::inbound::ProtocolError;
use flate2::{Compress, Compression, FlushCompress};

const CONFIG: Config = Config { level: 6, min_size: 16 };
const NO_LIMIT: usize = 1 << 20;

fn inflate(payload: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    Inflater::default().inflate(payload, false, NO_LIMIT).map(<[u8]>::to_vec)
}

/// A message's payload as clients compress it.
fn deflated(text: &[u8], bits: u8, flush: FlushCompress) -> Vec<u8> {
    let mut codec = Compress::new_with_window_bits(Compression::best(), false, bits);
    let mut out = Vec::with_capacity(2 * text.len() + 64);
    codec.compress_vec(text, &mut out, flush).unwrap();
    match flush {
        FlushCompress::Finish => out.push(0),
        _ => out.truncate(out.len() - 4),
    }
    out
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A message frame; its payload repeats itself.
fn message(length: usize) -> Frame {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, Opcode::Text, &b"seven wizards ".repeat(length)[..length]);
    Frame::new(&bytes)
}

/// The payload of a compressed text frame.
fn payload(frame: &Frame) -> &[u8] {
    assert_eq!(frame.bytes()[0], 0xc1, "FIN, RSV1, text");
    match frame.bytes()[1] {
        126 => &frame.bytes()[4..],
        127 => &frame.bytes()[10..],
        _ => &frame.bytes()[2..],
    }
}

#[test]
fn the_examples_of_the_rfc() {
    // Section 7.2.3: one block, no compression, a last block, two blocks.
    let examples: [&[u8]; 4] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for example in examples {
        assert_eq!(inflate(example).as_deref(), Ok(&b"Hello"[..]), "{example:x?}");
    }
    // "Hello" again by a reference to the message before: there is none.
    assert_eq!(inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00]), Err(ProtocolError::NOT_DEFLATED));
}

#[test]
fn an_empty_message_has_one_byte_or_none() {
    for empty in [&[0][..], &[], &[3, 0], &[3, 0, 0], &[2, 0, 0, 0, 0xff, 0xff, 0]] {
        assert_eq!(inflate(empty).as_deref(), Ok(&[][..]), "{empty:x?}");
    }
}

#[test]
fn what_any_window_level_and_kind_of_block_made_is_read() {
    let mut inflater = Inflater::default();
    for text in [b"a".to_vec(), b"seven wizards ".repeat(9000), noise(70_000)] {
        for bits in 9..=15 {
            for flush in [FlushCompress::Sync, FlushCompress::Full, FlushCompress::Finish] {
                let payload = deflated(&text, bits, flush);
                assert_eq!(inflater.inflate(&payload, false, NO_LIMIT).unwrap(), text, "{bits} {flush:?}");
            }
        }
    }
}

#[test]
fn blocks_behind_a_last_block_may_look_back_at_it() {
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    // A block of fixed codes that repeats five bytes from five back, as in the RFC's second message with a context.
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(inflate(&[&hello[..], &again].concat()).as_deref(), Ok(&b"HelloHello"[..]));
    assert_eq!(inflate(&hello.repeat(3)).as_deref(), Ok(&b"HelloHelloHello"[..]));
    let most = 1 + LAST_BLOCKS_MAX;
    assert_eq!(inflate(&hello.repeat(most)).map(|message| message.len()), Ok(5 * most));
    assert_eq!(inflate(&hello.repeat(most + 1)), Err(ProtocolError::NOT_DEFLATED));
}

#[test]
fn what_does_not_inflate_is_told_from_what_is_text_and_is_not_utf8() {
    let hello = deflated(b"hello hello hello hello", 15, FlushCompress::Sync);
    for end in 1..hello.len() {
        let cut = inflate(&hello[..end]);
        assert!(cut == Err(ProtocolError::NOT_DEFLATED), "{end} of {}: {cut:?}", hello.len());
    }
    for broken in [&[0xff][..], &[7], b"hello", &[1, 5, 0, 0, 0], &[3, 0, 0xff]] {
        assert_eq!(inflate(broken), Err(ProtocolError::NOT_DEFLATED), "{broken:x?}");
    }
    let mut inflater = Inflater::default();
    let wrong = deflated(b"gr\xfc\xdfe", 15, FlushCompress::Sync);
    assert_eq!(inflater.inflate(&wrong, true, NO_LIMIT), Err(ProtocolError::NOT_UTF8));
    assert_eq!(inflater.inflate(&wrong, false, NO_LIMIT), Ok(&b"gr\xfc\xdfe"[..]));
    assert_eq!(inflater.inflate(&hello, true, NO_LIMIT), Ok(&b"hello hello hello hello"[..]));
}

#[test]
fn a_bomb_stops_at_the_limit_and_leaves_no_large_buffer() {
    let mut inflater = Inflater::default();
    let bomb = deflated(&vec![b' '; 50 << 20], 15, FlushCompress::Sync);
    assert!(bomb.len() < 64 << 10);
    for max in [1, 100, 4096, 65_536, 1 << 20] {
        assert_eq!(inflater.inflate(&bomb, true, max), Err(ProtocolError::TOO_BIG));
        assert!(inflater.held_bytes() <= max.max(4096) + 1, "{} for {max}", inflater.held_bytes());
        let exact = deflated(&vec![b'x'; max], 15, FlushCompress::Sync);
        assert_eq!(inflater.inflate(&exact, true, max).map(<[u8]>::len), Ok(max));
        let over = deflated(&vec![b'x'; max + 1], 15, FlushCompress::Sync);
        assert_eq!(inflater.inflate(&over, true, max), Err(ProtocolError::TOO_BIG));
        inflater.rest();
        assert!(inflater.held_bytes() <= SCRATCH_KEPT);
    }
}

#[test]
fn frames_come_back_as_they_were_in_every_window() {
    let mut deflater = Deflater::new(CONFIG);
    let mut counters = Counters::default();
    for bits in 9..=15 {
        let window = Window::of(bits).unwrap();
        for length in [16, 200, 1000, 70_000] {
            let frame = message(length);
            let packed = deflater.pack(&frame, window, &mut counters);
            if length == 16 {
                continue;
            }
            assert!(packed.size() < frame.size());
            let (_, text) = frame::message_in(frame.bytes()).unwrap();
            assert_eq!(inflate(payload(&packed)).unwrap(), text);
        }
    }
}

#[test]
fn what_is_small_no_message_or_not_smaller_goes_as_it_is() {
    let mut deflater = Deflater::new(CONFIG);
    let mut counters = Counters::default();
    let mut random = Vec::new();
    frame::append(&mut random, Opcode::Binary, &noise(5000));
    let others = [message(15), Frame::new(&frame::ping(&[b'x'; 100])), Frame::new(b"HTTP/1.1 101 Switching")];
    for frame in &others {
        assert!(deflater.pack(frame, Window::MAX, &mut counters).is(frame));
    }
    assert_eq!(counters.get(Counter::FramesDeflated), 0);
    let random = Frame::new(&random);
    for _ in 0..3 {
        assert!(deflater.pack(&random, Window::MAX, &mut counters).is(&random));
    }
    assert_eq!(counters.get(Counter::FramesDeflated), 1, "that it is not worth it is known as well");
    drop(random);
    deflater.rest();
    assert_eq!(deflater.known_frames(), 0);
}

#[test]
fn what_gets_no_smaller_harms_no_message_after_it() {
    let (mut inflater, mut counters) = (Inflater::default(), Counters::default());
    let frame = message(1000);
    let (_, text) = frame::message_in(frame.bytes()).unwrap();
    for (level, length) in (1..=9).flat_map(|level| [1, 100, 8192, 60_000].map(|length| (level, length))) {
        let mut deflater = Deflater::new(Config { level, min_size: 0 });
        let mut bytes = Vec::new();
        frame::append(&mut bytes, Opcode::Binary, &noise(length));
        for _ in 0..100 {
            let random = Frame::new(&bytes);
            assert!(deflater.pack(&random, Window::MAX, &mut counters).is(&random), "{length} at {level}");
        }
        let packed = deflater.pack(&frame, Window::MAX, &mut counters);
        assert_eq!(inflater.inflate(payload(&packed), true, NO_LIMIT), Ok(text), "{length} at {level}");
    }
}

#[test]
fn what_does_not_inflate_harms_no_message_after_it() {
    let mut inflater = Inflater::default();
    let text = b"seven wizards ".repeat(500);
    let right = deflated(&text, 15, FlushCompress::Sync);
    let stored = [&[0, 0x10, 0x27, 0xef, 0xd8][..], &noise(10_000)].concat();
    for broken in [&right, &deflated(&noise(3000), 9, FlushCompress::Finish), &stored] {
        for end in (1..broken.len()).step_by(1 + broken.len() / 100) {
            let mut damaged = broken[..end].to_vec();
            let max = if end % 3 == 0 { end / 2 } else { NO_LIMIT };
            let _ = inflater.inflate(&damaged, false, max);
            assert_eq!(
                inflater.inflate(&right, true, NO_LIMIT),
                Ok(&text[..]),
                "after {end} of {}",
                broken.len()
            );
            damaged[end / 2] ^= 0x10;
            let _ = inflater.inflate(&damaged, true, max);
            assert_eq!(
                inflater.inflate(&right, true, text.len()),
                Ok(&text[..]),
                "after damage at {}",
                end / 2
            );
        }
    }
}

#[test]
fn a_frame_is_compressed_once_a_window_while_someone_sends_it() {
    let mut deflater = Deflater::new(CONFIG);
    let mut counters = Counters::default();
    let sent = message(1000);
    let held = sent.clone();
    let windows = [Window::MAX, Window::of(10).unwrap()];
    for turn in 0..5 {
        for _ in 0..100 {
            for window in windows {
                deflater.pack(&held, window, &mut counters);
            }
        }
        for n in 0..3 * DEFLATED_FRAMES {
            deflater.pack(&message(300 + n), Window::MAX, &mut counters);
        }
        let singles = (turn + 1) * 3 * DEFLATED_FRAMES as u64;
        assert_eq!(counters.get(Counter::FramesDeflated), 2 + singles);
        deflater.rest();
        assert_eq!(deflater.known_frames(), 1);
    }
    drop((sent, held));
    deflater.rest();
    assert_eq!(deflater.known_frames(), 0);
}

#[test]
fn more_frames_at_once_than_are_remembered_are_compressed_anew() {
    let mut deflater = Deflater::new(CONFIG);
    let mut counters = Counters::default();
    let held: Vec<Frame> = (0..=DEFLATED_FRAMES).map(|n| message(100 + n)).collect();
    let shared = held.clone();
    for frame in held.iter().chain(&shared[..1]) {
        let packed = deflater.pack(frame, Window::MAX, &mut counters);
        assert!(deflater.known_frames() <= DEFLATED_FRAMES && packed.size() < frame.size());
    }
    assert_eq!(counters.get(Counter::FramesDeflated), DEFLATED_FRAMES as u64 + 2);
}
