//! The relations between settings, which no single row can hold. Knows no source of values.

use super::table::Settings;
use super::values::{Bytes, CoreList, Value};
use crate::durability::Durability;
use crate::limits::MESSAGE_STORED_MAX;
use crate::net::endpoint::Endpoint;

/// Cores one server can use: a shard needs at least one of the fixed partitions.
const CORES_MAX: usize = crate::ids::PARTITIONS as usize;

impl Settings {
    /// Checks what no server could run with; returns what is wrong, one sentence each.
    pub fn contradictions(&self) -> Vec<String> {
        let addresses = || self.server_listen.iter().filter_map(Endpoint::address);
        let admin_is_own = addresses().all(|at| at.port() == 0 || self.server_admin_listen != Some(at));
        let few_cores = !matches!(&self.server_cores, CoreList::Only(cores) if cores.len() > CORES_MAX);
        let origins_are_origins = self.client_allowed_origins.iter().all(|o| is_origin(o));
        let stored = self.store_durability != Durability::Memory;
        let rules = [
            (
                self.message_size_limit < self.websocket_message_size_limit,
                "message.size_limit must be below websocket.message_size_limit, since a payload travels inside a message",
            ),
            (
                self.websocket_message_size_limit <= self.client_queue_max_size,
                "client.queue_max_size must be at least websocket.message_size_limit, or the largest message could not be queued",
            ),
            (
                self.client_queue_max_size <= self.client_queues_max_size,
                "client.queues_max_size must be at least client.queue_max_size, since it holds the queues of all connections",
            ),
            (
                self.message_size_limit.0 * 4 <= self.store_memory_max_bytes.0,
                "store.memory_max_bytes must hold at least four messages of message.size_limit",
            ),
            (
                self.group_event_max_members <= self.group_max_members,
                "group.event_max_members must not be above group.max_members",
            ),
            (admin_is_own, "server.admin_listen must be another address than server.listen"),
            (
                self.tls_certificate.is_some() || !self.server_listen.iter().any(|endpoint| endpoint.tls),
                "server.listen: wss:// needs tls.certificate and tls.key; give both, or use ws:// behind a proxy that does TLS",
            ),
            (
                self.tls_certificate.is_some() == self.tls_key.is_some(),
                "tls.certificate and tls.key go together: give both, or neither",
            ),
            (
                !self.proxy_trusted.is_empty()
                    || !self.server_listen.iter().any(|e| e.proxy && e.address().is_some()),
                "proxy.trusted must name where the proxies are, since server.listen says ?proxy=v2",
            ),
            (few_cores, "server.cores names more than 64 cores, which is as many as one server uses"),
            (
                self.message_size_limit.0 <= MESSAGE_STORED_MAX as u64 || !stored,
                "message.size_limit must be at most 1020KiB unless store.durability is memory, since a commit of the log holds the message",
            ),
            (
                origins_are_origins,
                "client.allowed_origins: each one is a scheme and a host without a path, like https://chat.example.org",
            ),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, text)| text.to_string()).collect()
    }

    /// Checks what is divided among the cores, now that their number is known; an error tells what to do.
    ///
    /// # Errors
    /// A sentence for the person who starts the server.
    pub fn check_shares(&self, cores: usize) -> Result<(), String> {
        let (cores, one, all) = (cores as u64, self.client_queue_max_size, self.client_queues_max_size);
        if all.0 / cores >= one.0 {
            return Ok(());
        }
        Err(format!(
            "client.queues_max_size is {}, of which each of {cores} cores has its part: less than one queue of \
             client.queue_max_size, {}; set it to {} at least, or run on fewer cores",
            all.show(),
            one.show(),
            Bytes(one.0.saturating_mul(cores)).show()
        ))
    }

    /// Checks that it is settled where messages are kept; an error tells what to do.
    ///
    /// # Errors
    /// A sentence for the person who starts the server.
    pub fn check_store(&self) -> Result<(), String> {
        match (self.store_durability, &self.store_data_dir) {
            (Durability::Memory, None) => return Ok(()),
            (Durability::Memory, Some(folder)) => {
                return Err(format!(
                    "store.durability is memory, and store.data_dir is {}: nothing would be kept there; leave --durability memory out \
                     to keep messages in the folder, or --data-dir to lose them when the server ends",
                    folder.display()
                ));
            }
            _ if self.data_dir().is_some() => return Ok(()),
            _ => {}
        }
        Err("there is no place to keep messages in: give --data-dir DIR, or --durability memory to lose them when the server ends".into())
    }

    /// Checks that it is settled who may sign in; an error tells what to do.
    ///
    /// # Errors
    /// A sentence for the person who starts the server.
    pub fn check_sign_in(&self) -> Result<(), String> {
        let public = self.server_listen.iter().find(|endpoint| !endpoint.is_local());
        match (self.server_dev, &self.token_key_file, public) {
            (true, _, Some(public)) => Err(format!(
                "--dev lets anyone sign in, so it listens on a loopback address only, and {public} is none; \
                 listen on 127.0.0.1, or leave --dev out and give --token-key FILE",
            )),
            (false, None, _) => Err(
                "nobody could sign in: give --token-key FILE (make one: `head -c 32 /dev/urandom | base64 > token.key`), \
                 or --dev to try the server on this machine without tokens"
                    .into(),
            ),
            _ => Ok(()),
        }
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        !scheme.is_empty() && scheme.chars().all(plain) && !host.is_empty() && !host.contains(['/', ' ', '*'])
    })
}
