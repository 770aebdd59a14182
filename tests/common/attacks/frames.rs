//! Attacks by frames that RFC 6455 and RFC 7692 forbid. Knows no message.

use super::Meets::{Close, Error};
use super::Stage::{Deflating, SignedIn};
use super::{Attack, says};
use crate::common::raw::{BINARY, CLOSE, CONTINUE, DEFLATED, PING, TEXT, deflate, frame};
use longwire::metrics::Counter::{
    self, ClosedInvalid, ClosedNormal, ClosedProtocol, ClosedTooBig, ClosedUnsupported,
};

const FIN: u8 = 0x80;

fn counter(code: u16) -> Counter {
    match code {
        1002 => ClosedProtocol,
        1003 => ClosedUnsupported,
        1007 => ClosedInvalid,
        1009 => ClosedTooBig,
        _ => ClosedNormal,
    }
}

/// A header that announces so much, and none of it.
fn header(length: u64) -> Vec<u8> {
    [&[TEXT, FIN | 127][..], &length.to_be_bytes(), &[0; 4]].concat()
}

fn plain() -> Vec<Attack> {
    let row = |name, bytes, code| says(name, SignedIn, bytes, Close(code), counter(code));
    let begun = frame(TEXT & !FIN, b"{\"type\":");
    let mut unmasked = frame(TEXT, b"{}");
    unmasked[1] &= 0x7f;
    let close = |code: u16| frame(CLOSE, &code.to_be_bytes());
    vec![
        row("a frame without a mask", unmasked, 1002),
        row("a reserved bit", frame(TEXT | 0x20, b"{}"), 1002),
        row("a reserved opcode", frame(FIN | 3, b""), 1002),
        row("a reserved control opcode", frame(FIN | 0xb, b""), 1002),
        row("a control frame of 126 bytes", frame(PING, &[b'x'; 126]), 1002),
        row("a control frame in fragments", frame(PING & !FIN, b""), 1002),
        row("a continuation of nothing", frame(CONTINUE, b"x"), 1002),
        row("a message within a message", [&begun[..], &frame(TEXT, b"{}")].concat(), 1002),
        row("text that is not UTF-8", frame(TEXT, b"\"\xff\""), 1007),
        row(
            "text that is not UTF-8 across fragments",
            [frame(TEXT & !FIN, &[0xf0, 0x9f]), frame(CONTINUE, &[0x41])].concat(),
            1007,
        ),
        row("a close code that may not be sent", close(1006), 1002),
        row("a close code out of range", close(65_535), 1002),
        row("a close frame of one byte", frame(CLOSE, b"x"), 1002),
        row("a close reason that is not UTF-8", frame(CLOSE, &[0x03, 0xe8, 0xff]), 1007),
        row("noise behind a close frame", [close(1000), vec![0xff; 4096]].concat(), 1000),
        row("a length of eight exbibytes", header(i64::MAX as u64), 1009),
        row("a length with its highest bit", header(1 << 63), 1002),
        row(
            "fragments that are too large together",
            frame(TEXT & !FIN, &[b' '; 9000])
                .into_iter()
                .chain(frame(CONTINUE & !FIN, &[b' '; 9000]))
                .collect(),
            1009,
        ),
        row(
            "endless empty fragments",
            [frame(TEXT & !FIN, b""), frame(CONTINUE & !FIN, b"").repeat(2000)].concat(),
            1009,
        ),
        row("compressed without an agreement", frame(TEXT | DEFLATED, &deflate(b"{}")), 1002),
        row("a binary message where JSON is spoken", frame(BINARY, b"{}"), 1003),
    ]
}

fn compressed() -> Vec<Attack> {
    let row = |name, bytes, code| says(name, Deflating, bytes, Close(code), counter(code));
    let text = |payload: &[u8]| frame(TEXT | DEFLATED, payload);
    let bomb = deflate(&vec![b' '; 16 << 20]);
    let pieces: Vec<u8> = bomb.chunks(100).flat_map(|piece| frame(CONTINUE & !FIN, piece)).collect();
    let ping = deflate(br#"{"type":"ping","id":"hello hello hello"}"#);
    vec![
        row("a compressed bomb", text(&bomb[..15_000]), 1009),
        row(
            "a compressed bomb in fragments",
            [frame(TEXT & !FIN | DEFLATED, b""), pieces, frame(CONTINUE, b"")].concat(),
            1009,
        ),
        row("a compressed message that is cut off", text(&ping[..ping.len() - 3]), 1007),
        row("noise as a compressed message", text(&[0xa5; 500]), 1007),
        row("a compressed message that ends again and again", text(&[0x03, 0x00].repeat(4000)), 1007),
        row("the compression bit on a ping", frame(PING | DEFLATED, b""), 1002),
        says(
            "a compressed command that is refused",
            Deflating,
            text(&deflate(format!(r#"{{"type":"{}"}}"#, "x".repeat(8000)).as_bytes())),
            Error(400),
            Counter::CommandRefused,
        ),
    ]
}

pub(super) fn all() -> Vec<Attack> {
    [plain(), compressed()].into_iter().flatten().collect()
}
