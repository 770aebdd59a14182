//! All of the view in order, for who reads it whole: checks, counts, exports. Knows no log and no format of exports.

use super::{DiskView, ViewError, cursor, keys, message, number};
use crate::ids::{ConversationId, GroupName, Seq, UserName};
use crate::log::MessageRecord;
use crate::view::Cursor;
use fjall::{Iter, Keyspace, Readable, Snapshot};

/// A part of the view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A conversation, the `seq` of its last message, and the lowest that may be kept, 0 where nothing was trimmed; its messages follow.
    Conversation(ConversationId, Seq, Seq),
    /// A message of the conversation before it. Where it is not that one's, the view has lost a head.
    Message(Box<MessageRecord>),
}

/// Conversations in the order of their names, each with its messages in growing `seq`, as they were when the walk began.
pub struct Walk {
    view: DiskView,
    at: Snapshot,
    heads: Iter,
    messages: Iter,
    conversation: Option<(ConversationId, Seq, Seq)>,
    message: Option<Box<MessageRecord>>,
    /// The conversation of the message before, and where it begins.
    begins: Option<(ConversationId, Seq)>,
}

impl Walk {
    fn fill(&mut self) -> Result<(), ViewError> {
        if self.conversation.is_none()
            && let Some(item) = self.heads.next()
        {
            let (key, head) = item.into_inner()?;
            let conversation = conversation(std::str::from_utf8(&key).ok())?;
            let first = self.view.floor(&self.at, &conversation)?;
            self.conversation = Some((conversation, Seq(number(&head)?), first));
        }
        while self.message.is_none()
            && let Some(item) = self.messages.next()
        {
            let (key, value) = item.into_inner()?;
            let message = message(&value)?;
            let named = keys::first(&key) == Some(message.conversation.as_str());
            if !named || keys::seq(&key) != message.seq {
                return Err(ViewError::Damaged("the view has a message under the key of another one"));
            }
            // What is below its conversation's first is only not yet off the disk.
            if message.seq >= self.begins(&message.conversation)? {
                self.message = Some(Box::new(message));
            }
        }
        Ok(())
    }

    fn begins(&mut self, conversation: &ConversationId) -> Result<Seq, ViewError> {
        if let Some((known, first)) = &self.begins
            && known == conversation
        {
            return Ok(*first);
        }
        let first = self.view.floor(&self.at, conversation)?;
        self.begins = Some((conversation.clone(), first));
        Ok(first)
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        let head_first = match (&self.conversation, &self.message) {
            (Some((conversation, ..)), Some(message)) => *conversation <= message.conversation,
            (conversation, _) => conversation.is_some(),
        };
        if head_first {
            return self
                .conversation
                .take()
                .map(|(conversation, head, first)| Ok(Entry::Conversation(conversation, head, first)));
        }
        self.message.take().map(|message| Ok(Entry::Message(message)))
    }
}

impl DiskView {
    /// All conversations with all messages.
    pub fn walk(&self) -> Walk {
        let at = self.db.snapshot();
        let (heads, messages) = (at.iter(&self.heads), at.iter(&self.messages));
        Walk { view: self.clone(), at, heads, messages, conversation: None, message: None, begins: None }
    }

    /// All members of all groups, each with the `seq` after which it joined.
    pub fn members(&self) -> impl Iterator<Item = Result<(GroupName, UserName, Seq), ViewError>> + use<> {
        pairs(&self.db.snapshot(), &self.members, |group, user| {
            Some((GroupName::new(group).ok()?, UserName::new(user).ok()?))
        })
        .map(|pair| pair.map(|((group, user), since)| (group, user, since)))
    }

    /// All groups of all users: the same in another order.
    pub fn groups(&self) -> impl Iterator<Item = Result<(UserName, GroupName, Seq), ViewError>> + use<> {
        pairs(&self.db.snapshot(), &self.groups, |user, group| {
            Some((UserName::new(user).ok()?, GroupName::new(group).ok()?))
        })
        .map(|pair| pair.map(|((user, group), since)| (user, group, since)))
    }

