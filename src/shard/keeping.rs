//! Where a server keeps what it stores: the store's ports, or nothing where that is memory. Knows no rule.

use super::launch::{AppKind, Plan};
use super::mailbox::Mailbox;
use crate::durability::Durability;
use crate::store::{self, Port, Report, Retention, Store, StoreError, Wake};
use std::io;
use std::sync::Arc;

/// What was opened.
pub(super) struct Kept {
    /// None where messages are kept in memory.
    pub store: Option<Store>,
    /// A port for each shard, if there is a store.
    pub ports: Vec<Option<Port>>,
    /// By which names hash into partitions.
    pub key: [u8; 16],
    /// What opening found.
    pub report: Option<Report>,
}

/// Whether a server stores anything on disk.
pub(super) fn is_stored(plan: &Plan) -> bool {
    plan.app == AppKind::Chat && plan.settings.store_durability != Durability::Memory
}

/// Opens the store that the settings ask for. Its threads run on the cores that no shard has, if there are any.
pub(super) fn open(plan: &Plan, mailboxes: &[Mailbox]) -> Result<Kept, StoreError> {
    if !is_stored(plan) {
        let ports = mailboxes.iter().map(|_| None).collect();
        return Ok(Kept { store: None, ports, key: random_key(), report: None });
    }
    let settings = &plan.settings;
    let Some(folder) = settings.data_dir() else {
        let error = io::Error::other("no folder is given to keep messages in: give --data-dir DIR");
        return Err(StoreError::Io("store.data_dir".into(), error));
    };
    let mut spare = affinity::get_thread_affinity().unwrap_or_default();
    spare.retain(|core| !plan.cores.contains(core));
    let config = store::Config {
        folder: folder.clone(),
        durability: settings.store_durability,
        segment: settings.store_segment_size.0,
        min_free: settings.store_min_free.0,
        cache: settings.store_cache_size.0,
        watchdog: settings.store_watchdog,
        retention: Retention {
            max_age: settings.retention_max_age,
            max_bytes: settings.retention_max_bytes.0,
        },
        core: settings.store_core.map(|core| core as usize),
        shares_cores: spare.is_empty(),
    };
    let wakes: Vec<Wake> = mailboxes.iter().map(wake).collect();
    // What a thread starts has its cores.
    let opened = std::thread::Builder::new().name("store".into()).spawn(move || {
        if !spare.is_empty() && affinity::set_thread_affinity(&spare).is_err() {
            eprintln!("warning: the store's threads could not be kept off the shards' cores");
        }
        Store::open(&config, wakes)
    });
    let opened = opened.map(|thread| thread.join().unwrap_or_else(|_| Err(gave_up(&folder))));
    let (store, ports, report) = opened.map_err(|error| StoreError::Io(folder, error))??;
    let (key, ports) = (store.key(), ports.into_iter().map(Some).collect());
    Ok(Kept { store: Some(store), ports, key, report: Some(report) })
}

fn gave_up(folder: &std::path::Path) -> StoreError {
    StoreError::Io(folder.into(), io::Error::other("it gave up while it was opened"))
}

/// What the store does when it has something for a shard.
fn wake(mailbox: &Mailbox) -> Wake {
    let bell = Arc::clone(mailbox.bell());
    Arc::new(move || {
        bell.ring();
    })
}

/// A key nobody outside can know; what is kept in memory does not outlive it.
fn random_key() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    // RandomState's keys come from the operating system; two of its hashes are 16 bytes nobody can predict.
    let state = RandomState::new();
    let mut key = [0; 16];
    key[..8].copy_from_slice(&state.hash_one(1).to_ne_bytes());
    key[8..].copy_from_slice(&state.hash_one(2).to_ne_bytes());
    key
}
