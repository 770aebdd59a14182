//! The newest messages of conversations at home here, kept where a page of them costs no read. Knows no rights.
//!
//! Only where the view is on a disk: one in memory is a tail itself.

use crate::ids::{ConversationId, Seq, UserName};
use crate::log::MessageRecord;
use crate::view::memory::Newest;
use crate::view::{MemoryView, Page, Range};

/// Messages up to a budget, the oldest of all forgotten first.
#[derive(Debug)]
pub(super) struct Tails(Option<MemoryView>);

impl Tails {
    /// None are kept without a budget.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self((max_bytes > 0).then(|| MemoryView::of_tails(max_bytes)))
    }

    /// A message was committed.
    pub(super) fn committed(&mut self, message: &MessageRecord) {
        if let Some(kept) = &mut self.0 {
            kept.goes_on(message);
        }
    }

    /// Messages below `first` are not kept any more.
    pub(super) fn trimmed(&mut self, conversation: &ConversationId, first: Seq) {
        if let Some(kept) = &mut self.0 {
            kept.forget_below(conversation, first);
        }
    }

    /// The newest messages above `after`, if all that are wanted are kept.
    pub(super) fn newest(
        &self,
        conversation: &ConversationId,
        user: &UserName,
        after: Option<Seq>,
        bytes: usize,
    ) -> Option<Newest> {
        self.0.as_ref()?.newest(conversation, user, after, bytes)
    }

    /// A page, if all that is wanted is kept. `first` is the lowest seq kept anywhere.
    pub(super) fn page(&self, conversation: &ConversationId, range: Range, first: Seq) -> Option<Page> {
        self.0.as_ref()?.page(conversation, range, first)
    }

    /// What they cost.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, MemoryView::bytes)
    }
}
