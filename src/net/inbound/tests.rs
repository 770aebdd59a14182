//! Each rule of the decoder by example; `tests/codec_agrees_with_tungstenite.rs` has the random ones.

use super::{Inbound, Limits, ProtocolError, Received};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMITS: Limits = Limits { message_max: 65_536, fragments_max: 0, deflate: false };
const FIN: u8 = 0x80;
const CONT: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client frame; its length in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// What came out, in words that compare.
fn tell(received: Received<'_>) -> String {
    match received {
        Received::Message { text: true, payload } => format!("text {}", str::from_utf8(payload).unwrap()),
        Received::Message { text: false, payload } => format!("binary {payload:?}"),
        Received::Compressed { text, payload } => format!("compressed {text} {payload:?}"),
        Received::Ping(payload) => format!("ping {payload:?}"),
        Received::Pong => "pong".into(),
        Received::Close { code, reason } => format!("close {code:?} {reason}"),
    }
}

/// Feeds `bytes` in pieces of `size`; the messages, and the error if there was one.
fn feed(bytes: &[u8], size: usize, limits: &Limits) -> (Vec<String>, Option<ProtocolError>) {
    let mut inbound = Inbound::default();
    let mut told = Vec::new();
    for piece in bytes.chunks(size) {
        let (mut piece, mut at) = (piece.to_vec(), 0);
        loop {
            match inbound.next(&mut piece, &mut at, limits) {
                Ok(Some(received)) => told.push(tell(received)),
                Ok(None) => break,
                Err(error) => return (told, Some(error)),
            }
        }
        assert_eq!(at, piece.len());
    }
    (told, None)
}

/// The same outcome, however the bytes are cut.
fn expect(frames: &[Vec<u8>], told: &[&str], error: Option<ProtocolError>) {
    let bytes = frames.concat();
    for size in [1, 2, 3, 5, 7, 64, 4096, bytes.len()] {
        let (got, failed) = feed(&bytes, size, &LIMITS);
        assert_eq!(got, told, "in pieces of {size}");
        assert_eq!(failed, error, "in pieces of {size}");
    }
}

#[test]
fn whole_frames_are_messages() {
    expect(
        &[frame(FIN | TEXT, "grüß".as_bytes()), frame(FIN | BINARY, &[0, 255]), frame(FIN | TEXT, b"")],
        &["text grüß", "binary [0, 255]", "text "],
        None,
    );
}

#[test]
fn fragments_make_one_message_and_control_frames_pass_between_them() {
    expect(
        &[
            frame(TEXT, "a\u{e9}".as_bytes()),
            frame(FIN | PING, &[7]),
            frame(CONT, b""),
            frame(FIN | PONG, b"x"),
            frame(CONT, "\u{1f600}".as_bytes().split_at(2).0),
            frame(FIN | CONT, "\u{1f600}".as_bytes().split_at(2).1),
            frame(FIN | BINARY, &[1]),
        ],
        &["ping [7]", "pong", "text aé😀", "binary [1]"],
        None,
    );
}

#[test]
fn a_continuation_needs_a_message_and_a_message_needs_its_continuation() {
    expect(&[frame(FIN | CONT, b"x")], &[], Some(ProtocolError::CONTINUATION));
    expect(&[frame(TEXT, b"x"), frame(FIN | TEXT, b"y")], &[], Some(ProtocolError::INTERLEAVED));
    expect(&[frame(TEXT, b"x"), frame(BINARY, b"y")], &[], Some(ProtocolError::INTERLEAVED));
    let after = [frame(TEXT, b"x"), frame(FIN | CONT, b"y"), frame(CONT, b"z")];
    expect(&after, &["text xy"], Some(ProtocolError::CONTINUATION));
}

