//! How the control thread speaks to shards: questions through their mailboxes. Knows no shard's state.

use super::mailbox::Address;
use crate::admin::{CertificateLevels, Shards};
use crate::ids::ShardId;
use crate::metrics::{Snapshot, StoreLevels};
use crate::net::tls::Acceptor;
use crate::store::Watch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A question or order of the control thread.
#[derive(Debug)]
pub enum Ask {
    /// Counters and levels, for `/metrics`.
    Snapshot(flume::Sender<Snapshot>),
    /// What TLS connections begin with from now on. Its loss would leave the shard with an old certificate: it is sent until
    /// it arrives.
    SpeakTls(Acceptor),
}

/// The control thread's handle on all shards.
#[derive(Clone, Debug)]
pub struct Control {
    shards: Arc<Vec<Address>>,
    draining: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    certificate: Arc<Certificate>,
    store: Option<Watch>,
}

/// How it stands with the certificate, for `/metrics`.
#[derive(Debug, Default)]
struct Certificate {
    expires: AtomicU64,
    reloads: AtomicU64,
    failures: AtomicU64,
}

impl Control {
    pub(super) fn new(shards: Vec<Address>, store: Option<Watch>) -> Self {
        let (draining, ended, certificate) = (Arc::default(), Arc::default(), Arc::default());
        Self { shards: Arc::new(shards), draining, ended, certificate, store }
    }

    pub(super) fn shards_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether all shards have ended, so that only the store is left to be closed.
    pub fn have_shards_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Has a shard begin connections with another certificate; false where its mailbox is full, to be tried again.
    pub fn speak_tls(&self, shard: ShardId, acceptor: &Acceptor) -> bool {
        self.shards.get(usize::from(shard.0)).is_some_and(|shard| shard.ask(Ask::SpeakTls(acceptor.clone())))
    }

    /// Counts a reload: all shards begin connections with a certificate that expires then (seconds since the Unix epoch).
    pub fn certificate_changed(&self, expires: u64) {
        self.certificate.reloads.fetch_add(1, Ordering::Relaxed);
        self.certificate_expires(expires);
    }

    /// Notes until when the certificate is valid.
    pub fn certificate_expires(&self, at: u64) {
        self.certificate.expires.store(at, Ordering::Relaxed);
    }

    /// Counts a reload that failed: the shards go on with what they have.
    pub fn certificate_failed(&self) {
        self.certificate.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells all shards to go down within `timeout`.
    pub fn drain(&self, timeout: Duration) {
        self.draining.store(true, Ordering::Release);
        for shard in self.shards.iter() {
            shard.drain(timeout);
        }
    }
}

impl Shards for Control {
    fn shards(&self) -> u16 {
        self.shards.len() as u16
    }

    async fn ask(&self, shard: ShardId) -> Option<Snapshot> {
        let (reply, answer) = flume::bounded(1);
        if !self.shards.get(usize::from(shard.0))?.ask(Ask::Snapshot(reply)) {
            return None;
        }
        answer.recv_async().await.ok()
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn store(&self) -> Option<StoreLevels> {
        self.store.as_ref().map(Watch::levels)
    }

    fn refuses(&self) -> Option<String> {
        self.store.as_ref().and_then(Watch::refuses)
    }

    fn certificate(&self) -> Option<CertificateLevels> {
        let expires = self.certificate.expires.load(Ordering::Relaxed);
        (expires > 0).then(|| CertificateLevels {
            expires,
            reloads: self.certificate.reloads.load(Ordering::Relaxed),
            failures: self.certificate.failures.load(Ordering::Relaxed),
        })
    }
}
