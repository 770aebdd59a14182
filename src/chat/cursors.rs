//! How far users have got: moved at once, written to the log and told to the other side a little later. Knows no sessions.
//!
//! A cursor lives at its conversation's home, its only writer. What moved is in [`super::heads`] at once, which `sync` answers from;
//! the record follows within [`CURSOR_WRITE_MS`], one for all that moved meanwhile: so much may be lost in a crash.

use super::answer::{BUSY, NO_MEMBER};
use super::ask::Origin;
use super::heads::Mark;
use super::mail::Mail;
use super::survey::Purpose;
use super::{Effects, Rules, topic};
use crate::clock::Now;
use crate::frame::Class;
use crate::ids::{ConversationId, GroupName, Parties, UserName};
use crate::limits::{
    CURSOR_WRITE_MS, CURSORS_PER_TURN, CURSORS_WAITING, RECEIPT_MEMBERS_MAX, RECEIPT_MS, RECEIPTS_WAITING,
};
use crate::log::{Outcome, Record, Ticket};
use crate::metrics::Counter;
use crate::slab::Key;
use crate::view::{Cursor, Look, Looks};
use crate::wire::Event;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// A cursor that moved; what it is by now says its head.
#[derive(Debug)]
struct Moved {
    /// When it is due (ms of uptime).
    due: u64,
    head: Key,
    conversation: ConversationId,
    user: UserName,
}

/// What has moved and was not told or written yet, each in the order in which it is due.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    receipts: VecDeque<Moved>,
    writes: VecDeque<Moved>,
    /// Appended, without an outcome yet.
    written: HashMap<Ticket, Moved>,
    /// The shard goes down: everything is due.
    hurry: bool,
}

impl Cursors {
    /// How many things are under way, each of which keeps a head.
    pub(super) fn len(&self) -> usize {
        self.receipts.len() + self.writes.len() + self.written.len()
    }

    fn due(queue: &VecDeque<Moved>) -> Option<u64> {
        queue.front().map(|moved| moved.due)
    }

    fn take(queue: &mut VecDeque<Moved>, now: Now, hurry: bool) -> Option<Moved> {
        queue.pop_front_if(|moved| hurry || moved.due <= now.uptime)
    }
}

impl Rules {
    /// `received` or `read`, at the conversation's home.
    pub(super) fn move_cursor<E: Effects>(
        &mut self,
        origin: Origin,
        conversation: &ConversationId,
        to: Cursor,
        command: &'static str,
        now: Now,
        fx: &mut E,
    ) {
        let who = self.heads.who(&origin.user);
        let known = self.heads.find(conversation).filter(|head| self.heads.cursor(*head, who).is_some());
        if let Some(head) = known {
            return self.moves(head, &origin, conversation, to, command, now, fx);
        }
        if !self.may_look() {
            return self.refused(&origin, command, BUSY, fx);
        }
        let look = Look { conversation: conversation.clone(), after: None, cursor: Cursor::default() };
        let looks = Looks { user: origin.user.clone(), looks: vec![look], bytes: 0 };
        self.look(Purpose::Cursor { origin, to, command }, Arc::new(looks), fx);
    }

