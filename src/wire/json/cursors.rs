//! Reads the object of `sync` that says what a device holds. Knows JSON, no rules.

use super::decode::integer;
use crate::ids::ConversationId;
use crate::wire::cursors::Cursors;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A conversation's name as the name of a field; `None` when it is none.
struct Name(Option<ConversationId>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a conversation")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(ConversationId::parse(name).ok()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Without a copy of the text: an entry after the other, straight into its place.
impl<'de> Deserialize<'de> for Cursors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Cursors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cursors, A::Error> {
                let mut cursors = Cursors::default();
                while let Some((Name(conversation), seq)) = map.next_entry::<Name, &'de RawValue>()? {
                    cursors.add(conversation, integer(seq.get()));
                }
                Ok(cursors)
            }
        }
        deserializer.deserialize_map(Object)
    }
}
