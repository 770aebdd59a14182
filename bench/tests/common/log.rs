//! What was said in private conversations, as far as `sync` tells it: how much, and who has read it. Knows no connection.
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Conversations of one answer.
const PAGE: usize = 3;

#[derive(Default)]
pub(crate) struct Log {
    heads: BTreeMap<String, u64>,
    /// By user and conversation.
    read: HashMap<(String, String), u64>,
}

impl Log {
    /// A message from one to another, which its sender has read.
    pub(crate) fn said(&mut self, from: &str, to: &str) {
        let (first, second) = if from <= to { (from, to) } else { (to, from) };
        let head = self.heads.entry(format!("u:{first}:{second}")).or_default();
        *head += 1;
        self.read.insert((from.to_owned(), format!("u:{first}:{second}")), *head);
    }

    /// Somebody has read up to here.
    pub(crate) fn read(&mut self, user: &str, conversation: &str, seq: u64) {
        self.read.insert((user.to_owned(), conversation.to_owned()), seq);
    }

    /// What a device lacks that asks by its cursors; what is held and read is left out.
    pub(crate) fn synced(&self, user: &str, asked: &Value) -> Value {
        let after = asked["next"].as_str().unwrap_or_default();
        let own = self.heads.iter().filter(|(name, _)| name.split(':').any(|part| part == user));
        let mut page: Vec<Value> = Vec::new();
        for (name, head) in own.filter(|(name, _)| name.as_str() > after) {
            let read = self.read.get(&(user.to_owned(), name.clone())).copied().unwrap_or(0);
            let held = asked["cursors"][name].as_u64().unwrap_or(0);
            if held >= *head && read >= *head {
                continue;
            }
            if page.len() == PAGE {
                let next = page[PAGE - 1]["conversation"].clone();
                return json!({"type": "sync", "conversations": page, "next": next});
            }
            page.push(json!({"conversation": name, "head": head, "first": 1, "read": read,
                "unread": head - read, "messages": [], "more": held < *head}));
        }
        json!({"type": "sync", "conversations": page})
    }
}
