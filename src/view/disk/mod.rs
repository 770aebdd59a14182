//! The view on disk: an index of the log's records in fjall. Knows no log's files, no chat, no shards.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `messages` | conversation, `seq` | the message as the log has it |
//! | `heads` | conversation | `seq` of its last message |
//! | `members` | group, user | `seq` after which it joined |
//! | `groups` | user, group | the same |
//! | `privates` | user, its private conversation | – |
//! | `cursors` | conversation, user | `received`, `read` |
//! | `firsts` | conversation | the lowest `seq` that may be kept, where it was trimmed |
//! | `tallies` | conversation | what it has, as the trimmer last counted ([`tally`]) |
//! | `meta` | `applied` | the position up to which the log was applied |
//!
//! Readers begin at a conversation's `first`; what stands below it goes when the database compacts its tables ([`trim`]).
//!
//! Applying reads only whom a deleted conversation had and where what is trimmed began, and what one record writes does not depend on what else
//! was there: records that are applied again, as after a loss of power, leave the same view. It is never the only copy: what is not durable here
//! is still in the log.

mod delete;
mod journal;
mod keys;
mod tally;
mod trim;
mod walk;

#[cfg(test)]
mod tests;

pub use tally::{Bounds, Looked};
pub use walk::{Entry, Walk};

use super::ids::Gathering;
use super::survey::Scan;
use super::{Activation, Cursor, Look, Looks, Page, Range, Recall, Survey, Wanted};
use crate::ids::{ConversationId, GroupName, Parties, Seq, UserName};
use crate::limits::{RECEIPT_MEMBERS_MAX, VIEW_BUFFER, VIEW_FILES};
use crate::log::disk::OpenError;
use crate::log::record::{read_message, write_message};
use crate::log::{Durability, MessageRecord, Position, Record};
use crate::wire::size::message_max;
use crate::wire::{Payload, Target};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trim::Filtering;

const APPLIED: &str = "applied";

/// Replayed when it is opened after a kill (bytes): its default would take a quarter of a minute.
const JOURNAL: u64 = 64 << 20;
/// What of the messages is in memory before it becomes a table (bytes).
const MEMTABLE: u64 = 16 << 20;
/// The same of each other keyspace.
const SMALL_MEMTABLE: u64 = 4 << 20;
const KEYSPACES: u64 = 9;
/// One of them is always due before the bound for all is reached.
const _: () = assert!(MEMTABLE + (KEYSPACES - 1) * SMALL_MEMTABLE < VIEW_BUFFER);
const WORKERS: usize = 2;
/// How often it is looked whether what was in memory is in tables.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// After it tables are asked for that the database did not think due, as of a store that was made with other sizes.
const ASK_AFTER: Duration = Duration::from_secs(1);
/// How long records wait for room in memory at most: a disk that is slower than this fails otherwise.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);

/// Why the view cannot be opened, read or written.
#[derive(Debug)]
pub enum ViewError {
    /// The database says.
    Database(fjall::Error),
    /// What it holds is not what was written.
    Damaged(&'static str),
    /// It is not open: it could not be opened again.
    Closed,
    /// The log behind it cannot be read.
    Log(OpenError),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => match self.io() {
                Some(io) => write!(f, "{io}"),
                None => write!(f, "{error}"),
            },
            Self::Closed => write!(f, "the view could not be opened again"),
            Self::Log(error) => write!(f, "{error}"),
            Self::Damaged(what) => write!(f, "{what}; `longwire store rebuild` makes the view anew"),
        }
    }
}

impl std::error::Error for ViewError {}