#[test]
fn headers_that_no_client_may_send() {
    for bit in [0x40, 0x20, 0x10] {
        expect(&[frame(FIN | bit | TEXT, b"x")], &[], Some(ProtocolError::RESERVED_BITS));
    }
    for opcode in [3, 7, 11, 15] {
        expect(&[frame(FIN | opcode, b"x")], &[], Some(ProtocolError::OPCODE));
    }
    expect(&[vec![FIN | TEXT, 1, b'x']], &[], Some(ProtocolError::UNMASKED));
    expect(&[frame(PING, b"x")], &[], Some(ProtocolError::CONTROL));
    expect(&[frame(FIN | PING, &[0; 126])], &[], Some(ProtocolError::CONTROL));
    expect(&[frame(FIN | PING, &[0; 125])], &[&format!("ping {:?}", [0; 125])], None);
    let huge = vec![FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    expect(&[huge], &[], Some(ProtocolError::LENGTH));
}

#[test]
fn a_length_in_a_longer_form_than_needed_is_accepted() {
    let long = vec![FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9];
    expect(&[long], &["binary [9]"], None);
}

#[test]
fn text_fails_at_the_first_impossible_byte_before_its_frame_is_complete() {
    let bytes = frame(FIN | TEXT, b"\xf4\x90 and much more");
    let (header, payload) = bytes.split_at(6);
    let mut inbound = Inbound::default();
    let mut feed = |bytes: &[u8]| inbound.next(&mut bytes.to_vec(), &mut 0, &LIMITS).map(|got| got.map(tell));
    assert_eq!(feed(header), Ok(None));
    assert_eq!(feed(&payload[..1]), Ok(None));
    assert_eq!(feed(&payload[1..2]), Err(ProtocolError::NOT_UTF8));
}

#[test]
fn text_that_ends_within_a_character_is_refused() {
    expect(&[frame(FIN | TEXT, b"a\xc3")], &[], Some(ProtocolError::NOT_UTF8));
    expect(&[frame(TEXT, b"a\xc3"), frame(FIN | CONT, b"")], &[], Some(ProtocolError::NOT_UTF8));
    expect(&[frame(TEXT, b"a\xc3"), frame(FIN | CONT, b"b")], &[], Some(ProtocolError::NOT_UTF8));
}

#[test]
fn close_frames() {
    expect(&[frame(FIN | CLOSE, b"")], &["close None "], None);
    expect(&[frame(FIN | CLOSE, b"\x03\xe8bye")], &["close Some(1000) bye"], None);
    expect(&[frame(TEXT, b"half"), frame(FIN | CLOSE, b"")], &["close None "], None);
    expect(&[frame(FIN | CLOSE, b"\x03")], &[], Some(ProtocolError::CLOSE_LENGTH));
    expect(&[frame(FIN | CLOSE, b"\x03\xe8\xff")], &[], Some(ProtocolError::NOT_UTF8));
}

#[test]
fn close_codes() {
    let refused = (0..1000).chain([1004, 1005, 1006]).chain(1015..3000).chain(5000..=u16::MAX);
    for code in refused.step_by(7).chain([999, 1004, 1005, 1006, 1015, 1016, 2999, 5000]) {
        let (_, error) = feed(&frame(FIN | CLOSE, &code.to_be_bytes()), 64, &LIMITS);
        assert_eq!(error, Some(ProtocolError::CLOSE_CODE), "{code}");
    }
    for code in (1000..=1003_u16).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        let (told, error) = feed(&frame(FIN | CLOSE, &code.to_be_bytes()), 64, &LIMITS);
        assert_eq!((told, error), (vec![format!("close Some({code}) ")], None));
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header() {
    let limits = Limits { message_max: 10, fragments_max: 0, deflate: false };
    let whole = frame(FIN | BINARY, &[1; 10]);
    assert_eq!(feed(&whole, 64, &limits).1, None);
    for size in [1, 6, 64] {
        let (told, error) = feed(&frame(FIN | BINARY, &[1; 11])[..6], size, &limits);
        assert_eq!((told, error), (vec![], Some(ProtocolError::TOO_BIG)));
        let fragments =
            [frame(BINARY, &[1; 6]), frame(FIN | PING, &[2; 20]), frame(FIN | CONT, &[1; 5])].concat();
        let (told, error) = feed(&fragments[..fragments.len() - 5], size, &limits);
        assert_eq!((told.len(), error), (1, Some(ProtocolError::TOO_BIG)));
    }
}

#[test]
fn an_announced_length_costs_nothing_until_bytes_arrive() {
    let limits = Limits { message_max: 64 << 20, fragments_max: 0, deflate: false };
    let mut inbound = Inbound::default();
    let mut header = vec![FIN | BINARY, 0xff];
    header.extend_from_slice(&(64_u64 << 20).to_be_bytes());
    header.extend_from_slice(&MASK);
    assert_eq!(inbound.next(&mut header, &mut 0, &limits), Ok(None));
    assert!(inbound.held_bytes() < 256, "{}", inbound.held_bytes());
    let mut arrived = 0;
    while arrived < 1 << 20 {
        assert_eq!(inbound.next(&mut [0; 4000], &mut 0, &limits), Ok(None));
        arrived += 4000;
        assert!(inbound.held_bytes() <= 2 * arrived + 256, "{} of {arrived}", inbound.held_bytes());
    }
}

#[test]
fn what_was_lent_is_freed_by_the_next_call() {
    let mut inbound = Inbound::default();
    let bytes = frame(FIN | BINARY, &[3; 3000]);
    let (mut head, mut tail) = (bytes[..100].to_vec(), bytes[100..].to_vec());
    assert!(inbound.is_idle());
    assert_eq!(inbound.next(&mut head, &mut 0, &LIMITS), Ok(None));
    assert!(!inbound.is_idle() && inbound.held_bytes() > 90);
    let mut at = 0;
    let expected = Received::Message { text: false, payload: &[3; 3000] };
    assert_eq!(inbound.next(&mut tail, &mut at, &LIMITS), Ok(Some(expected)));
    assert!(inbound.is_idle());
    assert_eq!(inbound.next(&mut tail, &mut at, &LIMITS), Ok(None));
    assert_eq!(inbound.held_bytes(), 0);
}

#[test]
fn a_message_comes_in_so_many_frames_and_no_more() {
    // Of 65,536 bytes in pieces of 16.
    const MOST: usize = 4096;
    let message = |frames: usize| {
        let middle = frame(CONT, b"").repeat(frames - 2);
        [frame(TEXT, b""), middle, frame(FIN | CONT, b"end")].concat()
    };
    for size in [7, 64, 4096] {
        let twice = message(MOST).repeat(2);
        assert_eq!(feed(&twice, size, &LIMITS), (vec!["text end".into(); 2], None));
        assert_eq!(
            feed(&message(MOST + 1), size, &LIMITS),
            (vec![], Some(ProtocolError::TOO_MANY_FRAGMENTS))
        );
        // Pings between them are no fragments.
        let pinged = [frame(TEXT, b""), frame(FIN | PING, b"").repeat(MOST), frame(FIN | CONT, b"")].concat();
        assert_eq!(feed(&pinged, size, &LIMITS).1, None);
    }
}
