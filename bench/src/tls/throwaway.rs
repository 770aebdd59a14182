//! A certificate for a server that is started here, in files that go with it. Knows no server.
use anyhow::Context;
use rustls::pki_types::CertificateDer;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Certificate and key, ECDSA P-256, for this machine by all of its names.
#[derive(Debug)]
pub(crate) struct Throwaway {
    folder: PathBuf,
    der: CertificateDer<'static>,
}

impl Throwaway {
    /// Makes both.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
        let name = format!("longwire-bench-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        let said = || format!("writing a certificate to {}", folder.display());
        fs::DirBuilder::new().mode(0o700).create(&folder).with_context(said)?;
        let throwaway = Self { folder: folder.clone(), der: made.cert.der().clone() };
        fs::write(throwaway.certificate(), made.cert.pem()).with_context(said)?;
        fs::write(throwaway.key(), made.signing_key.serialize_pem()).with_context(said)?;
        Ok(throwaway)
    }

    /// The certificate's file.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The key's.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The certificate itself.
    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // A folder in /tmp that stays harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