impl ViewError {
    /// What the operating system refused, where that is why.
    pub fn io(&self) -> Option<&io::Error> {
        let Self::Database(error) = self else { return None };
        let mut cause: &(dyn std::error::Error + 'static) = error;
        loop {
            if let Some(io) = cause.downcast_ref() {
                return Some(io);
            }
            cause = cause.source()?;
        }
    }
}

impl From<fjall::Error> for ViewError {
    fn from(error: fjall::Error) -> Self {
        Self::Database(error)
    }
}

/// The database; read from any thread, written by one.
#[derive(Clone)]
pub struct DiskView {
    db: Database,
    messages: Keyspace,
    heads: Keyspace,
    members: Keyspace,
    groups: Keyspace,
    privates: Keyspace,
    cursors: Keyspace,
    firsts: Keyspace,
    tallies: Keyspace,
    meta: Keyspace,
    /// Ends what its filter of compactions knows, with the last of the view.
    _filter: Arc<Filtering>,
}

/// Records on their way into the view, all at once.
pub struct Applying<'a> {
    view: &'a DiskView,
    batch: OwnedWriteBatch,
    applied: Position,
    scratch: Vec<u8>,
    /// Where conversations begin that these records trim: the batch cannot be read.
    firsts: HashMap<ConversationId, Seq>,
    /// The last message of each conversation that has any in these records: written once, however many there are.
    heads: HashMap<ConversationId, Seq>,
    failed: Option<ViewError>,
}