    /// It is known how the conversation stands, or that the user takes no part, or it cannot be known now.
    pub(super) fn cursor_known<E: Effects>(
        &mut self,
        head: Result<Option<Key>, ()>,
        origin: &Origin,
        conversation: &ConversationId,
        (to, command): (Cursor, &'static str),
        now: Now,
        fx: &mut E,
    ) {
        match head {
            Ok(Some(head)) => self.moves(head, origin, conversation, to, command, now, fx),
            Ok(None) => self.refused(origin, command, NO_MEMBER, fx),
            Err(()) => self.refused(origin, command, BUSY, fx),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn moves<E: Effects>(
        &mut self,
        head: Key,
        origin: &Origin,
        conversation: &ConversationId,
        to: Cursor,
        command: &'static str,
        now: Now,
        fx: &mut E,
    ) {
        if self.cursors.writes.len() + self.cursors.written.len() >= CURSORS_WAITING {
            return self.refused(origin, command, BUSY, fx);
        }
        let who = self.heads.who(&origin.user);
        if self.heads.advance(head, who, to).is_none() {
            return;
        }
        let moved = |after| Moved {
            due: now.uptime + after,
            head,
            conversation: conversation.clone(),
            user: origin.user.clone(),
        };
        if self.heads.mark(head, who, Mark::Write) {
            self.cursors.writes.push_back(moved(CURSOR_WRITE_MS));
        }
        let told = match conversation.parties() {
            Parties::Private(a, b) => a != b,
            Parties::Group(_) => {
                self.heads.size_and_head(head).is_some_and(|(size, _)| size <= RECEIPT_MEMBERS_MAX)
            }
        };
        if told && self.cursors.receipts.len() >= RECEIPTS_WAITING {
            fx.count(Counter::ReceiptsDropped);
        } else if told && self.heads.mark(head, who, Mark::Receipt) {
            self.cursors.receipts.push_back(moved(RECEIPT_MS));
        }
    }

    /// Tells and writes what is due; true if there is more to do at once.
    pub(super) fn tend_cursors<E: Effects>(&mut self, now: Now, fx: &mut E) -> bool {
        let hurry = self.cursors.hurry;
        // The other half of the turn's sends is for messages.
        let until = self.fan.slice_left / 2;
        let most = if hurry { usize::MAX } else { CURSORS_PER_TURN };
        for _ in 0..most {
            if self.fan.slice_left <= until {
                break;
            }
            let Some(moved) = Cursors::take(&mut self.cursors.receipts, now, hurry) else { break };
            self.tell_receipt(&moved, fx);
        }
        // Each once: one that the log does not take now is queued again.
        for _ in 0..most.min(self.cursors.writes.len()) {
            let Some(moved) = Cursors::take(&mut self.cursors.writes, now, hurry) else { break };
            self.write_cursor(moved, now, fx);
        }
        self.due().is_some_and(|due| due <= now.uptime)
    }

    /// Uptime (ms) at which there is something to do without an event.
    pub fn due(&self) -> Option<u64> {
        let queues = [&self.cursors.receipts, &self.cursors.writes];
        queues.into_iter().filter_map(Cursors::due).min()
    }

    /// The shard goes down: what waits is written now.
    pub fn hurry(&mut self) {
        self.cursors.hurry = true;
    }

    fn tell_receipt<E: Effects>(&mut self, moved: &Moved, fx: &mut E) {
        let Moved { head, conversation, user, .. } = moved;
        let who = self.heads.who(user);
        let cursor = self.heads.cursor(*head, who);
        self.heads.unmark(*head, who, Mark::Receipt);
        self.heads.unpin(*head);
        // Who has left tells nobody.
        let Some(cursor) = cursor else { return };
        let given = |seq| Some(seq).filter(|seq| *seq != crate::ids::Seq(0));
        let (received, read) = (given(cursor.received), given(cursor.read));
        let frames = fx.encode(&Event::Receipt { conversation, from: user, received, read });
        let topic = topic::receipt(&self.config.router, conversation, user);
        fx.count(Counter::Receipts);
        let to = match conversation.parties() {
            Parties::Group(group) => {
                if let Ok(group) = GroupName::new(group) {
                    self.notify_group(&group, user, topic, &frames, fx);
                }
                return;
            }
            Parties::Private(a, b) => {
                if a == user.as_str() {
                    b
                } else {
                    a
                }
            }
        };
        let Ok(to) = UserName::new(to) else { return };
        let home = self.config.router.home_of_user(&to);
        if home == self.config.shard {
            let sent = self.people.send(&to, None, &frames, Class::Ephemeral(Some(topic)), fx);
            self.fan.slice_left = self.fan.slice_left.saturating_sub(sent);
        } else {
            fx.mail(home, Mail::Notice { to, topic, frames });
        }
    }

    fn write_cursor<E: Effects>(&mut self, moved: Moved, now: Now, fx: &mut E) {
        let who = self.heads.who(&moved.user);
        let Some(Cursor { received, read }) = self.heads.cursor(moved.head, who) else {
            return self.heads.unpin(moved.head);
        };
        let (conversation, user) = (moved.conversation.clone(), moved.user.clone());
        let partition = self.config.router.conversation_partition(&conversation);
        match fx.append(partition, Record::Cursor { conversation, user, received, read }) {
            Ok(ticket) => {
                fx.count(Counter::Appended);
                self.heads.unmark(moved.head, who, Mark::Write);
                self.cursors.written.insert(ticket, moved);
            }
            Err(_) => {
                let due = now.uptime + CURSOR_WRITE_MS;
                self.cursors.writes.push_back(Moved { due, ..moved });
            }
        }
    }

    /// What became of a cursor's record. One that is not there for sure is written again.
    pub(super) fn cursor_outcome(&mut self, ticket: Ticket, outcome: Outcome, now: Now) {
        let Some(moved) = self.cursors.written.remove(&ticket) else { return };
        let (head, who) = (moved.head, self.heads.who(&moved.user));
        let again = matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_));
        if again && self.heads.mark(head, who, Mark::Write) {
            let due = now.uptime + CURSOR_WRITE_MS;
            self.cursors.writes.push_back(Moved { due, ..moved });
        }
        self.heads.unpin(head);
    }
}
