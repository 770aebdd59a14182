//! A frame that lies whole in its receive buffer is decoded without a single allocation, and so is a header; a compressed one too.

#[path = "common/allocations.rs"]
mod allocations;

use allocations::allocations;
use longwire::frame::Frame;
use longwire::metrics::Counters;
use longwire::net::deflate::{Config, Deflater, Inflater, Window};
use longwire::net::frame::{self, Opcode};
use longwire::net::inbound::{Inbound, Limits, Received};
use rand::prelude::*;
use rand::rngs::SmallRng;
use std::hint::black_box;

fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first, 0x80 | 126];
    if payload.len() <= 125 {
        bytes[1] = 0x80 | payload.len() as u8;
    } else {
        bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn drain(inbound: &mut Inbound, bytes: &mut [u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    let limits = Limits { message_max: 65_536, fragments_max: 0, deflate: true };
    while let Some(received) = inbound.next(bytes, &mut at, &limits).expect("valid frames") {
        if let Received::Message { payload, .. }
        | Received::Compressed { payload, .. }
        | Received::Ping(payload) = received
        {
            black_box(payload);
        }
        count += 1;
    }
    count
}

#[test]
fn whole_frames_cost_no_allocation() {
    let mut buffer = [
        client_frame(0x81, b"ascii"),
        client_frame(0x81, "grüße 😀".as_bytes()),
        client_frame(0x82, &[0xff; 3000]),
        client_frame(0x89, b"ping"),
        client_frame(0x8a, b""),
        client_frame(0xc1, b"compressed"),
        client_frame(0x81, &[b'x'; 700]),
        client_frame(0x88, b"\x03\xe8bye"),
    ]
    .concat();
    let mut inbound = Inbound::default();
    let mut count = 0;
    assert_eq!(allocations(|| count = drain(&mut inbound, &mut buffer)), 0);
    assert_eq!(count, 8);
    assert_eq!(inbound.held_bytes(), 0);
}

#[test]
fn a_message_in_pieces_costs_two_allocations_and_leaves_none() {
    let mut bytes = client_frame(0x81, &[b'x'; 3000]);
    let (head, tail) = bytes.split_at_mut(2000);
    let mut inbound = Inbound::default();
    let mut count = 0;
    let cost = allocations(|| count = drain(&mut inbound, head) + drain(&mut inbound, tail));
    // The assembly, and its data, whose growth to all of the frame is one more.
    assert!(cost <= 3, "{cost} allocations");
    assert_eq!(count, 1);
    assert_eq!(inbound.held_bytes(), 0);
}

#[test]
fn a_frame_is_encoded_into_a_used_scratch_for_free() {
    let mut scratch = Vec::with_capacity(4096);
    let cost = allocations(|| {
        for _ in 0..3 {
            frame::begin(&mut scratch);
            scratch.extend_from_slice(&[b'x'; 1000]);
            black_box(frame::finish(&mut scratch, Opcode::Text));
        }
    });
    assert_eq!(cost, 0);
}

#[test]
fn compressed_messages_are_read_for_free_and_written_for_their_frame() {
    let config = Config { level: 6, min_size: 0 };
    let (mut deflater, mut inflater, mut counters) =
        (Deflater::new(config), Inflater::default(), Counters::default());
    let mut noise = [0; 3000];
    SmallRng::seed_from_u64(1).fill(&mut noise);
    let whole = |opcode, payload: &[u8]| {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, opcode, payload);
        Frame::new(&bytes)
    };
    let mut frames: Vec<Frame> =
        (1..5).map(|n| whole(Opcode::Text, "seven wizards ".repeat(40 * n).as_bytes())).collect();
    // This one gets no smaller, and so costs nothing.
    frames.push(whole(Opcode::Binary, &noise));
    let mut packed = Vec::with_capacity(64);
    let mut work = |frames: &[Frame]| {
        for frame in frames {
            packed.push(deflater.pack(frame, Window::MAX, &mut counters));
        }
        for frame in packed.drain(..).filter(|frame| frame.bytes()[0] & 0x40 != 0) {
            // A frame of this size has a header of two or four bytes.
            let payload = &frame.bytes()[if frame.bytes()[1] < 126 { 2 } else { 4 }..];
            black_box(inflater.inflate(payload, true, 65_536).expect("our own frame"));
        }
        deflater.rest();
        inflater.rest();
    };
    let again: Vec<Frame> = frames.iter().map(|frame| Frame::new(frame.bytes())).collect();
    work(&frames);
    // A turn later: what nobody sends any more is forgotten.
    drop(frames);
    work(&[]);
    assert_eq!(allocations(|| work(&again)), again.len() - 1);
}
