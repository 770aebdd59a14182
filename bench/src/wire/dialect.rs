//! What a server is told and what it answers, as texts with places to fill in. Knows no frame and no socket.
//!
//! A dialect is a table of texts: what signs a user in, what joins a group, what carries a payload, and by which first
//! bytes an answer is known. The built-in ones are files like a user's own (`dialects/*.toml`; `bench/README.md`
//! explains the keys). Texts are filled in before the run; while it goes on, an answer is told by comparing prefixes.
//!
//! Every message here is a text frame. Longwire's binary encoding, TLS and compression come with the server's: the
//! encoding as one more kind of dialect, whose messages are bytes with the same two places; TLS and compression
//! below, in the engine, where a dialect does not see them.
use crate::limits::DIALECT_BYTES;
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// The built-in dialects: what `--dialect` takes besides a file.
const BUILT_IN: [(&str, &str); 5] = [
    ("tutorial", include_str!("../../dialects/tutorial.toml")),
    ("longwire", include_str!("../../dialects/longwire.toml")),
    ("echo", include_str!("../../dialects/echo.toml")),
    ("socketio", include_str!("../../dialects/socketio.toml")),
    ("nchan", include_str!("../../dialects/nchan.toml")),
];

/// Where a payload goes in a message's text.
pub(crate) const PAYLOAD: &str = "{payload}";
/// Where a message's number goes.
pub(crate) const ID: &str = "{id}";
const USER: &str = "{user}";
const PEER: &str = "{peer}";
const GROUP: &str = "{group}";

/// What a text frame without a mark is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The server is ready for a sign-in.
    Welcome,
    Authenticated,
    Joined,
    Ack,
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
    texts: Texts,
    /// The answers' first bytes, the longest first: it is the one that tells.
    answers: Vec<(Box<[u8]>, Answer)>,
}

/// A dialect as a file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    path: Option<String>,
    group_path: Option<String>,
    #[serde(default)]
    greeting: Vec<String>,
    sign_in: Option<String>,
    join: Option<String>,
    ping: Option<String>,
    #[serde(default = "bare")]
    to_user: String,
    #[serde(default = "bare")]
    to_group: String,
    #[serde(default = "bare")]
    to_everyone: String,
    #[serde(default = "bare")]
    echo: String,
    id: Option<String>,
    heartbeat: Option<String>,
    #[serde(default)]
    own_group_messages: bool,
    #[serde(default)]
    answers: Answers,
}

/// The first bytes of each kind of answer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Answers {
    welcome: Vec<String>,
    authenticated: Vec<String>,
    joined: Vec<String>,
    ack: Vec<String>,
    pong: Vec<String>,
    heartbeat: Vec<String>,
    error: Vec<String>,
}

