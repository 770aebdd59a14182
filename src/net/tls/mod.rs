//! TLS for `wss://`, by rustls: ciphertext to plaintext and back, on bytes that others receive and send. Knows no socket.

mod certificates;
mod identity;
mod stream;
#[cfg(test)]
mod tests;

pub use certificates::Certificates;
pub use identity::{Identity, IdentityError};
pub use stream::{End, Handshake, Outcome, Stream};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// The keys of the session tickets: one set for all cores, which outlives a certificate. They change every six hours, and
/// are nowhere but in this memory.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// New keys.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new() -> Result<Self, rustls::Error> {
        Ticketer::new().map(Self)
    }
}

/// What new connections begin with: a certificate and the terms.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// TLS 1.3 and 1.2 with `identity`; `tickets` let clients resume on any core, with nothing kept here for them.
    ///
    /// # Errors
    /// When rustls lacks a cipher for these versions.
    pub fn new(identity: &Identity, tickets: &Tickets) -> Result<Self, rustls::Error> {
        Self::with_ciphers(identity, tickets, default_provider())
    }

    /// As [`Acceptor::new`], with other ciphers than rustls's own choice.
    ///
    /// # Errors
    /// When there is none among them for these versions.
    pub fn with_ciphers(
        identity: &Identity,
        tickets: &Tickets,
        ciphers: CryptoProvider,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ciphers))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key())));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = Arc::clone(&tickets.0);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A client that comes back brings it and gets the next one.
        config.send_tls13_tickets = 1;
        Ok(Self(Arc::new(config)))
    }
}
