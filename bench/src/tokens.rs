//! Tokens for a run's users, signed here with the server's own key. Knows no socket and no dialect.
use crate::limits::TOKEN_TTL;
use anyhow::Context;
use clap::{Args, ValueEnum};
use longwire::auth::{Grant, Key, issue};
use longwire::ids::{Millis, UserName};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a token is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Place {
    /// In the first message, as names are
    Message,
    /// In the upgrade request, as `Authorization: Bearer …`: the server signs in without being asked
    Upgrade,
}

/// How users sign in.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenArgs {
    /// Users sign in by token, not by name: this is the file with the server's secret (HS256), as its own --token-key takes it
    #[arg(long, value_name = "FILE")]
    token_key: Option<PathBuf>,
    /// Where the token is shown
    #[arg(long, value_enum, default_value = "message", requires = "token_key", value_name = "PLACE")]
    token_at: Place,
}

impl TokenArgs {
    /// Where users show a token, if they have one.
    pub(crate) fn place(&self) -> Option<Place> {
        self.token_key.is_some().then_some(self.token_at)
    }

    /// What signs them.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Arc<Tokens>>> {
        let Some(path) = &self.token_key else { return Ok(None) };
        let key = Key::from_file(path).context("--token-key")?;
        Ok(Some(Arc::new(Tokens { key, place: self.token_at })))
    }
}

/// Signs users' tokens, one for each connection: a server checks each of them anyway.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: Key,
    place: Place,
}

impl Tokens {
    /// Where they are shown.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// A user's token, for whatever a workload does: from now on, and longer than any run.
    pub(crate) fn sign(&self, user: &str) -> anyhow::Result<String> {
        let grant = Grant {
            user: UserName::new(user).with_context(|| format!("{user} is no user's name"))?,
            ttl: TOKEN_TTL,
            groups: Vec::new(),
            broadcast: true,
            audience: None,
            issuer: None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let now = Millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        issue(&self.key, &grant, now).with_context(|| format!("signing a token for {user}"))
    }
}
