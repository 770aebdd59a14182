//! Who is connected, under which name, in which group. Knows no WebSocket.
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::mpsc::Sender;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Where a connection's messages go. What does not fit is lost: the tutorial promises nothing else.
pub(crate) type Outbox = Sender<Utf8Bytes>;

type Table<K, V> = RwLock<HashMap<K, V>>;

/// The tables that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    next: AtomicU64,
    everyone: Table<u64, Outbox>,
    users: Table<String, (u64, Outbox)>,
    groups: Table<String, HashMap<u64, Outbox>>,
}

/// One connection in the tables; what it entered it has to leave.
#[derive(Debug)]
pub(crate) struct Guest {
    id: u64,
    outbox: Outbox,
    pub(crate) name: Option<String>,
    groups: Vec<String>,
}

impl Rooms {
    pub(crate) fn enter(&self, outbox: Outbox) -> Guest {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        write(&self.everyone).insert(id, outbox.clone());
        Guest { id, outbox, name: None, groups: Vec::new() }
    }

    pub(crate) fn sign_in(&self, guest: &mut Guest, name: String) {
        write(&self.users).insert(name.clone(), (guest.id, guest.outbox.clone()));
        guest.name = Some(name);
    }

    pub(crate) fn join(&self, guest: &mut Guest, group: String) {
        write(&self.groups).entry(group.clone()).or_default().insert(guest.id, guest.outbox.clone());
        guest.groups.push(group);
    }

    pub(crate) fn to_user(&self, user: &str, text: Utf8Bytes) {
        if let Some((_, outbox)) = read(&self.users).get(user) {
            let _ = outbox.try_send(text);
        }
    }

    pub(crate) fn to_group(&self, from: &Guest, group: &str, text: &Utf8Bytes) {
        if let Some(members) = read(&self.groups).get(group) {
            from.to_others(members, text);
        }
    }

    pub(crate) fn to_everyone(&self, from: &Guest, text: &Utf8Bytes) {
        from.to_others(&read(&self.everyone), text);
    }

    pub(crate) fn leave(&self, guest: Guest) {
        write(&self.everyone).remove(&guest.id);
        if let Some(name) = guest.name {
            let mut users = write(&self.users);
            // A later connection under the same name keeps it.
            if users.get(&name).is_some_and(|(id, _)| *id == guest.id) {
                users.remove(&name);
            }
        }
        for group in guest.groups {
            let mut groups = write(&self.groups);
            if let Some(members) = groups.get_mut(&group) {
                members.remove(&guest.id);
                if members.is_empty() {
                    groups.remove(&group);
                }
            }
        }
    }
}

impl Guest {
    fn to_others(&self, members: &HashMap<u64, Outbox>, text: &Utf8Bytes) {
        for (_, outbox) in members.iter().filter(|(id, _)| **id != self.id) {
            let _ = outbox.try_send(text.clone());
        }
    }
}

fn read<K: Eq + Hash, V>(table: &Table<K, V>) -> RwLockReadGuard<'_, HashMap<K, V>> {
    table.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<K: Eq + Hash, V>(table: &Table<K, V>) -> RwLockWriteGuard<'_, HashMap<K, V>> {
    table.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