    /// All private conversations of all users.
    pub fn privates(&self) -> impl Iterator<Item = Result<(UserName, ConversationId), ViewError>> + use<> {
        self.db.snapshot().iter(&self.privates).map(|item| {
            let key = item.key()?;
            let user = keys::first(&key).and_then(|name| UserName::new(name).ok());
            let user = user.ok_or(ViewError::Damaged("the view has a private conversation of nobody"))?;
            Ok((user, conversation(keys::second(&key))?))
        })
    }

    /// How far all users have got in all conversations.
    pub fn cursors(
        &self,
    ) -> impl Iterator<Item = Result<(ConversationId, UserName, Cursor), ViewError>> + use<> {
        self.db.snapshot().iter(&self.cursors).map(|item| {
            let (key, value) = item.into_inner()?;
            let user = keys::second(&key).and_then(|name| UserName::new(name).ok());
            let user = user.ok_or(ViewError::Damaged("the view has a cursor of nobody"))?;
            Ok((conversation(keys::first(&key))?, user, cursor(&value)?))
        })
    }

    /// How far a user has got in a conversation, if that was ever said.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn cursor(
        &self,
        conversation: &ConversationId,
        user: &UserName,
    ) -> Result<Option<Cursor>, ViewError> {
        self.cursors.get(keys::cursor(conversation, user))?.map(|value| cursor(&value)).transpose()
    }

    /// The lowest `seq` that a conversation may keep, 0 where nothing was trimmed.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn begins(&self, conversation: &ConversationId) -> Result<Seq, ViewError> {
        self.floor(&self.db.snapshot(), conversation)
    }

    /// The message at `seq` of a conversation, if it is there.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn message(
        &self,
        conversation: &ConversationId,
        seq: Seq,
    ) -> Result<Option<MessageRecord>, ViewError> {
        self.messages.get(keys::message(conversation, seq))?.map(|value| message(&value)).transpose()
    }

    /// The `seq` after which a member joined a group, if it is one.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn member(&self, group: &GroupName, user: &UserName) -> Result<Option<Seq>, ViewError> {
        Ok(self.members.get(keys::member(group, user))?.map(|since| number(&since)).transpose()?.map(Seq))
    }

    /// Whether a group is among a user's groups, and after which `seq` the user joined.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn group(&self, user: &UserName, group: &GroupName) -> Result<Option<Seq>, ViewError> {
        Ok(self.groups.get(keys::group(user, group))?.map(|since| number(&since)).transpose()?.map(Seq))
    }

    /// Whether a private conversation is among a user's.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn has_private(&self, user: &str, conversation: &ConversationId) -> Result<bool, ViewError> {
        Ok(self.privates.contains_key(keys::private(user, conversation))?)
    }

    /// What each part takes on the disk (bytes), without what is still in the journal.
    pub fn sizes(&self) -> [(&'static str, u64); 7] {
        [
            ("messages", self.messages.disk_space()),
            ("heads", self.heads.disk_space()),
            ("members", self.members.disk_space()),
            ("groups", self.groups.disk_space()),
            ("privates", self.privates.disk_space()),
            ("cursors", self.cursors.disk_space()),
            ("firsts", self.firsts.disk_space()),
        ]
    }
}

fn conversation(name: Option<&str>) -> Result<ConversationId, ViewError> {
    name.and_then(|name| ConversationId::parse(name).ok())
        .ok_or(ViewError::Damaged("the view has a conversation without a name"))
}

/// A keyspace of two names and a `seq`.
fn pairs<T, F>(
    at: &Snapshot,
    keyspace: &Keyspace,
    read: F,
) -> impl Iterator<Item = Result<(T, Seq), ViewError>> + use<T, F>
where
    F: Fn(&str, &str) -> Option<T>,
{
    at.iter(keyspace).map(move |item| {
        let (key, value) = item.into_inner()?;
        let names = keys::first(&key).zip(keys::second(&key)).and_then(|(one, other)| read(one, other));
        let names = names.ok_or(ViewError::Damaged("the view has a member without a name"))?;
        Ok((names, Seq(number(&value)?)))
    })
}
