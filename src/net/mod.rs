//! Bytes to messages and back: sockets, io_uring, TLS, HTTP upgrade, WebSocket frames. Knows no chat rules, no log.

pub mod capacity;
pub mod conn;
pub mod crowd;
pub mod deflate;
pub mod endpoint;
pub mod frame;
pub mod http;
pub mod inbound;
pub mod listen;
pub mod mask;
pub mod outbox;
pub mod plane;
pub mod preflight;
pub mod proxy;
pub mod ring;
pub mod tls;
pub mod utf8;
