//! Longwire's `sync`, `received` and `read` in JSON: what a device holds, and what it is told of. Knows no socket.
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Write;

/// What the server says, as far as a run looks at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Synced<'a> {
    #[serde(borrow)]
    pub(crate) conversations: Vec<Known<'a>>,
    /// There is more: to be asked for by this.
    #[serde(borrow)]
    pub(crate) next: Option<Cow<'a, str>>,
}

/// One conversation.
#[derive(Debug, Deserialize)]
pub(crate) struct Known<'a> {
    #[serde(borrow)]
    pub(crate) conversation: Cow<'a, str>,
    pub(crate) head: u64,
    pub(crate) unread: u64,
}

/// Asks what is new, by what is held of each conversation.
pub(crate) fn ask<'a>(cursors: impl Iterator<Item = (&'a str, u64)>, next: Option<&str>) -> Vec<u8> {
    let mut text = br#"{"type":"sync","cursors":{"#.to_vec();
    for (at, (conversation, seq)) in cursors.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        // Names of a run need no escapes, and a vector takes everything.
        let _ = write!(text, r#"{comma}"{conversation}":{seq}"#);
    }
    text.push(b'}');
    if let Some(next) = next {
        let _ = write!(text, r#","next":"{next}""#);
    }
    text.push(b'}');
    text
}

/// Says that all is read up to this number.
pub(crate) fn read(conversation: &str, seq: u64) -> Vec<u8> {
    format!(r#"{{"type":"read","conversation":"{conversation}","seq":{seq}}}"#).into_bytes()
}

/// Reads an answer.
pub(crate) fn answer(message: &[u8]) -> Result<Synced<'_>, serde_json::Error> {
    serde_json::from_slice(message)
}

/// The private conversation of two users.
pub(crate) fn conversation(one: &str, other: &str) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    format!("u:{first}:{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_said_and_what_is_told_is_read() {
        let name = conversation("b", "a");
        assert_eq!(name, "u:a:b");
        let text = ask([(name.as_str(), 7), ("g:x", 0)].into_iter(), Some("t"));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"type": "sync", "cursors": {"u:a:b": 7, "g:x": 0}, "next": "t"})
        );
        assert!(serde_json::from_slice::<serde_json::Value>(&ask(std::iter::empty(), None)).is_ok());
        let text = br#"{"type":"sync","conversations":[{"conversation":"g:x","head":9,"first":1,"read":0,"unread":2,"messages":[],"more":true}]}"#;
        let answer = answer(text).unwrap();
        let known = &answer.conversations[0];
        assert_eq!((&*known.conversation, known.head, known.unread), ("g:x", 9, 2));
        assert!(answer.next.is_none());
        assert_eq!(read("g:x", 9), br#"{"type":"read","conversation":"g:x","seq":9}"#);
    }
}
