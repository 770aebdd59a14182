//! However a server's bytes are cut, and whatever legal frames stand between the messages, each message is read once.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::frames::{PING, TEXT, frame, of_client, piece};
use common::{raw, requested, run};
use fastrand::Rng;
use std::io::{Read, Write};
use std::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

/// Echoes what comes, in frames and writes of chance.
fn echo_in_pieces(mut stream: TcpStream, rng: &mut Rng, chunk: usize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let request = requested(&mut stream);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    let accept = derive_accept_key(key.trim().as_bytes());
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    let mut out = [head.as_bytes(), &frame(PING, b"at once")].concat();
    let (mut bytes, mut more) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let mut rest = &out[..];
        while !rest.is_empty() {
            let (one, others) = rest.split_at(rng.usize(1..=chunk).min(rest.len()));
            stream.write_all(one)?;
            rest = others;
        }
        out.clear();
        match stream.read(&mut more)? {
            0 => return Ok(()),
            read => bytes.extend_from_slice(&more[..read]),
        }
        while let Some((op, payload, length)) = of_client(&bytes) {
            bytes.drain(..length);
            if op == TEXT {
                in_frames(&payload, rng, &mut out);
            }
        }
    }
}

/// A message as one frame or several, with others before and within it.
fn in_frames(payload: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
    if rng.u8(..) < 20 {
        out.extend_from_slice(&frame(TEXT, &vec![b'x'; rng.usize(0..200_000)]));
    }
    let (mut rest, mut op) = (payload, TEXT);
    while rng.bool() && !rest.is_empty() {
        let (one, others) = rest.split_at(rng.usize(0..=rest.len()));
        out.extend_from_slice(&piece(op, one));
        if rng.bool() {
            out.extend_from_slice(&frame(PING, &vec![b'p'; rng.usize(0..126)]));
        }
        (rest, op) = (others, 0);
    }
    out.extend_from_slice(&frame(op, rest));
}

#[test]
fn each_message_is_read_once() {
    for (chunk, payload) in [(1, 64), (7, 64), (3_000, 64), (100_000, 64), (100_000, 150_000)] {
        let seed = fastrand::u64(..);
        println!("chunks of up to {chunk} bytes, payload {payload}, seed {seed}");
        let url = raw(move |number, stream| {
            let mut rng = Rng::with_seed(seed.wrapping_add(number as u64));
            // An error is the generator's leave.
            let _ = echo_in_pieces(stream, &mut rng, chunk);
        });
        let payload = format!("--payload={payload}");
        let load = ["--rate=100", "--warmup=0s", "--duration=500ms", "--drain=20s", &payload, "--url", &url];
        let outcome = run(&[&["echo", "--connections=4", "--threads=2"] as &[&str], &load].concat());
        assert_eq!((outcome.code, outcome.count("latency_us.count")), (0, 50), "seed {seed}: {outcome:?}");
    }
}
