//! A certificate with its key: read from files, checked against each other and the clock. Knows no connection.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Whoever is not told before this has no time to act (seconds).
const SOON: u64 = 7 * 24 * 3600;

/// A certificate, the chain that shows who vouches for it, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    path: PathBuf,
    /// Seconds since the Unix epoch.
    begins: u64,
    ends: u64,
}

/// Which of the two files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Certificate,
    Key,
}

/// Why no identity can be made of two files; the text says what to do.
#[derive(Debug)]
pub struct IdentityError {
    part: Part,
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Unreadable(io::Error),
    /// PEM that is broken off or garbled.
    Garbled(pem::Error),
    /// No section of the kind that is needed.
    Absent,
    /// What PEM holds is not what it says.
    Unusable(String),
    /// Of another certificate than this one.
    Mismatch(PathBuf),
}

impl Identity {
    /// Reads and checks both files: the certificate's with its whole chain, as `fullchain.pem` has it.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let wrong = |part: Part, fault| IdentityError {
            part,
            path: if part == Part::Key { key } else { certificate }.to_path_buf(),
            fault,
        };
        let read = |part, path: &Path| fs::read(path).map_err(|e| wrong(part, Fault::Unreadable(e)));
        let text = read(Part::Certificate, certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| wrong(Part::Certificate, Fault::Garbled(error)))?;
        let Some(first) = chain.first() else { return Err(wrong(Part::Certificate, Fault::Absent)) };
        let parsed = Certificate::from_der(first)
            .map_err(|error| wrong(Part::Certificate, Fault::Unusable(error.to_string())))?;
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        let validity = parsed.tbs_certificate.validity;
        let secret = match PrivateKeyDer::from_pem_slice(&read(Part::Key, key)?) {
            Ok(secret) => secret,
            Err(pem::Error::NoItemsFound) => return Err(wrong(Part::Key, Fault::Absent)),
            Err(error) => return Err(wrong(Part::Key, Fault::Garbled(error))),
        };
        let certified = CertifiedKey::from_der(chain, secret, &default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => wrong(Part::Key, Fault::Mismatch(certificate.into())),
            rustls::Error::InvalidCertificate(_) => {
                wrong(Part::Certificate, Fault::Unusable(error.to_string()))
            }
            error => wrong(Part::Key, Fault::Unusable(error.to_string())),
        })?;
        Ok(Self {
            key: Arc::new(certified),
            path: certificate.to_path_buf(),
            begins: seconds(validity.not_before),
            ends: seconds(validity.not_after),
        })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// Until when it is valid (seconds since the Unix epoch).
    pub fn expires(&self) -> u64 {
        self.ends
    }

    /// What whoever runs the server should know about its time; `now` in seconds since the Unix epoch.
    pub fn warning(&self, now: u64) -> Option<String> {
        let path = self.path.display();
        let span = |seconds: u64| match seconds / 3600 {
            hours @ 0..48 => format!("{hours} hours"),
            hours => format!("{} days", hours / 24),
        };
        if now > self.ends {
            let ago = span(now - self.ends);
            return Some(format!(
                "{path} expired {ago} ago, and clients refuse it; renew it and send SIGHUP"
            ));
        }
        if now < self.begins {
            let left = span(self.begins - now);
            return Some(format!("{path} is not valid before {left} from now; check this machine's clock"));
        }
        let left = self.ends - now;
        (left < SOON).then(|| format!("{path} expires in {}; renew it and send SIGHUP", span(left)))
    }
}

impl IdentityError {
    /// A certificate that rustls does not take.
    pub(super) fn unusable(certificate: &Path, error: &rustls::Error) -> Self {
        let fault = Fault::Unusable(error.to_string());
        Self { part: Part::Certificate, path: certificate.into(), fault }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (setting, needed) = match self.part {
            Part::Certificate => ("tls.certificate", "a certificate in PEM (-----BEGIN CERTIFICATE-----)"),
            Part::Key => {
                ("tls.key", "a private key in PEM (-----BEGIN PRIVATE KEY-----), without a password")
            }
        };
        write!(f, "{setting} {}: ", self.path.display())?;
        match &self.fault {
            Fault::Unreadable(error) => {
                write!(f, "{error}; give a file that this user may read, with {needed}")
            }
            Fault::Garbled(error) => write!(f, "broken PEM ({error}); give a file with {needed}"),
            Fault::Absent => write!(f, "there is nothing of use in it; give a file with {needed}"),
            Fault::Unusable(error) => write!(
                f,
                "not usable ({error}); give {needed}: ECDSA P-256 or P-384, RSA of 2048 bits or more, or Ed25519"
            ),
            Fault::Mismatch(certificate) => write!(
                f,
                "not the key of the first certificate in {}; give the two that were made together, \
                 the server's own certificate before those of its issuers",
                certificate.display()
            ),
        }
    }
}

impl std::error::Error for IdentityError {}
