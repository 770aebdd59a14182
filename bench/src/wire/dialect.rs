//! The commands of the tutorial's dialect as text, and what an answer is, told by its first bytes. Knows no frame.
use clap::ValueEnum;

/// What the server under test answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Dialect {
    /// The tutorial's messages and nothing else: no answer to `auth` or `joinGroup`.
    Tutorial,
    /// Longwire's: `authenticated`, `joined`, `pong`, `ack`.
    Longwire,
}

/// What a text frame without a mark is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Authenticated,
    Joined,
    Ack,
    Pong,
    Error,
    Other,
}

impl Answer {
    /// Tells the answer by its `type`, which every server here writes first.
    pub(crate) fn of(text: &[u8]) -> Self {
        const KINDS: [(&[u8], Answer); 5] = [
            (b"ack\"", Answer::Ack),
            (b"pong\"", Answer::Pong),
            (b"joined\"", Answer::Joined),
            (b"authenticated\"", Answer::Authenticated),
            (b"error\"", Answer::Error),
        ];
        let Some(rest) = text.strip_prefix(b"{\"type\":\"") else { return Self::Other };
        KINDS.iter().find(|(name, _)| rest.starts_with(name)).map_or(Self::Other, |(_, answer)| *answer)
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    User(&'a str),
    Group(&'a str),
    Everyone,
}

/// Signs in by name.
pub(crate) fn auth(user: &str) -> String {
    format!(r#"{{"type":"auth","username":"{user}"}}"#)
}

/// Joins a group.
pub(crate) fn join(group: &str) -> String {
    format!(r#"{{"type":"joinGroup","group":"{group}"}}"#)
}

/// Asks for a sign of life.
pub(crate) const PING: &str = r#"{"type":"ping"}"#;

/// A message's text up to its payload.
pub(crate) fn before_payload(to: To<'_>) -> String {
    match to {
        To::User(user) => format!(r#"{{"type":"message","to":"{user}","message":""#),
        To::Group(group) => format!(r#"{{"type":"message","group":"{group}","message":""#),
        To::Everyone => r#"{"type":"message","message":""#.to_owned(),
    }
}

/// A message's text between its payload and its id.
pub(crate) const BEFORE_ID: &str = r#"","id":""#;

/// A message's end, with or without an id before it.
pub(crate) const END: &str = "\"}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_by_their_type() {
        assert_eq!(Answer::of(br#"{"type":"ack","id":"a"}"#), Answer::Ack);
        assert_eq!(Answer::of(br#"{"type":"authenticated","user":"a"}"#), Answer::Authenticated);
        assert_eq!(Answer::of(br#"{"type":"error","code":400}"#), Answer::Error);
        assert_eq!(Answer::of(br#"{"type":"groupEvent"}"#), Answer::Other);
        assert_eq!(Answer::of(b"hello"), Answer::Other);
    }
}
