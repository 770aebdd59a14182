//! Where a server's certificate and key are, and what outlives them. Reads files, so it is for the control thread; knows no shard.

use super::{Acceptor, Identity, IdentityError, Tickets};
use std::path::{Path, PathBuf};

/// Two files, to be read at the start and whenever they are new.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    tickets: Tickets,
}

impl Certificates {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When the operating system has no randomness for the tickets' keys.
    pub fn new(certificate: &Path, key: &Path) -> Result<Self, rustls::Error> {
        Ok(Self { certificate: certificate.into(), key: key.into(), tickets: Tickets::new()? })
    }

    /// Reads the files, and makes of them what connections begin with. Tickets of earlier ones stay good.
    ///
    /// # Errors
    /// [`IdentityError`]: the text says what to do.
    pub fn load(&self) -> Result<(Identity, Acceptor), IdentityError> {
        let identity = Identity::from_files(&self.certificate, &self.key)?;
        let acceptor = Acceptor::new(&identity, &self.tickets);
        let acceptor = acceptor.map_err(|error| IdentityError::unusable(&self.certificate, &error))?;
        Ok((identity, acceptor))
    }
}
