//! The bytes of a client: frames, the tutorial's JSON, and the marker in each payload. Knows no socket.
pub(crate) mod acked;
pub(crate) mod dialect;
pub(crate) mod frame;
pub(crate) mod marker;
pub(crate) mod template;