impl DiskView {
    /// Opens the view in `folder`, an empty one if there is none, with a cache of so many bytes.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn open(folder: &Path, cache: u64) -> Result<Self, ViewError> {
        if folder.exists() {
            journal::untear(folder).map_err(fjall::Error::Io)?;
        }
        let filter = Filtering::default();
        let db = Database::builder(folder)
            .worker_threads(WORKERS)
            .max_journaling_size(JOURNAL)
            .cache_size(cache)
            .max_cached_files(Some(VIEW_FILES))
            .with_compaction_filter_factories(filter.assigner())
            .open()?;
        let sized =
            |name: &str, size| db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(size));
        let keyspace = |name| sized(name, SMALL_MEMTABLE);
        let messages = sized("messages", MEMTABLE)?;
        let (heads, members) = (keyspace("heads")?, keyspace("members")?);
        let (groups, privates, cursors) = (keyspace("groups")?, keyspace("privates")?, keyspace("cursors")?);
        let (firsts, tallies, meta) = (keyspace("firsts")?, keyspace("tallies")?, keyspace("meta")?);
        filter.knows(&firsts);
        let _filter = Arc::new(filter);
        Ok(Self { messages, heads, members, groups, privates, cursors, firsts, tallies, meta, _filter, db })
    }

    /// Opens it after a write or sync of its journal that failed: what the kernel holds of the journal may not be on the disk, and
    /// no other sync would write it.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn reopen(folder: &Path, cache: u64) -> Result<Self, ViewError> {
        journal::write_again(folder).map_err(fjall::Error::Io)?;
        Self::open(folder, cache)
    }

    /// Up to where records were applied.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn applied(&self) -> Result<Position, ViewError> {
        Ok(Position(self.meta.get(APPLIED)?.map(|value| number(&value)).transpose()?.unwrap_or(0)))
    }

    /// Has the records behind this position applied next, and puts the view on the disk: where the view was applied further once and the
    /// log has lost the end that said so, or where it was made of an export that has all up to it. What is in the view stays.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn goes_on_from(&self, position: Position) -> Result<(), ViewError> {
        self.meta.insert(APPLIED, position.0.to_be_bytes())?;
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// Begins to apply what follows [`DiskView::applied`].
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn applying(&self) -> Result<Applying<'_>, ViewError> {
        let batch = self.db.batch().durability(Some(PersistMode::Buffer));
        let (applied, firsts, heads) = (self.applied()?, HashMap::new(), HashMap::new());
        Ok(Applying { view: self, batch, applied, scratch: Vec::new(), firsts, heads, failed: None })
    }

    /// Puts what was applied on the disk, and says up to where that is: the log may free it.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn persist(&self) -> Result<Position, ViewError> {
        let applied = self.applied()?;
        self.db.persist(PersistMode::SyncAll)?;
        Ok(applied)
    }

    /// Writes what is in memory only into tables, so that the next opening has no journal to read; waits for that for so long at most.
    /// What is not done by then the journal has.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn rest(&self, patience: Duration) -> Result<(), ViewError> {
        self.ask_for_tables()?;
        self.wait_for_tables(0, patience);
        Ok(())
    }

    /// Waits while more than [`VIEW_BUFFER`] is in memory only. The database's own threads make tables when they get to it, which on a
    /// core that is full is late, and it takes what is written meanwhile.
    fn make_room(&self) -> Result<(), ViewError> {
        if !self.wait_for_tables(VIEW_BUFFER, ASK_AFTER) {
            self.ask_for_tables()?;
            self.wait_for_tables(VIEW_BUFFER, ROOM_PATIENCE);
        }
        Ok(())
    }

    fn ask_for_tables(&self) -> Result<(), ViewError> {
        let keyspaces: [&Keyspace; KEYSPACES as usize] = [
            &self.messages,
            &self.heads,
            &self.members,
            &self.groups,
            &self.privates,
            &self.cursors,
            &self.firsts,
            &self.tallies,
            &self.meta,
        ];
        for keyspace in keyspaces {
            keyspace.rotate_memtable()?;
        }
        Ok(())
    }

    /// Waits until no more than `most` bytes are in memory only; false if that takes longer than `patience`.
    fn wait_for_tables(&self, most: u64, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        // The database says when it is done, but only to who asks.
        while self.db.write_buffer_size() > most {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        true
    }

    /// What a sequencer needs to go on with a conversation.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn activate(
        &self,
        conversation: &ConversationId,
        recall: &Recall,
        durability: Durability,
    ) -> Result<Activation, ViewError> {
        let at = self.db.snapshot();
        let head = self.head(&at, conversation)?;
        let mut stored = Vec::new();
        if let Some(from) = recall.from {
            for item in self.kept_between(&at, conversation, from, Seq(u64::MAX))? {
                stored.push(keys::seq(&item.key()?));
            }
        }
        let (ids, looked) = match &recall.ids {
            Some(wanted) => {
                let gathering = self.gather(&at, conversation, wanted)?;
                let looked = gathering.looked();
                (gathering.end(durability), looked)
            }
            None => (None, 0),
        };
        let first = self.first(&at, conversation)?;
        let members = match conversation.parties() {
            Parties::Group(group) => self.members_of(&at, group)?,
            Parties::Private(..) => Vec::new(),
        };
        Ok(Activation { head, first, trimmed: false, members, stored, ids, looked, durability })
    }

    fn gather<'a>(
        &self,
        at: &Snapshot,
        conversation: &ConversationId,
        wanted: &'a Wanted,
    ) -> Result<Gathering<'a>, ViewError> {
        let upto = wanted.upto.unwrap_or(Seq(u64::MAX));
        let mut items = self.kept_between(at, conversation, Seq(0), upto)?;
        let mut gathering = Gathering::new(wanted);
        while gathering.goes_on()
            && let Some(item) = items.next_back()
        {
            gathering.see(&message(&item.value()?)?);
        }
        Ok(gathering)
    }

    fn head(&self, at: &Snapshot, conversation: &ConversationId) -> Result<Seq, ViewError> {
        let head = at.get(&self.heads, conversation.as_str())?;
        Ok(Seq(head.map(|value| number(&value)).transpose()?.unwrap_or(0)))
    }

    fn members_of(&self, at: &Snapshot, group: &str) -> Result<Vec<(UserName, Seq)>, ViewError> {
        let mut members = Vec::new();
        for item in at.prefix(&self.members, keys::all_of(group)) {
            let (key, value) = item.into_inner()?;
            let user = keys::second(&key).and_then(|name| UserName::new(name).ok());
            let user = user.ok_or(ViewError::Damaged("the view has a member without a name"))?;
            members.push((user, Seq(number(&value)?)));
        }
        Ok(members)
    }

    fn first(&self, at: &Snapshot, conversation: &ConversationId) -> Result<Seq, ViewError> {
        let first = self.kept(at, conversation)?.next();
        Ok(first.map(|item| item.key()).transpose()?.map_or(Seq(0), |key| keys::seq(&key)))
    }

    /// Reads one page.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn read(&self, conversation: &ConversationId, range: Range) -> Result<Page, ViewError> {
        let at = self.db.snapshot();
        let low = range.after.map_or(Seq(0), |after| Seq(after.0.saturating_add(1)));
        let low = keys::message(conversation, low.max(self.floor(&at, conversation)?));
        let high = keys::message(conversation, range.before.unwrap_or(Seq(u64::MAX)));
        let mut page = Page { first: self.first(&at, conversation)?, ..Page::default() };
        if low >= high {
            return Ok(page);
        }
        let mut items = at.range(&self.messages, low..high);
        let oldest_first = range.after.is_some();
        let mut bytes = 0;
        while let Some(item) = if oldest_first { items.next() } else { items.next_back() } {
            let message = message(&item.value()?)?;
            bytes += encoded_max(&message);
            let full = page.messages.len() >= range.limit as usize;
            if full || (bytes > range.bytes && !page.messages.is_empty()) {
                page.more = true;
                break;
            }
            page.messages.push(Arc::new(message));
        }
        if !oldest_first {
            page.messages.reverse();
        }
        Ok(page)
    }

    /// How conversations stand for a user; none where the user takes no part.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn survey(&self, looks: &Looks) -> Result<Vec<Option<Survey>>, ViewError> {
        let at = self.db.snapshot();
        looks.each(|user, look, share| self.look(&at, user, look, share))
    }

    fn look(
        &self,
        at: &Snapshot,
        user: &UserName,
        look: &Look,
        share: usize,
    ) -> Result<Option<Survey>, ViewError> {
        let conversation = &look.conversation;
        let (mut since, mut members) = (Seq(0), 0);
        match conversation.parties() {
            Parties::Private(a, b) if a != user.as_str() && b != user.as_str() => return Ok(None),
            Parties::Private(..) => {}
            Parties::Group(group) => {
                let Ok(group) = GroupName::new(group) else { return Ok(None) };
                let Some(joined) = at.get(&self.members, keys::member(&group, user))? else {
                    return Ok(None);
                };
                since = Seq(number(&joined)?);
                let counted = at.prefix(&self.members, keys::all_of(group.as_str()));
                members = counted.take(RECEIPT_MEMBERS_MAX as usize + 1).count() as u32;
            }
        }
        let head = self.head(at, conversation)?;
        let known = at.get(&self.cursors, keys::cursor(conversation, user))?;
        let known = known.map(|value| cursor(&value)).transpose()?.unwrap_or_default();
        let known = known.further(Cursor { received: since, read: since });
        let mut scan = Scan::new(user, look, share, head, known);
        if scan.goes_on() {
            for item in self.kept(at, conversation)?.rev() {
                let message = Arc::new(message(&item.value()?)?);
                let (seen, size) = (Arc::clone(&message), || encoded_max(&message));
                scan.see(message.seq, message.from.as_str(), size, || Some(seen));
                if !scan.goes_on() {
                    break;
                }
            }
        }
        Ok(Some(scan.end(head, self.first(at, conversation)?, members)))
    }

    /// Whether a user is in a group.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn is_member(&self, group: &GroupName, user: &UserName) -> Result<bool, ViewError> {
        Ok(self.members.contains_key(keys::member(group, user))?)
    }

    /// The groups a user is in, with the `seq` after which it joined.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn groups_of(&self, user: &UserName) -> Result<Vec<(GroupName, Seq)>, ViewError> {
        let mut groups = Vec::new();
        for item in self.groups.prefix(keys::all_of(user.as_str())) {
            let (key, value) = item.into_inner()?;
            let group = keys::second(&key).and_then(|name| GroupName::new(name).ok());
            let group = group.ok_or(ViewError::Damaged("the view has a group without a name"))?;
            groups.push((group, Seq(number(&value)?)));
        }
        Ok(groups)
    }

    /// The private conversations a user has messages in, or had.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn privates_of(&self, user: &UserName) -> Result<Vec<ConversationId>, ViewError> {
        let mut found = Vec::new();
        for item in self.privates.prefix(keys::all_of(user.as_str())) {
            let key = item.key()?;
            let conversation = keys::second(&key).and_then(|name| ConversationId::parse(name).ok());
            found.push(conversation.ok_or(ViewError::Damaged("the view has a conversation without a name"))?);
        }
        Ok(found)
    }
}

