//! The bytes of a client: frames, what a server is told and answers, and the mark in each payload. Knows no socket.
pub(crate) mod acked;
pub(crate) mod dialect;
pub(crate) mod filler;
pub(crate) mod frame;
pub(crate) mod letter;
pub(crate) mod marker;
pub(crate) mod sync;
pub(crate) mod template;
