//! Messages that are kept no longer: trims written at their conversation's home, and what is kept in memory told of them. Knows no reason
//! to trim.

use super::heads::Floor;
use super::{Effects, Rules};
use crate::ids::{ConversationId, Seq};
use crate::limits::TRIMS_WAITING;
use crate::log::{Outcome, Record, Ticket};
use crate::metrics::Counter;
use hashbrown::HashMap;

/// Trims appended, without an outcome yet; at most [`TRIMS_WAITING`].
#[derive(Debug, Default)]
pub(super) struct Trims(HashMap<Ticket, (ConversationId, Seq)>);

impl Rules {
    /// A conversation at home here is to begin at `first`. What cannot be written now is wanted again later.
    pub fn trim<E: Effects>(&mut self, conversation: ConversationId, first: Seq, fx: &mut E) {
        if self.trims.0.len() >= TRIMS_WAITING {
            return;
        }
        let partition = self.config.router.conversation_partition(&conversation);
        let record = Record::Trim { conversation: conversation.clone(), first };
        if let Ok(ticket) = fx.append(partition, record) {
            fx.count(Counter::Appended);
            self.trims.0.insert(ticket, (conversation, first));
        }
    }

    /// What became of a trim. One of which that is not known is taken for done: were it not, it would be wanted again.
    pub(super) fn trim_outcome(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some((conversation, first)) = self.trims.0.remove(&ticket) else { return };
        if !matches!(outcome, Outcome::Committed(..) | Outcome::Unknown(_)) {
            return;
        }
        if let Some(at) =
            self.conversations.find(&conversation).and_then(|slot| self.conversations.at_mut(slot))
        {
            at.first = Floor::of(at.first, at.committed).max(Floor(first)).first(at.committed);
        }
        if let Some(head) = self.heads.find(&conversation) {
            self.heads.trimmed(head, first);
        }
        self.tails.trimmed(&conversation, first);
    }
}
