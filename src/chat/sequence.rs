//! The sequencer: commands at their conversation's home, messages numbered and appended. Knows no sessions.

use super::answer::{BUSY, NO_MEMBER, Refusal};
use super::ask::{Ask, Origin, What};
use super::conversation::Conversation;
use super::ids_window::{Found, Remembered, State};
use super::outcome::{Appended, Pending};
use super::{Effects, Rules};
use crate::clock::Now;
use crate::ids::{ConversationId, Millis, Parties};
use crate::limits::COMMIT_WAITERS;
use crate::log::{Durability, MessageRecord, Record, Ticket};
use crate::metrics::Counter;
use crate::view::{Activation, Print, Recall};
use crate::wire::{ErrorCode, Event, PayloadKind, Target};
use std::borrow::Cow;
use std::sync::Arc;

const OTHER_CONTENT: Refusal = Refusal(ErrorCode::Conflict, "this id was used for another message");

/// A message's content on its way into the log.
pub(super) struct Content<'a> {
    pub(super) target: Target,
    pub(super) kind: PayloadKind,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl Rules {
    /// A command for a conversation at home here: handled now, or once the conversation is active.
    pub(super) fn ask<E: Effects>(&mut self, ask: Ask<'_>, now: Now, fx: &mut E) {
        if let (What::History { range }, Parties::Private(..)) = (&ask.what, ask.conversation.parties()) {
            // Its parties stand in its name: there is nothing to load for that.
            return self.read(ask.origin, &ask.conversation, *range, fx);
        }
        if let What::History { range } = &ask.what
            && self.is_known_member(&ask)
        {
            return self.read(ask.origin, &ask.conversation, *range, fx);
        }
        if let What::Cursor { to, command } = ask.what {
            return self.move_cursor(ask.origin, &ask.conversation, to, command, now, fx);
        }
        let slot = match self.conversations.find(&ask.conversation) {
            Some(slot) => slot,
            None => match self.conversations.begin(&ask.conversation, &self.config.router) {
                Some(slot) => {
                    let recall = self.recall(&ask.conversation, now.wall);
                    fx.activate(&ask.conversation, recall);
                    slot
                }
                None => return self.denied(&ask.origin, &ask.what, BUSY, fx),
            },
        };
        if self.conversations.is_active(slot) {
            self.perform(slot, ask, now, fx);
        } else if self.conversations.may_wait(slot, &ask) {
            self.conversations.wait(slot, ask);
            // It may be that the last look at the view failed.
            self.ask_view(slot, fx);
        } else {
            self.denied(&ask.origin, &ask.what, BUSY, fx);
        }
    }

    /// What to load of a conversation that begins: this process knows only of what it has said itself.
    fn recall(&self, conversation: &ConversationId, now: Millis) -> Recall {
        let config = &self.config;
        let loads = || self.ids.wanted(conversation, config.seqs_reserved, now);
        Recall { from: None, ids: config.memberships_stored.then(loads).flatten() }
    }

    /// Whether a group that is not active need not be made so to know that someone is in it.
    fn is_known_member(&mut self, ask: &Ask<'_>) -> bool {
        let Some(head) = self.heads.find(&ask.conversation) else { return false };
        let who = self.heads.who(&ask.origin.user);
        self.heads.cursor(head, who).is_some() && self.conversations.find(&ask.conversation).is_none()
    }

    fn perform<E: Effects>(&mut self, slot: u32, ask: Ask<'_>, now: Now, fx: &mut E) {
        let Ask { origin, conversation, what } = ask;
        match what {
            What::Message { target, kind, bytes } => {
                self.sequence(slot, origin, conversation, Content { target, kind, bytes }, now, fx);
            }
            What::Join => self.join_group(slot, origin, now, fx),
            What::Leave => self.leave_group(slot, origin, fx),
            What::Members { after } => self.list_members(slot, &origin, after.as_ref(), fx),
            // Handled before: it needs no sequencer.
            What::Cursor { .. } => {}
            What::Typing { target } => self.typing_in_group(slot, &origin, &target, fx),
            What::History { range } => match self.conversations.at(slot).and_then(Conversation::group) {
                Some(group) if group.has(&origin.user) => self.read(origin, &conversation, range, fx),
                _ => self.refused(&origin, "history", NO_MEMBER, fx),
            },
        }
    }

    fn sequence<E: Effects>(
        &mut self,
        slot: u32,
        origin: Origin,
        conversation: ConversationId,
        content: Content<'_>,
        now: Now,
        fx: &mut E,
    ) {
        let Some(at) = self.conversations.at(slot) else { return };
        if at.group().is_some_and(|group| !group.has(&origin.user)) {
            return self.refused(&origin, "message", NO_MEMBER, fx);
        }
        let mut print = None;
        if let Some(id) = &origin.id {
            let printer = self.ids.printer();
            let new = printer.print(&conversation, &origin.user, id, content.kind, &content.bytes);
            match self.ids.find(&conversation, &new, now.wall) {
                Found::Nothing => print = Some(new),
                Found::Conflict => return self.refused(&origin, "message", OTHER_CONTENT, fx),
                Found::Same(first) => return self.repeated(&origin, &conversation, first, fx),
            }
        }
        if origin.wait > 0 && self.conversations.at(slot).is_some_and(Conversation::is_new) {
            return self.too_many_begun(&origin, "message", fx);
        }
        self.append(slot, origin, conversation, content, print, now, fx);
    }

    #[allow(clippy::too_many_arguments)]
    fn append<E: Effects>(
        &mut self,
        slot: u32,
        origin: Origin,
        conversation: ConversationId,
        content: Content<'_>,
        print: Option<Print>,
        now: Now,
        fx: &mut E,
    ) {
        let Some(at) = self.conversations.at_mut(slot) else { return };
        let is_new = at.is_new();
        let (seq, prev) = at.next();
        let Origin { session, encoding, user, id, wait } = origin;
        let record = Arc::new(MessageRecord {
            conversation,
            seq,
            prev,
            time: now.wall,
            from: user,
            target: content.target,
            id,
            kind: content.kind,
            bytes: content.bytes.into_owned().into_boxed_slice(),
        });
        let Ok(ticket) = fx.append(at.partition, Record::Message(Arc::clone(&record))) else {
            let MessageRecord { from, id, .. } = &*record;
            let origin = Origin { session, encoding, user: from.clone(), id: id.clone(), wait };
            return self.refused(&origin, "message", BUSY, fx);
        };
        fx.count(Counter::Appended);
        (at.assigned, at.tail) = (seq, seq);
        at.in_flight += 1;
        if is_new {
            self.begun(&record.from, session, now, fx);
        }
        let entry = print.map(|print| self.ids.insert(print, &record, State::Pending(ticket)));
        let what = Appended::Message { record, sender: session, encoding, entry };
        self.pending.insert(ticket, Pending { conversation: slot, what, waiters: Vec::new() });
    }

    /// A message that came before: its first ack again, once there is one.
    fn repeated<E: Effects>(
        &mut self,
        origin: &Origin,
        conversation: &ConversationId,
        first: Remembered,
        fx: &mut E,
    ) {
        match first.state {
            State::Done(durability) => self.ack_again(origin, conversation, first, durability, fx),
            State::Pending(ticket) => {
                if !self.wait_for(ticket, origin) {
                    self.refused(origin, "message", BUSY, fx);
                }
            }
            State::Gone => {}
        }
    }

    /// Lets someone be answered together with an append under way, unless too many are.
    pub(super) fn wait_for(&mut self, ticket: Ticket, origin: &Origin) -> bool {
        let pending = self.pending.get_mut(&ticket);
        let room = pending.filter(|pending| pending.waiters.len() < COMMIT_WAITERS);
        room.map(|pending| pending.waiters.push(origin.clone())).is_some()
    }

    pub(super) fn ack_again<E: Effects>(
        &mut self,
        origin: &Origin,
        conversation: &ConversationId,
        first: Remembered,
        durability: Durability,
        fx: &mut E,
    ) {
        let Some(id) = origin.id.as_deref() else { return };
        fx.count(Counter::Duplicates);
        let Remembered { seq, prev, time, .. } = first;
        let ack = Event::Ack { id, conversation, seq, prev, time, durability, duplicate: true };
        self.reply(origin, &ack, fx);
    }

    /// The view's answer to `Effects::activate`: the conversation goes on, and its waiting commands with it.
    pub fn activated<E: Effects>(
        &mut self,
        conversation: &ConversationId,
        activation: Activation,
        now: Now,
        fx: &mut E,
    ) {
        let Some(slot) = self.conversations.find(conversation) else { return };
        let floor = self.conversations.floor(now.wall);
        let Some(at) = self.conversations.at_mut(slot) else { return };
        let Some(stalled) = at.stalled.take_if(|stalled| stalled.asked) else { return };
        at.resume(&activation, floor);
        at.head = self.heads.find(conversation);
        if let Some(head) = at.head {
            self.heads.resumed(head, activation.head, activation.first);
        }
        if let Some(ids) = activation.ids {
            self.ids.keep(conversation, ids);
        }
        if let Some(group) = at.group_mut() {
            group.load(activation.members);
            let members = group.settled;
            if let Some(head) = at.head {
                self.heads.counts_members(head, members);
            }
        }
        for unresolved in stalled.unresolved {
            self.resolve(slot, unresolved, (&activation.stored, activation.durability), now, fx);
        }
        for ask in stalled.waiting {
            self.conversations.waited(&ask);
            self.perform(slot, ask, now, fx);
        }
    }
}
