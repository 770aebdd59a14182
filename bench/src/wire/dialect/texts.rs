//! A dialect as a file has it: texts with places to fill in, and the beginnings of answers. Knows no encoding but text.
use super::{Answer, To};
use anyhow::ensure;
use serde::Deserialize;

/// Where a payload goes in a message's text.
const PAYLOAD: &str = "{payload}";
/// Where a message's number goes.
const ID: &str = "{id}";
const USER: &str = "{user}";
const PEER: &str = "{peer}";
const GROUP: &str = "{group}";
const TOKEN: &str = "{token}";

/// A file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    path: Option<String>,
    group_path: Option<String>,
    #[serde(default)]
    pub(super) greeting: Vec<String>,
    sign_in: Option<String>,
    sign_in_by_token: Option<String>,
    join: Option<String>,
    pub(super) ping: Option<String>,
    #[serde(default = "bare")]
    to_user: String,
    #[serde(default = "bare")]
    to_group: String,
    #[serde(default = "bare")]
    to_everyone: String,
    #[serde(default = "bare")]
    echo: String,
    pub(super) id: Option<String>,
    pub(super) heartbeat: Option<String>,
    #[serde(default)]
    pub(super) own_group_messages: bool,
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
    synced: Vec<String>,
    pong: Vec<String>,
    heartbeat: Vec<String>,
    error: Vec<String>,
}

fn bare() -> String {
    PAYLOAD.to_owned()
}

impl Texts {
    /// From a file's text.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let texts: Self = toml::from_str(text)?;
        texts.check()?;
        Ok(texts)
    }

    pub(super) fn path(&self, user: &str, peer: &str) -> Option<String> {
        self.path.as_ref().map(|path| path.replace(USER, user).replace(PEER, peer))
    }

    pub(super) fn group_path(&self, user: &str, group: &str) -> Option<String> {
        let path = self.group_path.as_ref().or(self.path.as_ref())?;
        Some(path.replace(USER, user).replace(PEER, user).replace(GROUP, group))
    }

    pub(super) fn sign_in(&self, user: &str) -> Option<String> {
        self.sign_in.as_ref().map(|text| text.replace(USER, user))
    }

    pub(super) fn sign_in_by_token(&self, token: &str) -> Option<String> {
        self.sign_in_by_token.as_ref().map(|text| text.replace(TOKEN, token))
    }

    pub(super) fn join(&self, group: &str) -> Option<String> {
        self.join.as_ref().map(|text| text.replace(GROUP, group))
    }

    pub(super) fn message(&self, to: To<'_>, content: &str, id: Option<&str>) -> String {
        let text = match to {
            To::User(user) => self.to_user.replace(USER, user),
            To::Group(group) => self.to_group.replace(GROUP, group),
            To::Everyone => self.to_everyone.clone(),
            To::Back => self.echo.clone(),
        };
        let id = id.zip(self.id.as_ref()).map(|(id, text)| text.replace(ID, id));
        text.replace(ID, &id.unwrap_or_default()).replace(PAYLOAD, content)
    }

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

    /// By which first bytes each answer is known.
    pub(super) fn answers(&self) -> Vec<(Box<[u8]>, Answer)> {
        let kinds = [
            (&self.answers.welcome, Answer::Welcome),
            (&self.answers.authenticated, Answer::Authenticated),
            (&self.answers.joined, Answer::Joined),
            (&self.answers.ack, Answer::Ack),
            (&self.answers.synced, Answer::Synced),
            (&self.answers.pong, Answer::Pong),
            (&self.answers.heartbeat, Answer::Heartbeat),
            (&self.answers.error, Answer::Error),
        ];
        let of = |(starts, answer): (&Vec<String>, Answer)| {
            starts.iter().map(move |start| (start.as_bytes().into(), answer)).collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(of).collect()
    }
}
