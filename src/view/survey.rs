//! How conversations stand for one user: the question, the answer, and the look from the newest message back. Knows no storage.

use crate::ids::{ConversationId, Seq, UserName};
use crate::limits::{SYNC_MESSAGES, UNREAD_MAX};
use crate::log::MessageRecord;
use std::sync::Arc;

/// Up to where a user has a conversation's messages, and has read them; invariant: read <= received.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(missing_docs)]
pub struct Cursor {
    pub received: Seq,
    pub read: Seq,
}

impl Cursor {
    /// The further of both in either; what was read was received.
    #[must_use]
    pub fn further(self, other: Self) -> Self {
        let read = self.read.max(other.read);
        Self { received: self.received.max(other.received).max(read), read }
    }

    /// No further than the head.
    #[must_use]
    pub fn clamped(self, head: Seq) -> Self {
        Self { received: self.received.min(head), read: self.read.min(head) }
    }
}

/// One conversation that a user asks about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Which.
    pub conversation: ConversationId,
    /// Only messages above it are wanted.
    pub after: Option<Seq>,
    /// How far the user is known to have got, whatever was applied.
    pub cursor: Cursor,
}

/// All that a user asks about at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looks {
    /// Who asks.
    pub user: UserName,
    /// About what.
    pub looks: Vec<Look>,
    /// What all messages together may take in any encoding (bytes): each conversation gets an even share of what those before it
    /// left. Without any, no messages are wanted.
    pub bytes: usize,
}

/// How a conversation stands for a user.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    /// Seq of the last message, 0 if there is none.
    pub head: Seq,
    /// The lowest seq kept, 0 if there is none.
    pub first: Seq,
    /// The user's cursor: as applied or as known, whichever is further, and no less than the user's own last message.
    pub cursor: Cursor,
    /// Others' messages behind it, at most [`UNREAD_MAX`].
    pub unread: u32,
    /// A group's members, which need not be counted beyond where no receipts are given; 0 in private.
    pub members: u32,
}

/// What one look found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// How it stands.
    pub standing: Standing,
    /// The newest messages wanted, in growing `seq`.
    pub messages: Vec<Arc<MessageRecord>>,
    /// Whether others are wanted as well, which did not fit.
    pub more: bool,
    /// What the messages take in any encoding at most (bytes).
    pub bytes: usize,
}

impl Looks {
    /// Looks at each in turn with its share of the bytes; none where the user takes no part.
    ///
    /// # Errors
    /// The first one of `one`.
    pub fn each<E>(
        &self,
        mut one: impl FnMut(&UserName, &Look, usize) -> Result<Option<Survey>, E>,
    ) -> Result<Vec<Option<Survey>>, E> {
        let (mut left, mut found) = (self.bytes, Vec::with_capacity(self.looks.len()));
        for (n, look) in self.looks.iter().enumerate() {
            let survey = one(&self.user, look, left / (self.looks.len() - n))?;
            left -= survey.as_ref().map_or(0, |survey| survey.bytes);
            found.push(survey);
        }
        Ok(found)
    }
}

/// Looks at messages from the newest back: counts those unread and takes those wanted.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    user: &'a UserName,
    after: Option<Seq>,
    share: usize,
    counts: bool,
    takes: bool,
    cursor: Cursor,
    unread: u32,
    found: Vec<Arc<MessageRecord>>,
    more: bool,
    bytes: usize,
}

impl<'a> Scan<'a> {
    /// Of a conversation with this head, by a user who has got to `cursor` at least.
    pub(super) fn new(user: &'a UserName, look: &Look, share: usize, head: Seq, cursor: Cursor) -> Self {
        let cursor = cursor.further(look.cursor).clamped(head);
        let takes = share > 0 && look.after.is_none_or(|after| after < head);
        let (after, counts) = (look.after, cursor.read < head);
        let (found, more, bytes, unread) = (Vec::new(), false, 0, 0);
        Self { user, after, share, counts, takes, cursor, unread, found, more, bytes }
    }

    /// Whether older messages matter.
    pub(super) fn goes_on(&self) -> bool {
        self.counts || self.takes
    }

    /// The next older message: its number, its sender, what it takes at most, and itself when it is wanted.
    pub(super) fn see(
        &mut self,
        seq: Seq,
        from: &str,
        size: impl FnOnce() -> usize,
        message: impl FnOnce() -> Option<Arc<MessageRecord>>,
    ) {
        if self.counts {
            self.count(seq, from);
        }
        if !self.takes {
            return;
        }
        self.takes = self.after.is_none_or(|after| seq > after);
        if self.takes {
            let size = size();
            self.more = self.found.len() >= SYNC_MESSAGES || self.bytes + size > self.share;
            self.takes = !self.more;
            if self.takes {
                self.bytes += size;
                self.found.extend(message());
            }
        }
    }

    fn count(&mut self, seq: Seq, from: &str) {
        if seq <= self.cursor.read {
            self.counts = false;
        } else if from == self.user.as_str() {
            // Who sends has read what stands before.
            self.cursor = self.cursor.further(Cursor { received: seq, read: seq });
            self.counts = false;
        } else {
            self.unread += 1;
            self.counts = self.unread < UNREAD_MAX;
        }
    }

    /// What was found.
    pub(super) fn end(mut self, head: Seq, first: Seq, members: u32) -> Survey {
        self.found.reverse();
        let standing = Standing { head, first, cursor: self.cursor, unread: self.unread, members };
        Survey { standing, messages: self.found, more: self.more, bytes: self.bytes }
    }
}
