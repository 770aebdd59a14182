//! Which conversations keep more than they should: what each has is counted once and noted, so that a look costs what was added since.
//! Knows no log: whoever asks has the trims written.
//!
//! A note can be lost or too old: it is only the place where counting goes on, and is made anew where it does not fit.

use super::{DiskView, LOOK_AGAIN, ViewError, keys, number};
use crate::ids::{ConversationId, Millis, Seq};
use crate::log::record::read_time;
use fjall::{OwnedWriteBatch, Readable, Snapshot};
use std::time::{Duration, Instant};

/// Bytes of messages that wait for their tables to be written anew.
const GONE: &str = "gone";
/// How long a sweep waits for what is in memory to be in tables.
const PATIENCE: Duration = Duration::from_secs(10);

/// What conversations may keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Messages sent before it go.
    pub since: Millis,
    /// What is more than this goes (bytes of a conversation's messages as they are stored), the oldest first.
    pub bytes: u64,
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Looked {
    /// Conversations that should begin later, and where.
    pub due: Vec<(ConversationId, Seq)>,
    /// Where the next look goes on; none when all were looked at.
    pub next: Option<ConversationId>,
    /// When the oldest message of those looked at was sent, if there is one.
    pub oldest: Option<Millis>,
    /// Messages below where their conversation should begin, not counted so before.
    pub messages: u64,
    /// What they take (bytes).
    pub bytes: u64,
}

/// What one conversation has from `first` up to `upto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    /// Where it should begin.
    first: Seq,
    /// Counted up to here.
    upto: Seq,
    bytes: u64,
    /// When its first message was sent.
    oldest: Option<Millis>,
}

impl Tally {
    fn read(value: &[u8]) -> Option<Self> {
        let (numbers, []) = value.as_chunks::<8>() else { return None };
        let [first, upto, bytes, oldest] = *numbers else { return None };
        let oldest = Some(Millis(u64::from_be_bytes(oldest))).filter(|oldest| oldest.0 > 0);
        let (first, upto) = (Seq(u64::from_be_bytes(first)), Seq(u64::from_be_bytes(upto)));
        Some(Self { first, upto, bytes: u64::from_be_bytes(bytes), oldest })
    }

    fn write(&self) -> Vec<u8> {
        let oldest = self.oldest.map_or(0, |oldest| oldest.0);
        [self.first.0, self.upto.0, self.bytes, oldest].map(u64::to_be_bytes).concat()
    }

    fn is_over(&self, bounds: Bounds) -> bool {
        self.bytes > bounds.bytes || self.oldest.is_some_and(|oldest| oldest < bounds.since)
    }
}

impl DiskView {
    /// Looks at conversations in the order of their names, from `from` on, until about so many messages were counted.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn over(
        &self,
        from: Option<&ConversationId>,
        bounds: Bounds,
        most: usize,
    ) -> Result<Looked, ViewError> {
        let at = self.db.snapshot();
        let mut batch = self.db.batch();
        let (mut looked, mut left) = (Looked::default(), most);
        for item in at.range(&self.heads, from.map_or("", ConversationId::as_str)..) {
            let (key, head) = item.into_inner()?;
            let conversation =
                std::str::from_utf8(&key).ok().and_then(|name| ConversationId::parse(name).ok());
            let conversation =
                conversation.ok_or(ViewError::Damaged("the view has a conversation without a name"))?;
            if left == 0 {
                looked.next = Some(conversation);
                break;
            }
            left -= 1;
            let floor = self.floor(&at, &conversation)?;
            let head = Seq(number(&head)?);
            let tally =
                self.count(&at, &mut batch, (&conversation, floor, head), bounds, &mut left, &mut looked)?;
            if tally.upto < head {
                looked.next = Some(conversation.clone());
            }
            looked.oldest = looked.oldest.into_iter().chain(tally.oldest).min();
            if tally.first > floor {
                looked.due.push((conversation, tally.first));
            }
            if looked.next.is_some() {
                break;
            }
        }
        if looked.bytes > 0 {
            batch.insert(&self.meta, GONE, (self.gone()? + looked.bytes).to_be_bytes());
        }
        batch.commit()?;
        Ok(looked)
    }

    /// Goes on with a conversation's tally: counts what is new, and moves its beginning as the bounds want it.
    fn count(
        &self,
        at: &Snapshot,
        batch: &mut OwnedWriteBatch,
        (conversation, floor, head): (&ConversationId, Seq, Seq),
        bounds: Bounds,
        left: &mut usize,
        looked: &mut Looked,
    ) -> Result<Tally, ViewError> {
        let known = at.get(&self.tallies, conversation.as_str())?.and_then(|value| Tally::read(&value));
        let mut tally = known
            .filter(|known| known.first >= floor && known.upto <= head)
            .unwrap_or(Tally { first: floor, ..Tally::default() });
        let from = tally.first.max(Seq(tally.upto.0 + 1));
        if tally.upto < head {
            for item in self.between(at, conversation, from, head) {
                let (key, value) = item.into_inner()?;
                if *left == 0 {
                    break;
                }
                *left -= 1;
                tally.upto = keys::seq(&key);
                tally.bytes += value.len() as u64;
                tally.oldest = tally.oldest.or(Some(time(&value)?));
            }
            if *left > 0 {
                tally.upto = head;
            }
        }
        if tally.is_over(bounds) {
            let oldest = self.between(at, conversation, tally.first, tally.upto);
            tally.oldest = None;
            let upto = tally.upto;
            tally.first = Seq(upto.0 + 1);
            for item in oldest {
                let (key, value) = item.into_inner()?;
                let sent = time(&value)?;
                if tally.bytes <= bounds.bytes && sent >= bounds.since {
                    (tally.first, tally.oldest) = (keys::seq(&key), Some(sent));
                    break;
                }
                tally.bytes = tally.bytes.saturating_sub(value.len() as u64);
                looked.messages += 1;
                looked.bytes += value.len() as u64;
            }
        }
        if known != Some(tally) {
            batch.insert(&self.tallies, conversation.as_str(), tally.write());
        }
        Ok(tally)
    }

    fn between(&self, at: &Snapshot, conversation: &ConversationId, from: Seq, upto: Seq) -> fjall::Iter {
        let high = keys::message(conversation, Seq(upto.0 + 1).max(from));
        at.range(&self.messages, keys::message(conversation, from)..high)
    }

    /// Bytes of messages that are gone for readers and may still be on the disk, about.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn gone(&self) -> Result<u64, ViewError> {
        Ok(self.meta.get(GONE)?.map(|value| number(&value)).transpose()?.unwrap_or(0))
    }

    /// What messages take on the disk (bytes).
    pub fn messages_space(&self) -> u64 {
        self.messages.disk_space()
    }

    /// Writes all tables of messages anew, without what is gone. Takes as long as reading and writing them does.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn sweep(&self) -> Result<(), ViewError> {
        let gone = self.gone()?;
        // What is not in a table yet is there by then, or waits for the next time.
        self.messages.rotate_memtable()?;
        let until = Instant::now() + PATIENCE;
        while self.messages.sealed_memtable_count() > 0 && Instant::now() < until {
            std::thread::sleep(LOOK_AGAIN);
        }
        self.messages.major_compact()?;
        // What has gone since is for the next time.
        let left = self.gone()?.saturating_sub(gone);
        Ok(self.meta.insert(GONE, left.to_be_bytes())?)
    }
}

fn time(message: &[u8]) -> Result<Millis, ViewError> {
    read_time(message).map_err(|_| ViewError::Damaged("the view has a message that is none"))
}
