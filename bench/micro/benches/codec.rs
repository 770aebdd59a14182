//! The WebSocket codec on bytes as a receive buffer of 4 KiB holds them, beside tungstenite's: `cargo bench -p longwire-micro --bench codec`.
//!
//! Time is per buffer full; the element rate is frames per second. The mask is zero, so that a buffer unmasked in place is as it was;
//! the work is the same for any mask.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longwire::limits::RECV_BUFFER_SIZE;
use longwire::net::frame::{self, Header, Opcode};
use longwire::net::http::Head;
use longwire::net::http::{HttpRules, accept, parse_request};
use longwire::net::inbound::{Inbound, Limits, Received};
use longwire::net::mask;
use std::hint::black_box;
use std::io::{Cursor, Read, Write};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

const LIMITS: Limits = Limits { message_max: 65_536, fragments_max: 0, deflate: false };

/// One masked text frame.
fn text_frame(payload: &str) -> Vec<u8> {
    let mut bytes = vec![0x81];
    if payload.len() <= 125 {
        bytes.push(0x80 | payload.len() as u8);
    } else {
        bytes.push(0x80 | 126);
        bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

/// As many frames as a buffer holds, and their number.
fn buffer_full(payload: &str) -> (Vec<u8>, u64) {
    let frame = text_frame(payload);
    let count = RECV_BUFFER_SIZE / frame.len();
    (frame.repeat(count), count as u64)
}

fn payloads() -> [(&'static str, String); 3] {
    let ascii = r#"{"type":"message","to":"bob","message":"hello there, how are you"#;
    assert_eq!(ascii.len(), 64);
    let accented = r#"{"type":"message","to":"bob","message":"grüße, wie geht es dir"#;
    assert_eq!(accented.len(), 64);
    [("64 B", ascii.into()), ("64 B not ASCII", accented.into()), ("4 KiB", "x".repeat(RECV_BUFFER_SIZE - 8))]
}

fn drain(inbound: &mut Inbound, bytes: &mut [u8]) {
    let mut at = 0;
    while let Ok(Some(received)) = inbound.next(bytes, &mut at, &LIMITS) {
        if let Received::Message { payload, .. } = received {
            black_box(payload);
        }
    }
}

/// The same buffer full again and again.
struct Endless<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let size = buf.len().min(self.bytes.len() - self.at);
        buf[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.at = (self.at + size) % self.bytes.len();
        Ok(size)
    }
}

impl Write for Endless<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn receiving(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive a buffer of text frames");
    for (name, payload) in payloads() {
        let (mut bytes, count) = buffer_full(&payload);
        group.throughput(Throughput::Elements(count));
        let mut inbound = Inbound::default();
        group.bench_function(BenchmarkId::new("longwire", name), |b| {
            b.iter(|| drain(&mut inbound, &mut bytes));
        });
        group.bench_function(BenchmarkId::new("longwire, cut in two", name), |b| {
            let (head, tail) = bytes.split_at_mut(RECV_BUFFER_SIZE / 2);
            b.iter(|| {
                drain(&mut inbound, head);
                drain(&mut inbound, tail);
            });
        });
        for read_buffer in [RECV_BUFFER_SIZE, 128 * 1024] {
            let config = WebSocketConfig::default().read_buffer_size(read_buffer);
            let mut theirs = WebSocketContext::new(Role::Server, Some(config));
            let mut stream = Endless { bytes: &bytes, at: 0 };
            let id = BenchmarkId::new(format!("tungstenite, {read_buffer} B buffer"), name);
            group.bench_function(id, |b| {
                b.iter(|| {
                    for _ in 0..count {
                        black_box(theirs.read(&mut stream).expect("valid frames"));
                    }
                });
            });
        }
    }
    group.finish();
}

/// What chat mostly is: each receive brings one small frame.
fn receiving_singly(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive one text frame");
    for (name, payload) in payloads() {
        let mut bytes = text_frame(&payload);
        let mut inbound = Inbound::default();
        group.bench_function(BenchmarkId::new("longwire", name), |b| {
            b.iter(|| drain(black_box(&mut inbound), &mut bytes));
        });
        let config = WebSocketConfig::default().read_buffer_size(RECV_BUFFER_SIZE);
        let mut theirs = WebSocketContext::new(Role::Server, Some(config));
        let mut stream = Endless { bytes: &bytes, at: 0 };
        group.bench_function(BenchmarkId::new("tungstenite", name), |b| {
            b.iter(|| theirs.read(&mut stream).expect("valid frames"));
        });
    }
    group.finish();
}

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("parts");
    for (name, payload) in payloads() {
        let frame = text_frame(&payload);
        group.bench_function(BenchmarkId::new("header", name), |b| {
            b.iter(|| Header::parse(black_box(&frame)));
        });
        group.bench_function(BenchmarkId::new("header, tungstenite", name), |b| {
            b.iter(|| FrameHeader::parse(&mut Cursor::new(black_box(&frame[..]))));
        });
        let mut bytes = payload.into_bytes();
        group.bench_function(BenchmarkId::new("unmask", name), |b| {
            b.iter(|| mask::unmask(black_box(&mut bytes), black_box([0; 4]), 0));
        });
        group.bench_function(BenchmarkId::new("unmask plainly", name), |b| {
            b.iter(|| mask::unmask_plainly(black_box(&mut bytes), black_box([0; 4]), 0));
        });
        let mut scratch = Vec::new();
        group.bench_function(BenchmarkId::new("write", name), |b| {
            b.iter(|| {
                frame::begin(&mut scratch);
                scratch.extend_from_slice(black_box(&bytes));
                black_box(frame::finish(&mut scratch, Opcode::Text));
            });
        });
    }
    group.finish();
}

fn handshake(c: &mut Criterion) {
    let request = b"GET /ws HTTP/1.1\r\nHost: localhost:9501\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Origin: http://localhost:9501\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: longwire.json.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let rules = HttpRules { dev: true, supported: &["longwire.json.v1"], ..HttpRules::default() };
    c.bench_function("handshake", |b| {
        b.iter(|| match parse_request(black_box(request), &rules) {
            Head::Upgrade { request, .. } => accept(&request),
            _ => Vec::new(),
        });
    });
}

criterion_group!(benches, receiving, receiving_singly, parts, handshake);
criterion_main!(benches);
