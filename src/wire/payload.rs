//! A message's content: bytes plus a kind. Knows no encoding.

use super::value;
use serde_json::value::RawValue;

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

impl Payload<'_> {
    /// Whether it may be given to receivers: what a decoder asks of content, for content that came another way.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self) -> Result<(), &'static str> {
        let text = || std::str::from_utf8(self.bytes).map_err(|_| "`message` is not UTF-8");
        match self.kind {
            PayloadKind::Json => {
                let text = text()?;
                let raw: &RawValue = serde_json::from_str(text).map_err(|_| "`message` is no JSON value")?;
                value::check(raw.get())
            }
            PayloadKind::Text => text().map(|_| ()),
            PayloadKind::Bytes => Ok(()),
        }
    }
}
