//! Of an event's frames, the one that a session's client reads. Knows neither the event nor who the session is.

use super::Effects;
use super::people::{People, Session, Told};
use crate::frame::{Class, Frames};
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::wire::{Encoding, Event};

/// Sends a session the frame in its own encoding; tells whether there is one.
#[inline]
pub(super) fn send_own<E: Effects>(session: &mut Session, frames: &Frames, class: Class, fx: &mut E) -> bool {
    let sent = send_in(session.conn, session.encoding, frames, class, fx);
    if !sent {
        unencoded(session, class, fx);
    }
    sent
}

/// The same for who knows its connection and encoding only; where there is no frame, [`People::unencoded`] is next.
#[inline]
pub(super) fn send_in<E: Effects>(
    conn: ConnId,
    encoding: Encoding,
    frames: &Frames,
    class: Class,
    fx: &mut E,
) -> bool {
    let frame = frames.get(encoding.index());
    if let Some(frame) = frame {
        fx.send(conn, frame, class);
    }
    frame.is_some()
}

/// The session is the first of its encoding, and the event was on its way before it: nothing that its client did has
/// caused it. What is stored can be read, so the client is told to, once: all that is written without its encoding was
/// committed before the session began, and is read together. What is not stored came too early.
#[cold]
fn unencoded<E: Effects>(session: &mut Session, class: Class, fx: &mut E) {
    fx.count(Counter::Unencoded);
    if class == Class::Stored && !session.told.again(Told::LATE) {
        fx.count(Counter::Resyncs);
        let resync = fx.encode_in(session.encoding, &Event::Resync);
        // In the message's place and of its class: where this is shed, a `resync` follows all the same.
        fx.send(session.conn, &resync, class);
    }
}

impl People {
    /// There was no frame for the session of this user on this connection.
    #[cold]
    pub(super) fn unencoded<E: Effects>(&mut self, user: u32, conn: ConnId, class: Class, fx: &mut E) {
        let key = self.sessions_of(user).find(|(_, session)| session.conn == conn).map(|(key, _)| key);
        if let Some(session) = key.and_then(|key| self.sessions.get_mut(key)) {
            unencoded(session, class, fx);
        }
    }
}
