//! What holds for any bytes that arrive on a binary connection.

use crate::schema::{ClientFrame, client_frame::Command, send_message::Content};
use crate::{frames, refusal_is_fit};
use longwire::wire::{DecodeError, Encoding};
use prost::Message;
use serde_json::value::RawValue;

/// The bytes are read as prost reads them, and what JSON can say as well is accepted or refused there too.
///
/// They may differ where groups (unknown fields of Protobuf's first version) are nested about 100 deep: each library has its
/// own limit.
pub fn proto_command(data: &[u8]) {
    let ours = Encoding::Proto.decode(data);
    let frame = match ClientFrame::decode(data) {
        Ok(frame) => frame,
        Err(error) if error.to_string().contains("recursion limit") => return,
        Err(error) => {
            assert_eq!(ours, Err(DecodeError::Malformed), "prost: {error}");
            return;
        }
    };
    let json = frames::json(&frame);
    let in_json = json.as_ref().map(|json| Encoding::Json.decode(json.as_bytes()));
    match ours {
        Ok(request) => {
            assert_eq!(frames::frame(&request), understood(frame));
            assert!(in_json.is_none_or(|read| read == Ok(request)), "{json:?}");
        }
        Err(DecodeError::Malformed) => panic!("prost reads {frame:?}"),
        Err(refusal) => {
            refusal_is_fit(&refusal);
            names_what_it_refuses(&refusal, &frame);
            assert!(in_json.is_none_or(|read| read.is_err()), "{json:?}");
        }
    }
}

fn names_what_it_refuses(refusal: &DecodeError, frame: &ClientFrame) {
    let DecodeError::Refused { command, id, .. } = refusal else { panic!("no refusal: {refusal:?}") };
    assert_eq!(command.as_deref(), frame.command.as_ref().map(frames::name));
    let fits = (1..=longwire::ids::NAME_MAX).contains(&frame.id.len());
    assert_eq!(id.as_deref(), fits.then_some(&*frame.id));
}

/// The frame as it is understood: JSON content without the white space around the value, what a device holds in the order of
/// its names.
fn understood(mut frame: ClientFrame) -> ClientFrame {
    if let Some(Command::Message(message)) = &mut frame.command
        && let Some(Content::Json(text)) = &mut message.content
        && let Ok(value) = serde_json::from_str::<&RawValue>(text)
    {
        *text = value.get().to_owned();
    }
    if let Some(Command::Sync(sync)) = &mut frame.command {
        sync.cursors.sort_by(|a, b| a.conversation.cmp(&b.conversation));
    }
    frame
}
