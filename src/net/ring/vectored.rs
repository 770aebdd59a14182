//! Several frames sent from where they lie, in one operation (sendmsg(2)): above some size naming them is cheaper than
//! copying them together. Knows no ring.
#![allow(unsafe_code)]

use crate::frame::Frame;
use libc::{iovec, msghdr};
use std::fmt;
use std::ptr::null_mut;

/// Frames in their order.
pub struct Vectored {
    frames: Vec<Frame>,
    size: usize,
    /// What the kernel reads: where the frames lie, and where this list does.
    parts: Vec<iovec>,
    head: msghdr,
}

impl fmt::Debug for Vectored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vectored").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Default for Vectored {
    fn default() -> Self {
        // SAFETY: a message header is plain numbers and pointers, all of which may be zero.
        let head = unsafe { std::mem::zeroed() };
        Self { frames: Vec::new(), size: 0, parts: Vec::new(), head }
    }
}

impl Vectored {
    /// Adds a frame.
    pub fn push(&mut self, frame: Frame) {
        self.size += frame.size();
        self.frames.push(frame);
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Their bytes together.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Their part of that memory now, each one's other receivers counted.
    pub fn share(&self) -> usize {
        self.frames.iter().map(Frame::share).sum()
    }

    /// Lets the frames go.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.parts.clear();
        self.size = 0;
        self.head.msg_iov = null_mut();
        self.head.msg_iovlen = 0;
    }

    /// What the kernel is to send, from `offset` on. Good as long as this stays where it is and unchanged.
    pub(super) fn from(&mut self, offset: usize) -> *const msghdr {
        self.parts.clear();
        let mut skip = offset;
        for frame in &self.frames {
            let rest = &frame.bytes()[skip.min(frame.size())..];
            skip -= frame.size() - rest.len();
            if !rest.is_empty() {
                self.parts.push(iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() });
            }
        }
        self.head.msg_iov = self.parts.as_mut_ptr();
        self.head.msg_iovlen = self.parts.len();
        &raw const self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_goes_on_where_the_last_one_ended() {
        let frames = ["one", "", "three", "x"].map(|text| Frame::new(text.as_bytes()));
        let mut vectored = Vectored::default();
        frames.iter().for_each(|frame| vectored.push(frame.clone()));
        assert_eq!((vectored.frames(), vectored.size()), (4, 9));
        for offset in 0..=9 {
            vectored.from(offset);
            let parts: Vec<u8> = vectored
                .parts
                .iter()
                .flat_map(|part| {
                    let inside = |frame: &&Frame| {
                        frame.bytes().as_ptr_range().contains(&part.iov_base.cast_const().cast())
                    };
                    let frame = frames.iter().find(inside).unwrap().bytes();
                    frame[frame.len() - part.iov_len..].to_vec()
                })
                .collect();
            assert_eq!(parts, &b"onethreex"[offset..]);
            assert_eq!(vectored.head.msg_iovlen, vectored.parts.len());
        }
        vectored.clear();
        assert_eq!((vectored.frames(), vectored.size()), (0, 0));
    }
}
