//! What a `wss://` server is spoken to with: whom to trust, and what is kept of a session. Knows no connection.
mod anyone;
mod throwaway;
mod tickets;

use anyhow::{Context, bail, ensure};
use anyone::Anyone;
use clap::Args;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use throwaway::Throwaway;
use tickets::Tickets;

/// How a `wss://` server is believed, and greeted again.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsArgs {
    /// Of a wss:// server: the certificate that it has to show, or that of its issuer, in PEM (a server started with `{certificate}` in
    /// its command is trusted by itself)
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Of a wss:// server: take any certificate
    #[arg(long)]
    insecure: bool,
    /// Of a wss:// server: resume sessions by tickets, one each; those of the first connections feed the ones that follow
    #[arg(long)]
    tls_resume: bool,
}

/// What every connection to a server begins with.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsArgs {
    /// Terms for the server of this name; `made` is the certificate that it was given here.
    pub(crate) fn terms(&self, host: &str, made: Option<&Throwaway>) -> anyhow::Result<Terms> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.with_context(|| format!("{host} is no name that a certificate can have"))?;
        let versions = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?;
        let trusting = match (&self.ca, made) {
            _ if self.insecure => {
                versions.dangerous().with_custom_certificate_verifier(Arc::new(Anyone::default()))
            }
            (Some(path), _) => versions.with_root_certificates(roots(read(path)?)?),
            (None, Some(made)) => versions.with_root_certificates(roots(vec![made.der()])?),
            (None, None) => bail!("whom to trust on wss://? --ca FILE, or --insecure for anyone"),
        };
        let mut config = trusting.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = if self.tls_resume {
            Resumption::store(Arc::new(Tickets::default()))
        } else {
            Resumption::disabled()
        };
        Ok(Terms { config: Arc::new(config), name })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let said = || format!("--ca {}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).with_context(said)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().with_context(said)?;
    ensure!(!certificates.is_empty(), "--ca {}: there is no certificate in it", path.display());
    Ok(certificates)
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).context("a certificate to trust")?;
    }
    Ok(roots)
}
