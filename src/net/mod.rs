//! Bytes to messages and back: sockets, io_uring, HTTP upgrade, WebSocket frames. Knows no chat rules, no log.

pub mod frame;
pub mod http;
pub mod inbound;
pub mod mask;
pub mod utf8;
