//! Protobuf, one frame message a WebSocket message. Knows the shapes of the schema, no rules.

mod decode;
mod encode;
mod envelope;

/// What the schema `proto/longwire/v1/longwire.proto` describes, made from it when this was built: each message as a
/// type that owns what it holds, and as a `View` that borrows from a frame.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, rustdoc::all)]
pub mod schema {
    include!(concat!(env!("OUT_DIR"), "/longwire.v1.mod.rs"));
}

pub use decode::decode;
pub use encode::encode;
