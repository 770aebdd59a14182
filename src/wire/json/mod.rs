//! JSON, one object a message. Knows the shapes of the wire, no rules.

mod cursors;
mod decode;
mod encode;
#[cfg(test)]
mod properties;

pub use decode::decode;
pub use encode::encode;
