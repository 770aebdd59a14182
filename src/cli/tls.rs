//! The certificate of `wss://`: read at the start, and again on SIGHUP. Knows no connection.

use super::Failure;
use crate::admin::Shards;
use crate::ids::ShardId;
use crate::net::tls::{Acceptor, Certificates, Identity};
use crate::settings::Settings;
use crate::shard::Control;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

/// How long a shard whose mailbox is full has before it is tried again.
const FULL_MAILBOX: Duration = Duration::from_millis(20);

/// What the settings say about TLS, read and checked.
pub(super) struct Tls {
    certificates: Certificates,
    identity: Identity,
    acceptor: Acceptor,
}

impl Tls {
    /// Reads certificate and key, where they are set.
    pub(super) fn load(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some((certificate, key)) = settings.tls_certificate.as_ref().zip(settings.tls_key.as_ref())
        else {
            return Ok(None);
        };
        let certificates = Certificates::new(certificate, key).map_err(Failure::failed)?;
        let (identity, acceptor) = certificates.load().map_err(Failure::failed)?;
        Ok(Some(Self { certificates, identity, acceptor }))
    }

    /// What connections begin with.
    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// What whoever runs the server should know about the certificate.
    pub(super) fn warning(&self) -> Option<String> {
        self.identity.warning(now())
    }

    /// Reads the files again on each SIGHUP; those that are no good change nothing.
    pub(super) async fn follow(self, control: Control) -> io::Result<()> {
        let Self { certificates, identity, .. } = self;
        control.certificate_expires(identity.expires());
        let mut hup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hup.recv().await.is_some() {
                reload(&certificates, &control).await;
            }
        });
        Ok(())
    }
}

async fn reload(certificates: &Certificates, control: &Control) {
    match certificates.load() {
        Ok((identity, acceptor)) => {
            for shard in (0..control.shards()).map(ShardId) {
                while !control.speak_tls(shard, &acceptor) && !control.is_draining() {
                    tokio::time::sleep(FULL_MAILBOX).await;
                }
            }
            control.certificate_changed(identity.expires());
            eprintln!("the certificate was read again: new connections begin with it");
            if let Some(warning) = identity.warning(now()) {
                eprintln!("warning: {warning}");
            }
        }
        Err(error) => {
            control.certificate_failed();
            eprintln!("error: {error}\n  the certificate that was in use is kept");
        }
    }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