fn bare() -> String {
    PAYLOAD.to_owned()
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
        text.and_then(|text| Self::parse(&text)).map(Arc::new).map_err(|error| format!("{error:#}"))
    }

    /// From a file's text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let texts: Texts = toml::from_str(text)?;
        texts.check()?;
        Ok(Self { answers: texts.answers.longest_first(), texts })
    }

    /// What follows the server's address in the URL, where the dialect has a say in that.
    pub(crate) fn path(&self, user: &str, peer: &str) -> Option<String> {
        self.texts.path.as_ref().map(|path| path.replace(USER, user).replace(PEER, peer))
    }

    /// The same for a connection that takes part in a group.
    pub(crate) fn group_path(&self, user: &str, group: &str) -> Option<String> {
        let path = self.texts.group_path.as_ref().or(self.texts.path.as_ref())?;
        Some(path.replace(USER, user).replace(PEER, user).replace(GROUP, group))
    }

    /// What a connection sends as soon as it is upgraded.
    pub(crate) fn greeting(&self) -> &[String] {
        &self.texts.greeting
    }

    /// Signs in by name; `None` where nobody has to.
    pub(crate) fn sign_in(&self, user: &str) -> Option<String> {
        self.texts.sign_in.as_ref().map(|text| text.replace(USER, user))
    }

    /// Joins a group; `None` where the path has done it.
    pub(crate) fn join(&self, group: &str) -> Option<String> {
        self.texts.join.as_ref().map(|text| text.replace(GROUP, group))
    }

    /// Asks for a sign of life that is answered.
    pub(crate) fn ping(&self) -> Option<&str> {
        self.texts.ping.as_deref().filter(|_| self.answers_with(Answer::Pong))
    }

    /// Answers the server's own question for one.
    pub(crate) fn heartbeat(&self) -> Option<&str> {
        self.texts.heartbeat.as_deref()
    }

    /// A message's text, with [`PAYLOAD`] once, and [`ID`] at most once if it shall have a number.
    pub(crate) fn message(&self, to: To<'_>, with_id: bool) -> String {
        let text = match to {
            To::User(user) => self.texts.to_user.replace(USER, user),
            To::Group(group) => self.texts.to_group.replace(GROUP, group),
            To::Everyone => self.texts.to_everyone.clone(),
            To::Back => self.texts.echo.clone(),
        };
        let id = self.texts.id.as_deref().filter(|_| with_id).unwrap_or("");
        text.replace(ID, id)
    }

    /// Refuses ids where messages have no place for them.
    pub(crate) fn check_ids(&self, wanted: bool) -> anyhow::Result<()> {
        ensure!(
            !wanted || self.texts.id.is_some(),
            "--ids: in this --dialect messages carry no id and nothing acks them"
        );
        Ok(())
    }

    /// Whether a group's message comes back to who sent it.
    pub(crate) fn own_group_messages(&self) -> bool {
        self.texts.own_group_messages
    }

    /// Whether the server gives such answers.
    pub(crate) fn answers_with(&self, answer: Answer) -> bool {
        self.answers.iter().any(|(_, known)| *known == answer)
    }

    /// Tells an answer by its first bytes.
    pub(crate) fn answer(&self, text: &[u8]) -> Answer {
        self.answers
            .iter()
            .find(|(start, _)| text.starts_with(start))
            .map_or(Answer::Other, |(_, answer)| *answer)
    }
}

fn read(path: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(DIALECT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

impl Texts {
    fn check(&self) -> anyhow::Result<()> {
        let messages = [
            ("to_user", &self.to_user),
            ("to_group", &self.to_group),
            ("to_everyone", &self.to_everyone),
            ("echo", &self.echo),
        ];
        for (key, text) in messages {
            ensure!(text.matches(PAYLOAD).count() == 1, "`{key}` has to have {PAYLOAD}, once: {text}");
            ensure!(text.matches(ID).count() <= 1, "`{key}` has {ID} more than once: {text}");
        }
        if let Some(id) = &self.id {
            ensure!(id.matches(ID).count() <= 1 && !id.contains(PAYLOAD), "`id` has {ID} once at most: {id}");
            ensure!(
                !self.answers.ack.is_empty(),
                "`id` asks for acks: `answers.ack` has to say how they begin"
            );
        }
        for path in self.path.iter().chain(&self.group_path) {
            let fits = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(fits, "a path begins with / and has no spaces: {path}");
        }
        ensure!(
            self.heartbeat.is_some() != self.answers.heartbeat.is_empty(),
            "`heartbeat` is the answer to `answers.heartbeat`: both or neither"
        );
        Ok(())
    }
}

impl Answers {
    fn longest_first(&self) -> Vec<(Box<[u8]>, Answer)> {
        let kinds = [
            (&self.welcome, Answer::Welcome),
            (&self.authenticated, Answer::Authenticated),
            (&self.joined, Answer::Joined),
            (&self.ack, Answer::Ack),
            (&self.pong, Answer::Pong),
            (&self.heartbeat, Answer::Heartbeat),
            (&self.error, Answer::Error),
        ];
        let mut all: Vec<(Box<[u8]>, Answer)> = Vec::new();
        for (starts, answer) in kinds {
            all.extend(starts.iter().map(|start| (start.as_bytes().into(), answer)));
        }
        all.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        all
    }
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
