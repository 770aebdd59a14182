//! What a device says it holds, as a decoder reads it entry by entry. Knows no encoding.

use super::reasons::{BAD_CURSORS, BAD_NEXT, CURSOR_TWICE, INTEGER_END, MANY_CURSORS, Reason};
use crate::ids::{ConversationId, Seq};
use crate::limits::{SYNC_CURSORS_MAX, SYNC_TOKEN_MAX};

/// The entries so far, or what is wrong with the first that is.
#[derive(Default, Debug)]
pub(super) struct Cursors {
    entries: Vec<(ConversationId, Seq)>,
    wrong: Option<Reason>,
}

impl Cursors {
    /// One entry as it was read; `None` where it was no name, or no integer.
    pub(super) fn add(&mut self, conversation: Option<ConversationId>, seq: Option<u64>) {
        if self.wrong.is_some() {
            return;
        }
        match (conversation, seq.filter(|seq| *seq < INTEGER_END)) {
            _ if self.entries.len() == SYNC_CURSORS_MAX => self.wrong = Some(MANY_CURSORS),
            (Some(conversation), Some(seq)) => self.entries.push((conversation, Seq(seq))),
            _ => self.wrong = Some(BAD_CURSORS),
        }
    }

    /// All of them, in the order of their names.
    ///
    /// # Errors
    /// What is wrong with them, in words for their writer.
    pub(super) fn sorted(self) -> Result<Vec<(ConversationId, Seq)>, Reason> {
        let Self { mut entries, wrong } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) { Err(CURSOR_TWICE) } else { Ok(entries) }
    }
}

/// Whether a token may be one that the server gave.
///
/// # Errors
/// Why it is none.
pub(super) fn check_token(token: &str) -> Result<(), Reason> {
    if (1..=SYNC_TOKEN_MAX).contains(&token.len()) { Ok(()) } else { Err(BAD_NEXT) }
}
