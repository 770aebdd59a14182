//! The decoder gives the messages, control frames and errors that tungstenite's `WebSocketContext` gives, however frames and bytes are cut.
//!
//! Where they differ, on purpose, is said where the two are asked: `tests/fuzz/oracle.rs`.

use longwire::net::inbound::Limits;
use longwire_fuzz::oracle::{self, End, Outcome};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use tungstenite::Bytes;
use tungstenite::protocol::frame::{Frame, FrameHeader};

fn ours(bytes: &[u8], sizes: &[usize], limit: usize) -> Outcome {
    oracle::ours(bytes, sizes, &Limits { message_max: limit, fragments_max: 0, deflate: false })
}

fn theirs(bytes: &[u8], limit: usize) -> Outcome {
    oracle::theirs(bytes, 1, limit)
}

/// A masked frame as tungstenite writes it.
fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: (first & 0x0f).into(),
        mask: Some(mask),
    };
    let mut bytes = Vec::new();
    Frame::from_payload(header, Bytes::copy_from_slice(payload))
        .format(&mut bytes)
        .expect("a vector takes it");
    bytes
}

/// The same frame with its length in a longer form than needed.
fn long_frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0xff];
    bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// Payload lengths around every edge that a frame or a buffer has.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0..40_usize, 4 => 118..132_usize, 2 => 4080..4100_usize, 1 => 65_530..65_540_usize]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (length(), any::<u8>(), 1..7_u8).prop_map(|(length, first, step)| {
        (0..length).map(|at| first.wrapping_add((at as u8).wrapping_mul(step))).collect()
    })
}

/// Text of one- to four-byte characters; now and then with a byte that is wrong, or ending within a character.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let right =
        (length(), "\\PC{1,8}").prop_map(|(length, part)| part.repeat(length / part.len() + 1).into_bytes());
    (right, prop_oneof![12 => Just(None), 1 => any::<(prop::sample::Index, u8)>().prop_map(Some)]).prop_map(
        |(mut text, wrong)| {
            if let Some((at, byte)) = wrong {
                let at = at.index(text.len());
                text[at] = byte;
                if byte & 1 == 0 {
                    text.truncate(at + 1);
                }
            }
            text
        },
    )
}

fn control() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![Just(0x89_u8), Just(0x8a)], any::<[u8; 4]>(), vec(any::<u8>(), 0..=125))
        .prop_map(|(first, mask, payload)| frame(first, mask, &payload))
}

/// A whole message in fragments, with control frames between them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![text().prop_map(|text| (1_u8, text)), bytes().prop_map(|bytes| (2, bytes))];
    let cuts = prop_oneof![3 => Just(vec![]), 1 => vec(any::<prop::sample::Index>(), 1..4)];
    let fragment = (any::<[u8; 4]>(), any::<bool>(), prop::option::weighted(0.2, control()));
    (kind, cuts, vec(fragment, 4)).prop_map(|((opcode, payload), cuts, fragments)| {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(payload.len());
        let mut out = Vec::new();
        let mut start = 0;
        for (number, (end, (mask, long, between))) in ends.iter().zip(fragments).enumerate() {
            let first =
                if number == 0 { opcode } else { 0 } | if number + 1 == ends.len() { 0x80 } else { 0 };
            let write = if long { long_frame } else { frame };
            out.extend(write(first, mask, &payload[start..*end]));
            out.extend(between.filter(|_| number + 1 < ends.len()).unwrap_or_default());
            start = *end;
        }
        out
    })
}

