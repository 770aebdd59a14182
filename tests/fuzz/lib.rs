//! What holds for any bytes a client may send, one plain function for each decoder: a fuzzer calls it (`fuzz/`), and so does a test
//! on stable Rust (`fuzz_seeds_hold.rs`). Knows the wire and what of `net` knows no socket, with others beside them; no shards or rules.

mod deflate_round_trip;
pub mod events;
pub mod frames;
mod handshake;
mod inflate;
mod json_command;
pub mod oracle;
mod proto_command;
mod proxy_header;
mod websocket_frames;

use longwire::ids::NAME_MAX;
use longwire::wire::{DecodeError, ErrorCode};

pub use deflate_round_trip::deflate_round_trip;
pub use handshake::handshake;
pub use inflate::inflate;
pub use json_command::json_command;
pub use proto_command::proto_command;
pub use proxy_header::proxy_header;
pub use websocket_frames::websocket_frames;

/// The schema `proto/longwire/v1/longwire.proto` as prost has it. The server has it from another library.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod schema {
    include!(concat!(env!("OUT_DIR"), "/longwire.v1.rs"));
}

/// A function that panics when something does not hold that should hold for any bytes.
pub type Check = fn(&[u8]);

/// Each check and its name: of its file in `fuzz/fuzz_targets/`, and of the folder with its seeds in `fuzz/seeds/`.
pub const CHECKS: &[(&str, Check)] = &[
    ("deflate_round_trip", deflate_round_trip),
    ("handshake", handshake),
    ("inflate", inflate),
    ("json_command", json_command),
    ("proto_command", proto_command),
    ("proxy_header", proxy_header),
    ("websocket_frames", websocket_frames),
];

/// A refusal says why, and repeats nothing that is longer than it may be.
fn refusal_is_fit(refusal: &DecodeError) {
    let DecodeError::Refused { code, reason, command, id } = refusal else {
        panic!("no refusal: {refusal:?}")
    };
    assert_eq!(*code, ErrorCode::BadRequest);
    assert!(!reason.is_empty());
    assert!(command.as_ref().is_none_or(|command| command.len() <= NAME_MAX), "{command:?}");
    assert!(id.as_ref().is_none_or(|id| (1..=NAME_MAX).contains(&id.len())), "{id:?}");
}
