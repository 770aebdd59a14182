//! `longwire serve` and `longwire echo`: settings to a plan that can start. Knows no socket.

use super::start::{self, Start};
use super::{Failure, config, cores};
use crate::auth::Verifier;
use crate::settings::{Bytes, Settings};
use crate::shard::AppKind;
use clap::ArgMatches;
use std::sync::Arc;

/// The largest message `echo` sends back, as conformance suites ask for.
const ECHO_MESSAGE_LIMIT: Bytes = Bytes(64 << 20);

/// Runs the chat server until it is stopped.
pub(super) fn chat(given: &ArgMatches) -> Result<(), Failure> {
    let settings = config::load(given)?;
    settings.check_sign_in().map_err(Failure::failed)?;
    settings.check_store().map_err(Failure::failed)?;
    settings.check_shares(cores::resolve(&settings.server_cores)?.len()).map_err(Failure::failed)?;
    let verifier = verifier(&settings)?.map(Arc::new);
    start::run(Start { admin: settings.server_admin_listen, settings, verifier, app: AppKind::Chat })
}

/// Runs the echo server until it is stopped.
pub(super) fn echo(given: &ArgMatches) -> Result<(), Failure> {
    let settings = Settings { websocket_message_size_limit: ECHO_MESSAGE_LIMIT, ..config::load(given)? };
    start::run(Start { admin: None, settings, verifier: None, app: AppKind::Echo })
}

/// What checks tokens, when a key is set.
pub(super) fn verifier(settings: &Settings) -> Result<Option<Verifier>, Failure> {
    let (audience, issuer) = (settings.token_audience.as_deref(), settings.token_issuer.as_deref());
    let read = |path: &std::path::PathBuf| Verifier::from_key_file(path, audience, issuer);
    settings.token_key_file.as_ref().map(read).transpose().map_err(Failure::failed)
}
