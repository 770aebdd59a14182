//! What a server is told and what it answers, as bytes with places to fill in. Knows no frame and no socket.
//!
//! A dialect says what signs a user in, what joins a group, what carries a payload, and by which first bytes an answer is
//! known. Most are tables of texts: the built-in ones are files like a user's own (`dialects/*.toml`; `bench/README.md`
//! explains the keys). Longwire's own has a second [`Encoding`], whose messages come from its schema. Messages are built
//! before the run; while it goes on, an answer is told by comparing prefixes, whatever the encoding.
mod binary;
mod texts;

use crate::limits::DIALECT_BYTES;
use crate::tokens::Place;
use crate::wire::frame;
use crate::wire::marker::Bounds;
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use texts::Texts;

/// The built-in dialects: what `--dialect` takes besides a file.
const BUILT_IN: [(&str, &str); 5] = [
    ("tutorial", include_str!("../../../dialects/tutorial.toml")),
    (LONGWIRE, include_str!("../../../dialects/longwire.toml")),
    ("echo", include_str!("../../../dialects/echo.toml")),
    ("socketio", include_str!("../../../dialects/socketio.toml")),
    ("nchan", include_str!("../../../dialects/nchan.toml")),
];
/// The one that has two encodings.
const LONGWIRE: &str = "longwire";

/// Bytes of a server's error that are shown.
const SHOWN: usize = 200;

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Encoding {
    /// As the dialect has them, in text frames
    Json,
    /// Longwire's `longwire.proto.v1`: Protobuf in binary frames
    Proto,
}

