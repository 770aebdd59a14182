//! Before sign-in: who may come in, by which credential, and to which shard. Knows no conversation.

use crate::auth::Verifier;
use crate::claims::Claims;
use crate::ids::{DeviceName, Millis};
use crate::wire::{Command, Credential, ErrorCode, Request};
use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::ConnId;

/// Someone whose credential was accepted, on the way to the home shard.
#[derive(Debug)]
pub struct Pending {
    /// Who, with which rights.
    pub claims: Claims,
    /// On which device.
    pub device: Option<DeviceName>,
    /// The `auth` command's id.
    pub id: Option<String>,
}

/// What a message before sign-in leads to.
#[derive(Debug)]
pub enum Entry {
    /// Sign in.
    Welcome(Box<Pending>),
    /// The credential is wrong: close with 3500 and this reason.
    Bad(String),
    /// Answer a ping.
    Pong,
    /// Answer with an error.
    Refused(ErrorCode, &'static str),
}

/// The lobby of one shard.
#[derive(Debug)]
pub struct Lobby {
    verifier: Option<Arc<Verifier>>,
    dev: bool,
    moving: HashMap<ConnId, Box<Pending>>,
}

impl Lobby {
    /// A lobby that takes tokens of `verifier`, and bare names in `dev` mode.
    pub fn new(verifier: Option<Arc<Verifier>>, dev: bool) -> Self {
        Self { verifier, dev, moving: HashMap::new() }
    }

    /// Looks at a token of the upgrade request.
    pub fn token(&self, token: &str, now: Millis) -> Entry {
        match self.claims(&Credential::Token(token.into()), now) {
            Ok(claims) => Entry::Welcome(Box::new(Pending { claims, device: None, id: None })),
            Err(entry) => entry,
        }
    }

    /// Looks at a message before sign-in: only `auth` and `ping` mean anything.
    pub fn message(&self, request: &Request<'_>, now: Millis) -> Entry {
        match &request.command {
            Command::Auth { credential, device } => match self.claims(credential, now) {
                Ok(claims) => {
                    let id = request.id.as_deref().map(str::to_owned);
                    Entry::Welcome(Box::new(Pending { claims, device: device.clone(), id }))
                }
                Err(entry) => entry,
            },
            Command::Ping => Entry::Pong,
            _ => Entry::Refused(ErrorCode::Unauthorized, "sign in first: send auth"),
        }
    }

    /// What a credential grants.
    ///
    /// # Errors
    /// The [`Entry`] that tells the client why it grants nothing.
    pub fn claims(&self, credential: &Credential<'_>, now: Millis) -> Result<Claims, Entry> {
        match (credential, &self.verifier) {
            (Credential::Token(token), Some(verifier)) => {
                verifier.verify(token, now).map_err(|error| Entry::Bad(error.to_string()))
            }
            (Credential::Token(_), None) => {
                Err(Entry::Bad("this server has no token key; sign in by username".into()))
            }
            (Credential::Username(user), _) if self.dev => {
                Ok(Claims { user: user.clone(), expires: None, groups: Vec::new(), broadcast: true })
            }
            (Credential::Username(_), _) => {
                Err(Entry::Refused(ErrorCode::Forbidden, "signing in by username needs --dev; send a token"))
            }
        }
    }

    /// Keeps who someone is while the connection moves.
    pub fn keep(&mut self, conn: ConnId, pending: Box<Pending>) {
        self.moving.insert(conn, pending);
    }

    /// Takes back who someone is: the connection has moved, or ended.
    pub fn take(&mut self, conn: ConnId) -> Option<Box<Pending>> {
        self.moving.remove(&conn)
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.moving.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.moving.is_empty()
    }
}
