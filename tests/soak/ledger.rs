//! What was acked, against which all that is heard is held. Knows no connection.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// The longest text of a message (characters): above and below what is compressed.
const TEXT_MAX: u64 = 1500;

/// Where a message is: a conversation, empty for everyone, and a number in it.
pub(crate) type Place = (String, u64);

/// The messages of a round by their ids, which senders make unique.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<HashMap<String, Place>>);

impl Ledger {
    /// A sender was told where its message is, perhaps again.
    pub(crate) fn acked(&self, id: &str, conversation: String, seq: u64) {
        let place = (conversation, seq);
        let mut acked = self.0.lock().expect("no thread failed");
        let first = acked.entry(id.into()).or_insert_with(|| place.clone());
        assert_eq!(*first, place, "{id} was acked in two places");
    }

    /// The messages of the round that ends, by their places.
    pub(crate) fn close(&self) -> BTreeMap<Place, Vec<String>> {
        let mut places: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for (id, place) in std::mem::take(&mut *self.0.lock().expect("no thread failed")) {
            places.entry(place).or_default().push(id);
        }
        for (place, ids) in &places {
            assert!(place.0.is_empty() || ids.len() == 1, "{ids:?} were acked in one place, {place:?}");
        }
        places
    }
}

/// What a message with this id says, which nobody has to remember.
pub(crate) fn content(id: &str) -> Value {
    let sum = id.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let words = ["seven ", "wizards ", "brew ", "a tea of ", "grüne ", "Blätter "];
    let picked = (0..).map(|n| words[(sum.rotate_left(n) % 6) as usize]);
    let text = picked.flat_map(str::chars).take((sum % TEXT_MAX) as usize).collect::<String>();
    json!({"id": id, "text": text})
}

/// The id of the message that says so.
pub(crate) fn id_of(said: &Value) -> String {
    let id = said["id"].as_str().expect("an id").to_owned();
    assert_eq!(*said, content(&id), "what was said was not changed");
    id
}
