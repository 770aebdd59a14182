//! Answers to sessions, here or on another shard. Knows no command's meaning.

use super::mail::{Answer, Mail};
use super::{Effects, Origin, Rules};
use crate::frame::Class;
use crate::ids::SessionId;
use crate::metrics::Counter;
use crate::wire::{ErrorCode, Event};

/// Why a command is refused: what its writer may do next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) ErrorCode, pub(super) &'static str);

pub(super) const BUSY: Refusal = Refusal(ErrorCode::Unavailable, "the server is busy; try later");
pub(super) const NOT_STORED: Refusal = Refusal(ErrorCode::Unavailable, "nothing was stored; try again");
pub(super) const UNKNOWN: Refusal =
    Refusal(ErrorCode::Unavailable, "the outcome is unknown; send it again with the same id");
pub(super) const NO_MEMBER: Refusal = Refusal(ErrorCode::Forbidden, "not a member of this group");
pub(super) const NO_PARTY: Refusal = Refusal(ErrorCode::Forbidden, "not a party to this conversation");

/// An error answer for whoever asked.
pub(super) fn refusal<E: Effects>(origin: &Origin, command: &str, refusal: Refusal, fx: &mut E) -> Answer {
    fx.count(Counter::CommandRefused);
    let Refusal(code, reason) = refusal;
    let id = origin.id.as_deref();
    let error = Event::Error { code, reason, command: Some(command), id, retry_after: None };
    let owed = owes_answer(command, origin);
    Answer { session: origin.session, frame: fx.encode_in(origin.encoding, &error), owed }
}

/// Whether a command is answered also when all goes well: [`crate::wire::Request::expects`], in the words of who refuses it.
fn owes_answer(command: &str, origin: &Origin) -> bool {
    match command {
        "typing" | "received" | "read" => false,
        "message" => origin.id.is_some(),
        _ => true,
    }
}

/// An answer for whoever was too fast.
pub(super) fn too_fast<E: Effects>(origin: &Origin, command: Option<&str>, wait: u64, fx: &mut E) -> Answer {
    fx.count(Counter::CommandRefused);
    let event = Event::too_fast(wait, command, origin.id.as_deref());
    let owed = command.is_some_and(|command| owes_answer(command, origin));
    Answer { session: origin.session, frame: fx.encode_in(origin.encoding, &event), owed }
}

impl Rules {
    /// Brings an answer to its session, on whichever shard.
    pub(super) fn answer<E: Effects>(&mut self, answer: Answer, fx: &mut E) {
        if answer.session.shard == self.config.shard {
            self.deliver(&answer, fx);
        } else {
            fx.mail(answer.session.shard, Mail::Frame(answer));
        }
    }

    /// Brings an answer to a session of this shard.
    pub(super) fn deliver<E: Effects>(&self, answer: &Answer, fx: &mut E) {
        if let Some(session) = self.people.session(answer.session) {
            fx.send(session.conn, &answer.frame, if answer.owed { Class::Reply } else { Class::Told });
        }
    }

    /// Answers whoever asked with an event.
    pub(super) fn reply<E: Effects>(&mut self, origin: &Origin, event: &Event<'_>, fx: &mut E) {
        let frame = fx.encode_in(origin.encoding, event);
        self.answer(Answer { session: origin.session, frame, owed: true }, fx);
    }

    /// Answers whoever asked with an error.
    pub(super) fn refused<E: Effects>(&mut self, origin: &Origin, command: &str, why: Refusal, fx: &mut E) {
        let answer = refusal(origin, command, why, fx);
        self.answer(answer, fx);
    }

    /// Tells a session that the command just decoded is refused, in the decoder's words.
    pub fn refuse<E: Effects>(
        &mut self,
        session: SessionId,
        code: ErrorCode,
        reason: &str,
        command: Option<&str>,
        id: Option<&str>,
        fx: &mut E,
    ) {
        let Some(asking) = self.people.session(session) else { return };
        let (conn, encoding) = (asking.conn, asking.encoding);
        fx.count(Counter::CommandRefused);
        let error = Event::Error { code, reason, command, id, retry_after: None };
        let frame = fx.encode_in(encoding, &error);
        fx.send(conn, &frame, Class::Reply);
    }
}
