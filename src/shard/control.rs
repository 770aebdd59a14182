//! How the control thread speaks to shards: questions through their mailboxes. Knows no shard's state.

use super::mailbox::Address;
use crate::admin::Shards;
use crate::ids::ShardId;
use crate::metrics::Snapshot;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A question or order of the control thread.
#[derive(Debug)]
pub enum Ask {
    /// Counters and levels, for `/metrics`.
    Snapshot(flume::Sender<Snapshot>),
}

/// The control thread's handle on all shards.
#[derive(Clone, Debug)]
pub struct Control {
    shards: Arc<Vec<Address>>,
    draining: Arc<AtomicBool>,
}

impl Control {
    pub(super) fn new(shards: Vec<Address>) -> Self {
        Self { shards: Arc::new(shards), draining: Arc::default() }
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
}
