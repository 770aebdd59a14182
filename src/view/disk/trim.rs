//! Where a conversation begins, and how what stood before it leaves the disk. Knows no log and no reason to trim.
//!
//! Readers never see a message below its conversation's `first`. The database asks the filter here about each message that it writes into
//! another table anyway, and leaves those below out: nothing is written to be rid of them. A reader's snapshot keeps the tables that it
//! began with, so that no page loses a message while it is read.

use super::{Applying, DiskView, ViewError, keys, number};
use crate::ids::{ConversationId, Seq};
use fjall::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use fjall::{Iter, Keyspace, Readable, Snapshot};
use std::sync::{Arc, Mutex, PoisonError};

type Assigner = Arc<dyn Fn(&str) -> Option<Arc<dyn Factory>> + Send + Sync>;

/// What the filter knows: nothing before the view is open, nor after it is closed. The database holds the filter; the filter would hold
/// the database open.
#[derive(Default)]
pub(super) struct Filtering(Arc<Known>);

#[derive(Default)]
struct Known(Mutex<Option<Keyspace>>);

impl Known {
    fn set(&self, firsts: Option<Keyspace>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = firsts;
    }
}

impl Filtering {
    /// The filter of each keyspace: only messages have one.
    pub(super) fn assigner(&self) -> Assigner {
        let known = Arc::clone(&self.0);
        Arc::new(move |keyspace| {
            (keyspace == "messages").then(|| Arc::new(Beginnings(Arc::clone(&known))) as Arc<dyn Factory>)
        })
    }

    /// The keyspace of conversations' beginnings is open.
    pub(super) fn knows(&self, firsts: &Keyspace) {
        self.0.set(Some(firsts.clone()));
    }
}

impl Drop for Filtering {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

struct Beginnings(Arc<Known>);

impl Factory for Beginnings {
    fn name(&self) -> &str {
        "beginnings"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let firsts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::new(Beginning { firsts, conversation: Vec::new(), first: Seq(0) })
    }
}

/// One compaction's filter: messages come in the order of their keys.
struct Beginning {
    firsts: Option<Keyspace>,
    conversation: Vec<u8>,
    first: Seq,
}

impl CompactionFilter for Beginning {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> Result<Verdict, fjall::LsmError> {
        let Some(firsts) = &self.firsts else { return Ok(Verdict::Keep) };
        let key = item.key();
        let Some(conversation) = keys::first(key) else { return Ok(Verdict::Keep) };
        if self.conversation != conversation.as_bytes() {
            self.conversation = conversation.into();
            // What cannot be looked up stays.
            let first = firsts.get(conversation).ok().flatten();
            self.first = Seq(first.and_then(|first| number(&first).ok()).unwrap_or(0));
        }
        // A key is written once, or again with the same message: no older one comes to light.
        Ok(if keys::seq(key) < self.first { Verdict::Destroy } else { Verdict::Keep })
    }
}

impl Applying<'_> {
    /// A conversation begins at `first`, unless it begins higher: what went does not come back.
    pub(super) fn trim(&mut self, conversation: &ConversationId, first: Seq) -> Result<(), ViewError> {
        let before = match self.firsts.get(conversation) {
            Some(before) => *before,
            None => self.view.begins(conversation)?,
        };
        let first = first.max(before);
        self.firsts.insert(conversation.clone(), first);
        self.batch.insert(&self.view.firsts, conversation.as_str(), first.0.to_be_bytes());
        Ok(())
    }
}

impl DiskView {
    /// The lowest `seq` that may be kept, 0 where nothing was trimmed.
    pub(super) fn floor(&self, at: &Snapshot, conversation: &ConversationId) -> Result<Seq, ViewError> {
        let first = at.get(&self.firsts, conversation.as_str())?;
        Ok(Seq(first.map(|value| number(&value)).transpose()?.unwrap_or(0)))
    }

    /// A conversation's messages.
    pub(super) fn kept(&self, at: &Snapshot, conversation: &ConversationId) -> Result<Iter, ViewError> {
        self.kept_between(at, conversation, Seq(0), Seq(u64::MAX))
    }

    /// Those of them from one number up to another.
    pub(super) fn kept_between(
        &self,
        at: &Snapshot,
        conversation: &ConversationId,
        from: Seq,
        upto: Seq,
    ) -> Result<Iter, ViewError> {
        let from = from.max(self.floor(at, conversation)?);
        let beyond = Seq(upto.0.saturating_add(1)).max(from);
        let (low, high) = (keys::message(conversation, from), keys::message(conversation, beyond));
        Ok(at.range(&self.messages, low..high))
    }
}
