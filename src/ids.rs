//! The vocabulary: names and numbers as types. Knows nothing else of the project.
//!
//! A *connection* is a socket, a *session* a signed-in device, a *user* a name, a *conversation* a log,
//! a *shard* a core.

use arrayvec::ArrayString;
use compact_str::CompactString;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The longest user, group, device name or command id, in bytes of UTF-8.
pub const NAME_MAX: usize = 64;

/// The number of fixed partitions that users and conversations hash into; shards own partitions.
pub const PARTITIONS: u8 = 64;

/// One pinned core and everything it owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ShardId(pub u16);

/// One of the [`PARTITIONS`] that names hash into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PartitionId(pub u8);

/// A message's number within its conversation: strictly growing, below 2^53, 0 for "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Seq(pub u64);

/// How many of them a conversation may use up in a millisecond, where they start from the clock: it is never overtaken.
pub const SEQS_PER_MS: u64 = 4096;

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

/// A connection's slot on its shard; the generation tells a reused slot from the one before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnId {
    /// Slot in the shard's slab.
    pub index: u32,
    /// How often the slot was used before (24 bits).
    pub generation: u32,
}

/// A signed-in device, addressable from every shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId {
    /// The user's home shard, where the session lives.
    pub shard: ShardId,
    /// Slot in that shard's session slab.
    pub index: u32,
    /// How often the slot was used before.
    pub generation: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.shard.0, self.index, self.generation)
    }
}

/// Why a name is refused; the text tells the client what to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name is 1 to 64 bytes of UTF-8 without control characters, white space or ':'")
    }
}

impl std::error::Error for BadName {}

/// Whether `name` may name a user or a group: 1 to [`NAME_MAX`] bytes, no control characters, white space or `:`.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b > b' ' && b < 0x7f && b != b':';
    if name.is_empty() || name.len() > NAME_MAX {
        return false;
    }
    name.bytes().all(plain) || name.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != ':')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(CompactString);

        impl $name {
            /// Checks and keeps a name.
            ///
            /// # Errors
            /// [`BadName`] when [`is_name`] says no.
            pub fn new(name: &str) -> Result<Self, BadName> {
                if is_name(name) { Ok(Self(CompactString::new(name))) } else { Err(BadName) }
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A user: the name that signs in, on one or several devices.
    UserName
);
name_type!(
    /// A group's name.
    GroupName
);
name_type!(
    /// A device's name, unique within its user.
    DeviceName
);

/// A command's `id`, which its answer repeats: 1 to [`NAME_MAX`] bytes. In place whatever its length: a UUID comes with each
/// message of many clients, and would be an allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandId(ArrayString<NAME_MAX>);

impl CommandId {
    /// Keeps an `id`; none if it is empty or too long, which no decoder lets through.
    pub fn new(id: &str) -> Option<Self> {
        ArrayString::from(id).ok().filter(|id| !id.is_empty()).map(Self)
    }
}

impl Deref for CommandId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A conversation's public name: `u:A:B` (names in byte order) or `g:G`.
#[derive(Clone)]
pub struct ConversationId(Text);

/// Names of common length lie in place: one is made, hashed and copied for each message.
#[derive(Clone)]
enum Text {
    Short(ArrayString<TEXT_SHORT>),
    Long(Arc<str>),
}

/// The longest name kept in place (bytes).
const TEXT_SHORT: usize = 52;

impl Text {
    fn concat(parts: &[&str]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        if len > TEXT_SHORT {
            return Self::Long(parts.concat().into());
        }
        let mut text = ArrayString::new();
        parts.iter().for_each(|part| text.push_str(part));
        Self::Short(text)
    }
}

/// Who takes part in a conversation, read from its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parties<'a> {
    /// Two users (or one, writing to itself), in byte order.
    Private(&'a str, &'a str),
    /// A group's members.
    Group(&'a str),
}

impl ConversationId {
    /// The private conversation of two users, whichever is named first.
    pub fn private(one: &UserName, other: &UserName) -> Self {
        let (a, b) = if one <= other { (one, other) } else { (other, one) };
        Self(Text::concat(&["u:", a.as_str(), ":", b.as_str()]))
    }

    /// A group's conversation.
    pub fn group(group: &GroupName) -> Self {
        Self(Text::concat(&["g:", group.as_str()]))
    }

    /// Reads a conversation's name as a client wrote it; names out of order are refused.
    ///
    /// # Errors
    /// [`BadName`] when it is neither `u:A:B` nor `g:G` of valid names.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let valid = match parties(text) {
            Some(Parties::Private(a, b)) => is_name(a) && is_name(b) && a <= b,
            Some(Parties::Group(g)) => is_name(g),
            None => false,
        };
        if valid { Ok(Self(Text::concat(&[text]))) } else { Err(BadName) }
    }

    /// The name as clients see it.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short(text) => text,
            Text::Long(text) => text,
        }
    }

    /// Who takes part in it.
    pub fn parties(&self) -> Parties<'_> {
        parties(self.as_str()).expect("a conversation's name is checked when it is made")
    }
}

impl PartialEq for ConversationId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ConversationId {}

impl Hash for ConversationId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for ConversationId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ConversationId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn parties(text: &str) -> Option<Parties<'_>> {
    if let Some(group) = text.strip_prefix("g:") {
        return Some(Parties::Group(group));
    }
    let (a, b) = text.strip_prefix("u:")?.split_once(':')?;
    Some(Parties::Private(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_plain() {
        for good in ["a", "señor", "名前", "a.b-c_d@e", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "a:b", "a\n", "a\u{a0}b", "\u{7f}", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_anything_of_its_length() {
        for good in ["a", " \n", &"x".repeat(64)] {
            assert_eq!(CommandId::new(good).as_deref(), Some(good));
        }
        assert_eq!((CommandId::new(""), CommandId::new(&"x".repeat(65))), (None, None));
    }

    #[test]
    fn a_private_conversation_has_one_name() {
        let (a, b) = (UserName::new("alice").unwrap(), UserName::new("bob").unwrap());
        assert_eq!(ConversationId::private(&a, &b), ConversationId::private(&b, &a));
        assert_eq!(ConversationId::private(&b, &a).as_str(), "u:alice:bob");
        assert_eq!(ConversationId::private(&a, &b).parties(), Parties::Private("alice", "bob"));
    }

    #[test]
    fn a_long_conversation_name_is_as_good_as_a_short_one() {
        let long = |c: &str| UserName::new(&c.repeat(NAME_MAX)).unwrap();
        let conversation = ConversationId::private(&long("b"), &long("a"));
        assert_eq!(ConversationId::parse(conversation.as_str()).as_ref(), Ok(&conversation));
        assert_eq!(conversation.parties(), Parties::Private(long("a").as_str(), long("b").as_str()));
        assert_eq!(size_of::<ConversationId>(), 64);
    }

    #[test]
    fn conversation_names_are_checked() {
        assert!(ConversationId::parse("u:alice:bob").is_ok());
        assert!(ConversationId::parse("g:room").is_ok());
        for bad in ["u:bob:alice", "u:a", "g:", "x:a", "u:a:b:c", "u::b", "", "g:a b"] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
    }
}