/// One frame with one fault, or a close frame; after it nothing is read.
fn last() -> impl Strategy<Value = Vec<u8>> {
    let mask = any::<[u8; 4]>();
    let faulty = (0..10_u8, 0..16_u8, 1..8_u8).prop_map(|(fault, opcode, bits)| match fault {
        0 => frame(0x81 | bits << 4, [1; 4], b"reserved bits"),
        1 => frame(0x80 | opcode, [2; 4], b"perhaps a reserved opcode"),
        2 => vec![0x81, bits, b'u', b'n', b'm', b'a', b's', b'k', b'e', b'd'],
        3 => frame(0x08 | opcode & 3, [3; 4], b"\x03\xe8fragmented or reserved"),
        4 => frame(0x88 | opcode & 3, [4; 4], &[b'x'; 126 + 7]),
        5 => frame(0x80, [5; 4], b"continues nothing"),
        6 => [frame(0x01, [6; 4], b"begins"), frame(0x81 + (bits & 1), [7; 4], b"begins again")].concat(),
        7 => frame(0x88, [8; 4], &[3]),
        8 => frame(0x88, [9; 4], b"\x03\xe8\xff not UTF-8"),
        _ => [frame(0x01, [10; 4], b"ends within \xe6"), frame(0x80, [11; 4], b"")].concat(),
    });
    let code = prop_oneof![any::<u16>(), 990..1030_u16, 2990..3010_u16, 4990..5010_u16];
    let close = (mask, code, "\\PC{0,30}").prop_map(|(mask, code, reason)| {
        frame(0x88, mask, &[&code.to_be_bytes(), reason.as_bytes()].concat())
    });
    prop_oneof![5 => Just(Vec::new()), 3 => faulty, 2 => close, 1 => Just(frame(0x88, [12; 4], b""))]
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let item = prop_oneof![4 => message(), 1 => control()];
    (vec(item, 0..6), last()).prop_map(|(items, last)| [items.concat(), last].concat())
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..4_usize, 1..4), vec(1..200_usize, 1..8), vec(1..4097_usize, 1..8), Just(vec![4096])]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![Just(200_usize), Just(5000), Just(65_536), Just(1 << 20)]
}

/// Runs `test` on random cases, and prints the seed, which `CODEC_SEED` repeats.
fn check<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed =
        std::env::var("CODEC_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("CODEC_SEED={seed}");
    let config = ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn on_conversations_with_at_most_one_fault_both_say_the_same() {
    check(&(conversation(), sizes(), limit()), |(stream, sizes, limit)| {
        prop_assert_eq!(ours(&stream, &sizes, limit), theirs(&stream, limit));
        Ok(())
    });
}

#[test]
fn on_a_stream_cut_anywhere_ours_fails_no_later_and_never_otherwise() {
    check(
        &(conversation(), sizes(), limit(), any::<prop::sample::Index>()),
        |(stream, sizes, limit, cut)| {
            let cut = &stream[..cut.index(stream.len() + 1)];
            let (our_events, our_end) = ours(cut, &sizes, limit);
            let (their_events, their_end) = theirs(cut, limit);
            prop_assert_eq!(our_events, their_events);
            if our_end != their_end {
                // Difference 3: tungstenite fails as well once the rest is there.
                prop_assert_eq!(their_end, End::Waits);
                prop_assert_eq!(our_end, theirs(&stream, limit).1);
            }
            Ok(())
        },
    );
}

/// Compares where several faults may meet: the same messages, and an error here wherever there is one there.
fn agree_on_the_damaged(stream: &[u8], sizes: &[usize], limit: usize) -> Result<(), TestCaseError> {
    let (our_events, our_end) = ours(stream, sizes, limit);
    let (their_events, their_end) = theirs(stream, limit);
    prop_assert_eq!(our_events, their_events);
    match (our_end, their_end) {
        (End::Fails(_), End::Fails(_) | End::Waits) => {}
        (ours, theirs) => prop_assert_eq!(ours, theirs),
    }
    Ok(())
}

#[test]
fn damaged_conversations_give_the_same_messages_up_to_the_error() {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    check(&(conversation(), damage, sizes(), limit()), |(mut stream, damage, sizes, limit)| {
        for (at, byte) in damage.iter().filter(|_| !stream.is_empty()).collect::<Vec<_>>() {
            let at = at.index(stream.len());
            stream[at] = *byte;
        }
        agree_on_the_damaged(&stream, &sizes, limit)
    });
}

#[test]
fn arbitrary_bytes_never_panic_and_never_hold_more_than_the_limit() {
    // The first bytes are often a plausible header, so that more than a header is reached.
    let header = (prop::sample::select(vec![0x01_u8, 0x02, 0x81, 0x82, 0x89, 0x8a]), 0x80..=0xff_u8);
    let stream =
        vec((prop::option::weighted(0.9, header), vec(any::<u8>(), 0..300)), 0..8).prop_map(|parts| {
            let mut stream = Vec::new();
            for (header, noise) in parts {
                stream.extend(header.map(|(first, second)| [first, second]).into_iter().flatten());
                stream.extend(noise);
            }
            stream
        });
    check(&(stream, sizes(), limit()), |(stream, sizes, limit)| agree_on_the_damaged(&stream, &sizes, limit));
}
