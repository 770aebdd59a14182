//! A message's content: bytes plus a kind. Knows no encoding.

/// What a payload's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadKind {
    /// A JSON value's text, exactly as its sender wrote it.
    Json,
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Bytes,
}

/// A message's content as it passes through: validated where it enters, never parsed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload<'a> {
    /// What the bytes are.
    pub kind: PayloadKind,
    /// The content.
    pub bytes: &'a [u8],
}
