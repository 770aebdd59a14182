//! What follows an append's outcome: acks, deliveries, refusals. Knows no log and no numbering.

use super::answer::{NOT_STORED, Refusal, UNKNOWN};
use super::ask::Origin;
use super::ids_window::{EntryId, State};
use super::join::Change;
use super::{Effects, Rules};
use crate::clock::Now;
use crate::frame::Frame;
use crate::ids::{Seq, SessionId, UserName};
use crate::log::{Durability, MessageRecord, Outcome};
use crate::metrics::Counter;
use crate::view::Recall;
use crate::wire::{Encoding, Event};
use std::sync::Arc;

/// An append under way.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its conversation's slot, which is kept while anything is under way.
    pub(super) conversation: u32,
    pub(super) what: Appended,
    /// Those who asked the same again in the meantime.
    pub(super) waiters: Vec<Origin>,
}

#[derive(Debug)]
pub(super) enum Appended {
    Message {
        record: Arc<MessageRecord>,
        sender: SessionId,
        encoding: Encoding,
        /// Where it is remembered by its id.
        entry: Option<EntryId>,
    },
    Change(Box<Change>),
}

/// An append whose outcome only the view can tell. Whoever asked was told so; those it concerns must still get it.
#[derive(Debug)]
pub(super) enum Unresolved {
    Message { record: Arc<MessageRecord>, sender: SessionId },
    Change { user: UserName, joined: bool },
}

impl Unresolved {
    fn seq(&self) -> Option<Seq> {
        match self {
            Self::Message { record, .. } => Some(record.seq),
            Self::Change { .. } => None,
        }
    }
}

fn ack<E: Effects>(
    record: &MessageRecord,
    durability: Durability,
    duplicate: bool,
    encoding: Encoding,
    fx: &mut E,
) -> Option<Frame> {
    let ack = Event::Ack {
        id: record.id.as_deref()?,
        conversation: &record.conversation,
        seq: record.seq,
        prev: record.prev,
        time: record.time,
        durability,
        duplicate,
    };
    Some(fx.encode_in(encoding, &ack))
}

impl Rules {
    /// The log tells what became of an append.
    pub fn outcome<E: Effects>(&mut self, outcome: Outcome, now: Now, fx: &mut E) {
        let (Outcome::Committed(ticket, ..)
        | Outcome::Fenced(ticket)
        | Outcome::Failed(ticket)
        | Outcome::Unknown(ticket)) = outcome;
        let Some(pending) = self.pending.remove(&ticket) else {
            self.cursor_outcome(ticket, outcome, now);
            self.trim_outcome(ticket, outcome);
            return;
        };
        let slot = pending.conversation;
        if let Some(at) = self.conversations.at_mut(slot) {
            at.in_flight -= 1;
        }
        match (outcome, pending.what) {
            (Outcome::Committed(_, _, durability), Appended::Message { record, sender, encoding, entry }) => {
                self.message_committed(slot, &record, (sender, encoding), entry, durability, fx);
                self.ack_waiters(&record, durability, pending.waiters, fx);
            }
            (Outcome::Committed(..), Appended::Change(change)) => {
                self.change_committed(slot, &change, ticket, &pending.waiters, fx);
            }
            (outcome, what) => {
                let unknown = matches!(outcome, Outcome::Unknown(_));
                self.not_committed(slot, what, unknown, &pending.waiters, fx);
            }
        }
        self.ask_view(slot, fx);
    }

    fn message_committed<E: Effects>(
        &mut self,
        slot: u32,
        record: &MessageRecord,
        (sender, encoding): (SessionId, Encoding),
        entry: Option<EntryId>,
        durability: Durability,
        fx: &mut E,
    ) {
        self.advance_head(slot, record);
        if let Some(entry) = entry {
            self.ids.resolve(entry, State::Done(durability));
        }
        let ack = ack(record, durability, false, encoding, fx);
        if ack.is_some() {
            fx.count(Counter::Acked);
        }
        self.publish(slot, record, sender, ack, fx);
    }

    /// A message is in the log: what is kept of its conversation goes on.
    fn advance_head(&mut self, slot: u32, record: &MessageRecord) {
        if let Some(head) = self.conversations.committed(slot, record.seq) {
            let from = self.heads.who(&record.from);
            self.heads.committed(head, record.seq, from);
        }
        self.tails.committed(record);
    }

    fn ack_waiters<E: Effects>(
        &mut self,
        record: &MessageRecord,
        durability: Durability,
        waiters: Vec<Origin>,
        fx: &mut E,
    ) {
        for waiter in waiters {
            fx.count(Counter::Duplicates);
            if let Some(frame) = ack(record, durability, true, waiter.encoding, fx) {
                self.answer(super::mail::Answer { session: waiter.session, frame, owed: true }, fx);
            }
        }
    }

    fn not_committed<E: Effects>(
        &mut self,
        slot: u32,
        what: Appended,
        unknown: bool,
        waiters: &[Origin],
        fx: &mut E,
    ) {
        let why: Refusal = if unknown { UNKNOWN } else { NOT_STORED };
        let unresolved = match what {
            Appended::Message { record, sender, encoding, entry } => {
                if let Some(entry) = entry {
                    self.ids.resolve(entry, State::Gone);
                }
                let (user, id) = (record.from.clone(), record.id.clone());
                self.refused(&Origin { session: sender, encoding, user, id, wait: 0 }, "message", why, fx);
                waiters.iter().for_each(|waiter| self.refused(waiter, "message", why, fx));
                Unresolved::Message { record, sender }
            }
            Appended::Change(change) => {
                let Change { origin, joined, .. } = *change;
                for asked in std::iter::once(&origin).chain(waiters) {
                    if joined {
                        self.not_joined(asked, why, fx);
                    } else {
                        self.refused(asked, "leaveGroup", why, fx);
                    }
                }
                Unresolved::Change { user: origin.user, joined }
            }
        };
        if let Some(at) = self.conversations.at_mut(slot) {
            let stalled = at.stall();
            if unknown {
                stalled.unresolved.push(unresolved);
            }
        }
    }

    /// Asks the view how to go on, once nothing is under way any more.
    pub(super) fn ask_view<E: Effects>(&mut self, slot: u32, fx: &mut E) {
        let Some(at) = self.conversations.at_mut(slot) else { return };
        let in_flight = at.in_flight;
        if let Some(stalled) = at.stalled.as_mut().filter(|stalled| !stalled.asked && in_flight == 0) {
            stalled.asked = true;
            let seqs = stalled.unresolved.iter().filter_map(Unresolved::seq);
            fx.activate(&at.id, Recall { from: seqs.min(), ids: None });
        }
    }

    /// The view has told the truth about an append whose outcome was unknown.
    pub(super) fn resolve<E: Effects>(
        &mut self,
        slot: u32,
        unresolved: Unresolved,
        (stored, durability): (&[Seq], Durability),
        now: Now,
        fx: &mut E,
    ) {
        match unresolved {
            Unresolved::Message { record, sender } => {
                if stored.binary_search(&record.seq).is_ok() {
                    self.ids.remember(&record, durability, now.wall);
                    self.advance_head(slot, &record);
                    self.publish(slot, &record, sender, None, fx);
                }
            }
            Unresolved::Change { user, joined } => self.resolve_change(slot, &user, joined, fx),
        }
    }
}