impl Applying<'_> {
    /// Adds one committed record; one already applied changes nothing.
    pub fn apply(&mut self, position: Position, record: &Record) {
        if position <= self.applied {
            return;
        }
        self.applied = position;
        self.put(record);
    }

    /// Adds a conversation that an export names, before its messages.
    pub fn begin(&mut self, conversation: &ConversationId, head: Seq) {
        self.heads.insert(conversation.clone(), head);
        self.known_to_its_users(conversation);
    }

    /// Adds what an export says, which has no position of its own.
    pub fn put(&mut self, record: &Record) {
        let view = self.view;
        match record {
            Record::Message(message) => self.keep(message),
            Record::Member { group, user, joined: true, seq } => {
                self.batch.insert(&view.members, keys::member(group, user), seq.0.to_be_bytes());
                self.batch.insert(&view.groups, keys::group(user, group), seq.0.to_be_bytes());
            }
            Record::Member { group, user, joined: false, .. } => {
                self.batch.remove(&view.members, keys::member(group, user));
                self.batch.remove(&view.groups, keys::group(user, group));
            }
            Record::Cursor { conversation, user, received, read } => {
                let value = [received.0.to_be_bytes(), read.0.to_be_bytes()].concat();
                self.batch.insert(&view.cursors, keys::cursor(conversation, user), value);
            }
            Record::Trim { conversation, first } => {
                if let Err(error) = self.trim(conversation, *first) {
                    self.failed.get_or_insert(error);
                }
            }
            Record::Delete { conversation, first } => {
                if let Err(error) = self.delete(conversation, *first) {
                    self.failed.get_or_insert(error);
                }
            }
        }
    }

    fn keep(&mut self, message: &MessageRecord) {
        let (view, conversation) = (self.view, &message.conversation);
        self.scratch.clear();
        write_message(message, &mut self.scratch);
        self.batch.insert(&view.messages, keys::message(conversation, message.seq), &*self.scratch);
        match self.heads.get_mut(conversation) {
            Some(head) => *head = message.seq,
            None => {
                self.heads.insert(conversation.clone(), message.seq);
            }
        }
        if message.prev == Seq(0) {
            self.known_to_its_users(conversation);
        }
    }

    fn known_to_its_users(&mut self, conversation: &ConversationId) {
        let Parties::Private(a, b) = conversation.parties() else { return };
        for user in [a, b] {
            self.batch.insert(&self.view.privates, keys::private(user, conversation), []);
        }
    }

    fn write_heads(&mut self) {
        for (conversation, head) in self.heads.drain() {
            self.batch.insert(&self.view.heads, conversation.as_str(), head.0.to_be_bytes());
        }
    }

    /// Writes them all, or none; waits while too much is in memory only.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn commit(mut self) -> Result<Position, ViewError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.write_heads();
        self.batch.insert(&self.view.meta, APPLIED, self.applied.0.to_be_bytes());
        self.batch.commit()?;
        self.view.make_room()?;
        Ok(self.applied)
    }
}

fn number(bytes: &[u8]) -> Result<u64, ViewError> {
    bytes
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| ViewError::Damaged("the view has a number of another size"))
}

fn cursor(bytes: &[u8]) -> Result<Cursor, ViewError> {
    let (received, read) = bytes.split_at(bytes.len() / 2);
    Ok(Cursor { received: Seq(number(received)?), read: Seq(number(read)?) })
}

fn message(bytes: &[u8]) -> Result<MessageRecord, ViewError> {
    read_message(bytes).map_err(|_| ViewError::Damaged("the view has a message that is none"))
}

/// What a message takes at most in any encoding (bytes).
fn encoded_max(message: &MessageRecord) -> usize {
    let target = match &message.target {
        Target::User(user) => user.as_str(),
        Target::Group(group) => group.as_str(),
        Target::Everyone => "",
    };
    let names = [message.from.as_str(), target].concat();
    let payload = Payload { kind: message.kind, bytes: &message.bytes };
    message_max(names.as_bytes(), message.id.as_deref().unwrap_or_default().as_bytes(), payload)
}
