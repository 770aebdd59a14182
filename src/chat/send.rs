//! Of an event's frames, the one that a session's client reads. Knows neither the event nor who the session is.

use super::Effects;
use crate::frame::{Class, Frames};
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::wire::{Encoding, Event};

/// Sends a session the frame in its own encoding; tells whether there is one.
#[inline]
pub(super) fn send_own<E: Effects>(
    conn: ConnId,
    encoding: Encoding,
    frames: &Frames,
    class: Class,
    fx: &mut E,
) -> bool {
    let Some(frame) = frames.get(encoding.index()) else {
        unencoded(conn, encoding, class, fx);
        return false;
    };
    fx.send(conn, frame, class);
    true
}

/// The session is the first of its encoding, and the event was on its way before it: nothing that its client did has
/// caused it. What is stored can be read, so the client is told to; what is not stored came too early.
#[cold]
fn unencoded<E: Effects>(conn: ConnId, encoding: Encoding, class: Class, fx: &mut E) {
    fx.count(Counter::Unencoded);
    if class == Class::Stored {
        fx.count(Counter::Resyncs);
        let resync = fx.encode_in(encoding, &Event::Resync);
        // In the message's place and of its class: where this is shed, a `resync` follows all the same.
        fx.send(conn, &resync, class);
    }
}