/// What a frame without a mark is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The server is ready for a sign-in.
    Welcome,
    Authenticated,
    Joined,
    Ack,
    /// What was missed, asked for by `sync`.
    Synced,
    Pong,
    /// The server wants a sign of life.
    Heartbeat,
    Error,
    Other,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    User(&'a str),
    Group(&'a str),
    Everyone,
    /// Back to its sender, from a server that echoes.
    Back,
}

/// What a server under test is told and answers.
#[derive(Debug)]
pub(crate) struct Dialect {
    says: Says,
    /// Longwire's own, whose messages may be binary too.
    longwire: bool,
    greeting: Vec<Vec<u8>>,
    ping: Option<Vec<u8>>,
    heartbeat: Option<Vec<u8>>,
    /// The answers' first bytes, the longest first: it is the one that tells.
    answers: Vec<(Box<[u8]>, Answer)>,
}

/// Where the messages come from.
#[derive(Debug)]
enum Says {
    Texts(Box<Texts>),
    Binary,
}

impl Dialect {
    /// A built-in one by its name, or a file's. (The error is a text because that is what clap shows.)
    pub(crate) fn named(name: &str) -> Result<Arc<Self>, String> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        let text = match built_in {
            Some((_, text)) => Ok((*text).to_owned()),
            None => read(name).with_context(|| {
                let known: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
                format!("neither one of {} nor a file that can be read", known.join(", "))
            }),
        };
        let dialect = text.and_then(|text| Self::parse(&text));
        dialect
            .map(|dialect| Arc::new(Self { longwire: name == LONGWIRE, ..dialect }))
            .map_err(|error| format!("{error:#}"))
    }

    /// From a file's text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let texts = Texts::parse(text)?;
        let bytes = |text: &String| text.clone().into_bytes();
        let answers = longest_first(texts.answers());
        let answered = answers.iter().any(|(_, answer)| *answer == Answer::Pong);
        Ok(Self {
            longwire: false,
            greeting: texts.greeting.iter().map(bytes).collect(),
            // A sign of life that nobody answers is none.
            ping: texts.ping.as_ref().filter(|_| answered).map(bytes),
            heartbeat: texts.heartbeat.as_ref().map(bytes),
            answers,
            says: Says::Texts(Box::new(texts)),
        })
    }

    /// The same dialect in an encoding; only Longwire's own has another one than its texts.
    pub(crate) fn encoded(self: &Arc<Self>, encoding: Encoding) -> anyhow::Result<Arc<Self>> {
        if encoding == Encoding::Json {
            return Ok(Arc::clone(self));
        }
        ensure!(
            self.longwire,
            "--encoding proto: Longwire's own dialect has it and no other (--dialect longwire)"
        );
        Ok(Arc::new(Self {
            says: Says::Binary,
            longwire: true,
            greeting: Vec::new(),
            ping: Some(binary::ping()),
            heartbeat: None,
            answers: longest_first(binary::answers()),
        }))
    }

    /// The subprotocol that the server has to select; without one it is asked for none.
    pub(crate) fn subprotocol(&self) -> Option<&'static str> {
        match self.says {
            Says::Texts(_) => None,
            Says::Binary => Some(longwire::wire::Encoding::Proto.subprotocol()),
        }
    }

    /// The opcode of its messages' frames.
    pub(crate) fn opcode(&self) -> u8 {
        match self.says {
            Says::Texts(_) => frame::TEXT,
            Says::Binary => frame::BINARY,
        }
    }

    /// How the server's messages tell where a payload ends.
    pub(crate) fn bounds(&self) -> Bounds {
        match self.says {
            Says::Texts(_) => Bounds::Quoted,
            Says::Binary => Bounds::Counted,
        }
    }

    /// What follows the server's address in the URL, where the dialect has a say in that.
    pub(crate) fn path(&self, user: &str, peer: &str) -> Option<String> {
        self.texts()?.path(user, peer)
    }

    /// The same for a connection that takes part in a group.
    pub(crate) fn group_path(&self, user: &str, group: &str) -> Option<String> {
        self.texts()?.group_path(user, group)
    }

    fn texts(&self) -> Option<&Texts> {
        match &self.says {
            Says::Texts(texts) => Some(texts),
            Says::Binary => None,
        }
    }

    /// What a connection sends as soon as it is upgraded.
    pub(crate) fn greeting(&self) -> &[Vec<u8>] {
        &self.greeting
    }

    /// Signs in by name; `None` where nobody has to.
    pub(crate) fn sign_in(&self, user: &str) -> Option<Vec<u8>> {
        match &self.says {
            Says::Texts(texts) => texts.sign_in(user).map(String::into_bytes),
            Says::Binary => Some(binary::sign_in(user)),
        }
    }

    /// Signs in by a token; `None` where nobody can.
    pub(crate) fn sign_in_by_token(&self, token: &str) -> Option<Vec<u8>> {
        match &self.says {
            Says::Texts(texts) => texts.sign_in_by_token(token).map(String::into_bytes),
            Says::Binary => Some(binary::sign_in_by_token(token)),
        }
    }

    /// Joins a group; `None` where the path has done it.
    pub(crate) fn join(&self, group: &str) -> Option<Vec<u8>> {
        match &self.says {
            Says::Texts(texts) => texts.join(group).map(String::into_bytes),
            Says::Binary => Some(binary::join(group)),
        }
    }

    /// Asks for a sign of life that is answered.
    pub(crate) fn ping(&self) -> Option<&[u8]> {
        self.ping.as_deref()
    }

    /// Answers the server's own question for one.
    pub(crate) fn heartbeat(&self) -> Option<&[u8]> {
        self.heartbeat.as_deref()
    }

    /// A message with this content, and with this number where it shall have one.
    pub(crate) fn message(&self, to: To<'_>, content: &str, id: Option<&str>) -> Vec<u8> {
        match &self.says {
            Says::Texts(texts) => texts.message(to, content, id).into_bytes(),
            Says::Binary => binary::message(to, content, id),
        }
    }

    /// Refuses ids where messages have no place for them.
    pub(crate) fn check_ids(&self, wanted: bool) -> anyhow::Result<()> {
        let has = self.texts().is_none_or(|texts| texts.id.is_some());
        ensure!(!wanted || has, "--ids: in this --dialect messages carry no id and nothing acks them");
        Ok(())
    }

    /// Refuses tokens in messages where there is no message for them.
    pub(crate) fn check_tokens(&self, place: Option<Place>) -> anyhow::Result<()> {
        let has = self.sign_in_by_token("").is_some();
        ensure!(
            place != Some(Place::Message) || has,
            "--token-key: this --dialect has no `sign_in_by_token`; --token-at upgrade shows the token in the request"
        );
        Ok(())
    }

    /// Whether a group's message comes back to who sent it.
    pub(crate) fn own_group_messages(&self) -> bool {
        self.texts().is_some_and(|texts| texts.own_group_messages)
    }

    /// Whether the server gives such answers.
    pub(crate) fn answers_with(&self, answer: Answer) -> bool {
        self.answers.iter().any(|(_, known)| *known == answer)
    }

    /// Tells an answer by its first bytes.
    pub(crate) fn answer(&self, message: &[u8]) -> Answer {
        self.answers
            .iter()
            .find(|(start, _)| message.starts_with(start))
            .map_or(Answer::Other, |(_, answer)| *answer)
    }

    /// An error answer as it is shown.
    pub(crate) fn error(&self, message: &[u8]) -> String {
        let words = match self.says {
            Says::Texts(_) => None,
            Says::Binary => binary::error(message),
        };
        words.unwrap_or_else(|| String::from_utf8_lossy(&message[..message.len().min(SHOWN)]).into_owned())
    }
}

fn longest_first(mut answers: Vec<(Box<[u8]>, Answer)>) -> Vec<(Box<[u8]>, Answer)> {
    answers.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
    answers
}

fn read(path: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(DIALECT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
