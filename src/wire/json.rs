//! JSON, one object a message. Knows the shapes of the wire, no rules.
use super::{DecodeError, Event, Request};

/// Decodes one command.
pub fn decode(_message: &[u8]) -> Result<Request<'_>, DecodeError> {
    Err(DecodeError::Malformed)
}

/// Encodes one event.
pub fn encode(_event: &Event<'_>, _out: &mut Vec<u8>) {}
