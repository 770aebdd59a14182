//! The keys of the view on disk. Knows no database.
//!
//! Names hold no control characters, so a zero ends one; numbers stand in big-endian order, so that keys sort as numbers do.

use crate::ids::{ConversationId, GroupName, Seq, UserName};

/// A message: its conversation, its `seq`.
pub(super) fn message(conversation: &ConversationId, seq: Seq) -> Vec<u8> {
    let mut key = pair(conversation.as_str(), "");
    key.extend_from_slice(&seq.0.to_be_bytes());
    key
}

/// The `seq` in a message's key.
pub(super) fn seq(key: &[u8]) -> Seq {
    let number = key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Seq(number)
}

/// A group's member.
pub(super) fn member(group: &GroupName, user: &UserName) -> Vec<u8> {
    pair(group.as_str(), user.as_str())
}

/// A user's group.
pub(super) fn group(user: &UserName, group: &GroupName) -> Vec<u8> {
    pair(user.as_str(), group.as_str())
}

/// A user's private conversation.
pub(super) fn private(user: &str, conversation: &ConversationId) -> Vec<u8> {
    pair(user, conversation.as_str())
}

/// How far a user has got in a conversation.
pub(super) fn cursor(conversation: &ConversationId, user: &UserName) -> Vec<u8> {
    pair(conversation.as_str(), user.as_str())
}

/// Everything that belongs to one name.
pub(super) fn all_of(name: &str) -> Vec<u8> {
    pair(name, "")
}

/// The first name of a key.
pub(super) fn first(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(&key[..memchr(key)?]).ok()
}

/// The second name of a key of two.
pub(super) fn second(key: &[u8]) -> Option<&str> {
    let at = memchr(key)?;
    std::str::from_utf8(&key[at + 1..]).ok()
}

fn memchr(key: &[u8]) -> Option<usize> {
    key.iter().position(|b| *b == 0)
}

fn pair(one: &str, other: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(one.len() + 1 + other.len().max(size_of::<Seq>()));
    key.extend_from_slice(one.as_bytes());
    key.push(0);
    key.extend_from_slice(other.as_bytes());
    key
}
