//! What holds for any bytes that arrive on a JSON connection. Knows no Protobuf beyond its frames.

use crate::{frames, refusal_is_fit};
use longwire::wire::{Command, DecodeError, Encoding, PayloadKind, Request};
use prost::Message;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Whatever is not JSON is malformed, and nothing else is. A command that is understood says the same in binary, and when
/// it is written as JSON again.
pub fn json_command(data: &[u8]) {
    let text = str::from_utf8(data).ok();
    let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match Encoding::Json.decode(data) {
        Ok(request) => {
            assert!(is_json);
            is_readable(&request);
            let frame = frames::frame(&request);
            assert_eq!(Encoding::Proto.decode(&frame.encode_to_vec()), Ok(request.clone()));
            let again = frames::json(&frame).expect("a command that came in JSON");
            assert_eq!(Encoding::Json.decode(again.as_bytes()), Ok(request));
        }
        Err(DecodeError::Malformed) => assert!(!is_json),
        Err(refusal) => {
            assert!(is_json);
            refusal_is_fit(&refusal);
        }
    }
}

/// Content that passed is JSON which another parser reads: it must not choke a receiver.
fn is_readable(request: &Request<'_>) {
    if let Command::Message { payload, .. } = &request.command {
        assert_eq!(payload.kind, PayloadKind::Json);
        let read = serde_json::from_slice::<Value>(payload.bytes);
        // At the very edge of the floats serde_json rounds otherwise than the standard library.
        let edge = read.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        assert!(read.is_ok() || edge, "{read:?}");
    }
}
