//! From a token to claims, and back for `gentoken`. Knows no connection, no rule and no clock: time is handed in.
//!
//! Tokens are JWTs signed with HS256. The algorithm is pinned here and never taken from a token's header, `exp` is
//! required, `nbf` is checked, and `aud` and `iss` are when the server names them. [`LEEWAY_MS`] is granted on both
//! ends for clocks that differ; a session lives until `exp` plus the same leeway.

mod key;
#[cfg(test)]
mod tests;

pub use key::{Key, KeyError};

use crate::claims::Claims;
use crate::ids::{GroupName, Millis, UserName};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use std::{fmt, mem};

/// How far the clocks of issuer and server may differ (ms).
pub const LEEWAY_MS: u64 = 5_000;
/// The longest token that is looked at (bytes); it bounds what a session's claims can hold.
pub const TOKEN_MAX: usize = 16 * 1024;

/// Why a token is refused. The text is fit for a close frame's reason and never quotes the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthError {
    /// Not a JWT, or its claims have other types than ours.
    Malformed,
    /// Signed with something else than HS256, or with nothing.
    Algorithm,
    /// Not signed with this server's key, or changed since.
    Signature,
    /// `exp` is past.
    Expired,
    /// `nbf` is to come.
    NotYet,
    /// `aud` names someone else.
    Audience,
    /// `iss` names someone else.
    Issuer,
    /// A required claim is not there.
    Missing,
    /// `sub` or one of `groups` is no name.
    Name,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "bad token: not a JWT with the claims sub, exp, groups, broadcast",
            Self::Algorithm => "bad token: its algorithm must be HS256",
            Self::Signature => "bad token: not signed with this server's key",
            Self::Expired => "bad token: it has expired",
            Self::NotYet => "bad token: it is not valid yet (nbf)",
            Self::Audience => "bad token: aud is missing or names another audience",
            Self::Issuer => "bad token: iss is missing or names another issuer",
            Self::Missing => "bad token: sub and exp are required",
            Self::Name => "bad token: sub and groups are names of 1 to 64 bytes without space or ':'",
        })
    }
}

impl std::error::Error for AuthError {}

/// The claims of a token as they are signed.
#[derive(Serialize, Deserialize)]
struct Body {
    sub: String,
    /// Seconds since the Unix epoch; RFC 7519 allows fractions.
    exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<f64>,
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    broadcast: bool,
}

/// Checks tokens against one key; shared by all shards.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// A verifier for tokens signed with `key`, for that audience and from that issuer where given.
    pub fn new(key: &Key, audience: Option<&str>, issuer: Option<&str>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are compared below with the moment the shell read, so that tests own the clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = audience.is_some();
        let required = [("aud", audience), ("iss", issuer)];
        validation.required_spec_claims = ["sub".to_string(), "exp".to_string()].into();
        for (claim, _) in required.iter().filter(|(_, expected)| expected.is_some()) {
            validation.required_spec_claims.insert((*claim).to_string());
        }
        validation.aud = audience.map(|a| [a.to_string()].into());
        validation.iss = issuer.map(|i| [i.to_string()].into());
        Self { key: DecodingKey::from_secret(key.bytes()), validation }
    }

    /// A verifier with the key of a file.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or its key is too short.
    pub fn from_key_file(
        path: &Path,
        audience: Option<&str>,
        issuer: Option<&str>,
    ) -> Result<Self, KeyError> {
        Ok(Self::new(&Key::from_file(path)?, audience, issuer))
    }

    /// The claims of a token that is valid at `now_wall`.
    ///
    /// # Errors
    /// [`AuthError`]; its text may be shown to whoever sent the token.
    pub fn verify(&self, token: &str, now_wall: Millis) -> Result<Claims, AuthError> {
        if token.len() > TOKEN_MAX {
            return Err(AuthError::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Body>(token, &self.key, &self.validation);
        let mut body = decoded.map_err(|error| reason(error.kind()))?.claims;
        let expires = millis(body.exp).saturating_add(LEEWAY_MS);
        if expires <= now_wall.0 {
            return Err(AuthError::Expired);
        }
        if body.nbf.is_some_and(|nbf| millis(nbf) > now_wall.0.saturating_add(LEEWAY_MS)) {
            return Err(AuthError::NotYet);
        }
        let groups: Result<Vec<_>, _> =
            mem::take(&mut body.groups).iter().map(|g| GroupName::new(g)).collect();
        Ok(Claims {
            user: UserName::new(&body.sub).map_err(|_| AuthError::Name)?,
            expires: Some(Millis(expires)),
            groups: groups.map_err(|_| AuthError::Name)?,
            broadcast: body.broadcast,
        })
    }
}

/// What a new token grants.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who signs in with it.
    pub user: UserName,
    /// How long.
    pub ttl: Duration,
    /// Groups that may be joined although groups are not open.
    pub groups: Vec<GroupName>,
    /// Whether messages to everyone are allowed.
    pub broadcast: bool,
    /// `aud`, for servers that check it.
    pub audience: Option<String>,
    /// `iss`, for servers that check it.
    pub issuer: Option<String>,
}

/// Signs a token that is valid from `now_wall` on.
///
/// # Errors
/// [`AuthError::Malformed`] when it would be too long to be accepted.
pub fn issue(key: &Key, grant: &Grant, now_wall: Millis) -> Result<String, AuthError> {
    let body = Body {
        sub: grant.user.as_str().into(),
        exp: (now_wall.0 / 1000).saturating_add(grant.ttl.as_secs()) as f64,
        nbf: None,
        aud: grant.audience.clone(),
        iss: grant.issuer.clone(),
        groups: grant.groups.iter().map(|g| g.as_str().into()).collect(),
        broadcast: grant.broadcast,
    };
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &body, &EncodingKey::from_secret(key.bytes()));
    token.ok().filter(|token| token.len() <= TOKEN_MAX).ok_or(AuthError::Malformed)
}

/// NumericDate to milliseconds; what lies before 1970 or beyond all time is clamped.
fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

fn reason(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            AuthError::Algorithm
        }
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::InvalidIssuer => AuthError::Issuer,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "aud" => AuthError::Audience,
            "iss" => AuthError::Issuer,
            _ => AuthError::Missing,
        },
        _ => AuthError::Malformed,
    }
}
