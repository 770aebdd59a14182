//! The table of settings: one row is a field, a TOML key, a flag, a variable and a line of the reference.
//! Knows no source of values and nothing of what the settings steer.

use super::values::{Bytes, CoreList, FileMode, Value};
use crate::durability::Durability;
use crate::net::endpoint::Endpoint;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is known of a setting without its value.
#[derive(Debug)]
pub struct Row {
    /// `section.name`, as in a TOML file.
    pub key: &'static str,
    /// A short flag besides the one that the key makes.
    pub alias: Option<&'static str>,
    /// The value when nobody sets one; empty for none.
    pub default: &'static str,
    /// The lowest and the highest value.
    pub range: Option<(&'static str, &'static str)>,
    /// One sentence of help.
    pub help: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// Whether a TOML file writes it without quotes.
    pub bare: bool,
    /// Reads a text into the field, or says why not.
    pub set: fn(&mut Settings, &str) -> Result<(), String>,
    /// The field's present value as text.
    pub show: fn(&Settings) -> String,
}

impl Row {
    /// The key's part before the dot.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key's part after the dot.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The flag that the key makes, without its dashes.
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// The variable that the key makes.
    pub fn variable(&self) -> String {
        format!("LONGWIRE_{}", self.key.replace('.', "_").to_uppercase())
    }
}

fn ranged<T: Value + PartialOrd>(text: &str, range: Option<(&str, &str)>) -> Result<T, String> {
    let value = T::read(text)?;
    if let Some((low, high)) = range
        && (T::read(low).is_ok_and(|low| value < low) || T::read(high).is_ok_and(|high| value > high))
    {
        return Err(format!("is out of range; it must be {low} to {high}"));
    }
    Ok(value)
}

macro_rules! range {
    () => {
        None
    };
    ($low:literal to $high:literal) => {
        Some(($low, $high))
    };
}

macro_rules! alias {
    () => {
        None
    };
    ($flag:literal) => {
        Some($flag)
    };
}

macro_rules! settings {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $type:ty = $key:literal, $default:literal
            $(, from $low:literal to $high:literal)? $(, flag $flag:literal)?;
    )+) => {
        /// Every setting of a server, checked. Tests start from [`Settings::default`] or [`Settings::with`].
        #[derive(Clone, PartialEq, Debug)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        /// Every row, in the order of the reference.
        pub static ROWS: &[Row] = &[$(Row {
            key: $key,
            alias: alias!($($flag)?),
            default: $default,
            range: range!($($low to $high)?),
            help: concat!($($help),+),
            kind: <$type as Value>::KIND,
            bare: <$type as Value>::BARE,
            set: |settings, text| {
                settings.$field = ranged(text, range!($($low to $high)?))?;
                Ok(())
            },
            show: |settings| settings.$field.show(),
        }),+];

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($field: ranged($default, range!($($low to $high)?)).expect(concat!("default of ", $key)),)+
                }
            }
        }
    };
}

settings! {
    /// Where clients connect, up to 8 places: `IP:PORT` or `ws://IP:PORT`, `wss://IP:PORT` for TLS, `unix:/PATH` for a socket's file. With `?proxy=v2` behind it each connection must begin with a header of the PROXY protocol. Port 0 takes a free one and the banner names it. `[::]` is IPv6 only; name `0.0.0.0` beside it for both.
    server_listen: Vec<Endpoint> = "server.listen", "127.0.0.1:9501", flag "listen";
    /// Who may connect to the sockets' files of server.listen: their permissions in octal digits.
    server_unix_mode: FileMode = "server.unix_mode", "0660";
    /// Where /metrics, /healthz and /readyz are served in plain HTTP without a password; `off` for nowhere.
    server_admin_listen: Option<SocketAddr> = "server.admin_listen", "127.0.0.1:9502", flag "admin-listen";
    /// The cores to run on, one pinned shard each: `all`, `0,1` or `0-3`.
    server_cores: CoreList = "server.cores", "all", flag "cores";
    /// Connections to make room for, on all cores together; the start tells what fits.
    server_connection_limit: u32 = "server.connection_limit", "100000", from "1" to "16000000", flag "connections";
    /// Anyone signs in by name and may do everything: for trying out, on a loopback address only.
    server_dev: bool = "server.dev", "false", flag "dev";

    /// Networks like 10.0.0.0/8, or addresses, from which proxies connect where server.listen says `?proxy=v2`; anyone else there is closed at once. Whoever may open a Unix socket is trusted.
    proxy_trusted: Vec<IpNet> = "proxy.trusted", "127.0.0.0/8,::1/128";

    /// The folder that messages and memberships are kept in, made if there is none; one server uses it at a time. With `--dev` it is ./longwire-data if not given; with store.durability `memory` a start with a folder is refused.
    store_data_dir: Option<PathBuf> = "store.data_dir", "", flag "data-dir";
    /// What an ack proves: `fsync` that the message is on the disk, `os` that the operating system has it (it outlives the server, not a loss of power), `memory` that this process has it and loses it when it ends.
    store_durability: Durability = "store.durability", "fsync", flag "durability";
    /// The size of one of the log's files, which are made ahead of need.
    store_segment_size: Bytes = "store.segment_size", "64MiB", from "2MiB" to "1GiB";
    /// Room to leave on the disk of store.data_dir; below it whatever would be stored is answered with error 503, before anything is written.
    store_min_free: Bytes = "store.min_free", "1GiB", from "0B" to "1024GiB";
    /// Memory for what was read of the disk, besides what the operating system keeps.
    store_cache_size: Bytes = "store.cache_size", "256MiB", from "1MiB" to "1024GiB";
    /// The core that the log's thread is pinned to, best none of server.cores; not pinned if not given.
    store_core: Option<u32> = "store.core", "";
    /// A commit that takes the disk longer than this is reported, in the log and as longwire_store_slow_commits_total.
    store_watchdog: Duration = "store.watchdog", "2s", from "1ms" to "1h";
    /// With store.durability `memory`: messages kept, on all cores together; past it the oldest are forgotten.
    store_memory_max_bytes: Bytes = "store.memory_max_bytes", "256MiB", from "1MiB" to "1024GiB";
    /// Kept in memory of how conversations stand and for whom, on all cores together, so that who comes back and has missed nothing costs no read; what was not used lately goes.
    store_heads_max_bytes: Bytes = "store.heads_max_bytes", "256MiB", from "1MiB" to "1024GiB";
    /// With messages on disk: the newest ones kept in memory as well, on all cores together; past it the oldest go, and are read from the disk.
    store_tails_max_bytes: Bytes = "store.tails_max_bytes", "256MiB", from "1MiB" to "1024GiB";

    /// How long messages on disk are kept: older ones go, in the background; 0 for as long as there is room.
    retention_max_age: Duration = "retention.max_age", "0s", from "0s" to "36500days";
    /// What one conversation on disk keeps: past it its oldest messages go, in the background; 0 for no bound. What counts is a message's content, names and numbers.
    retention_max_bytes: Bytes = "retention.max_bytes", "0B", from "0B" to "1024GiB";

    /// The file with the secret that signs tokens (HS256): at least 32 bytes, one trailing newline is ignored.
    token_key_file: Option<PathBuf> = "token.key_file", "", flag "token-key";
    /// The audience that a token's `aud` must name; not checked when empty.
    token_audience: Option<String> = "token.audience", "";
    /// The issuer that a token's `iss` must name; not checked when empty.
    token_issuer: Option<String> = "token.issuer", "";

    /// The certificate that wss:// is served with: a PEM file, the server's own first, then its issuers' (`fullchain.pem`). SIGHUP reads it again.
    tls_certificate: Option<PathBuf> = "tls.certificate", "", flag "tls-certificate";
    /// Its private key: a PEM file without a password (`privkey.pem`). SIGHUP reads it again.
    tls_key: Option<PathBuf> = "tls.key", "", flag "tls-key";

    /// How long connections may take to close when the server stops.
    shutdown_timeout: Duration = "shutdown.timeout", "10s", from "0s" to "1h", flag "shutdown-timeout";

    /// How often the server pings each connection; two intervals without a received byte close it with 3012.
    client_ping_interval: Duration = "client.ping_interval", "25s", from "10ms" to "1h", flag "heartbeat";
    /// How long a connection may take from accept to signed in; later it is closed with 3502.
    client_auth_timeout: Duration = "client.auth_timeout", "10s", from "10ms" to "10m";
    /// The largest head of the request that opens a connection, its token included; a larger one is answered with HTTP 431.
    client_head_size_limit: Bytes = "client.head_size_limit", "8KiB", from "1KiB" to "64KiB";
    /// How long the request that opens a connection may take to come; later it is answered with HTTP 408.
    client_head_timeout: Duration = "client.head_timeout", "5s", from "10ms" to "10m";
    /// Bytes queued for one slow connection; past it stored messages give way to one `resync`, then it is closed.
    client_queue_max_size: Bytes = "client.queue_max_size", "1MiB", from "4KiB" to "4GiB";
    /// Bytes queued for all slow connections, on all cores together, each of which has its part; past it those with the most queued give way, as above.
    client_queues_max_size: Bytes = "client.queues_max_size", "1GiB", from "1MiB" to "1024GiB";
    /// Connections one user may have at a time; a further one is closed with 3504.
    client_user_connection_limit: u32 = "client.user_connection_limit", "64", from "1" to "65536";
    /// Connections one address may have at a time, of IPv6 one network of 64 bits; a further one is answered with HTTP 429, over TLS reset. 0: any number, as behind a proxy without `?proxy=v2`, where all come from one address.
    client_address_connection_limit: u32 = "client.address_connection_limit", "0", from "0" to "16000000";
    /// Web origins that may connect besides the server's own, like https://chat.example.org.
    client_allowed_origins: Vec<String> = "client.allowed_origins", "";

    /// The largest WebSocket message a client may send; a larger one closes with 1009.
    websocket_message_size_limit: Bytes = "websocket.message_size_limit", "64KiB", from "128B" to "64MiB";
    /// Frames one WebSocket message may come in; one of more closes with 1009. 0: one for each 16 bytes of the largest message.
    websocket_fragments_limit: u32 = "websocket.fragments_limit", "0", from "0" to "16777216";
    /// Whether messages are compressed for clients that offer permessage-deflate, and theirs may be.
    websocket_compression: bool = "websocket.compression", "true";
    /// How hard to compress: 1 is the fastest, 9 the smallest.
    websocket_compression_level: u32 = "websocket.compression_level", "1", from "1" to "9";
    /// Messages below this size are sent as they are, also to clients that agreed on compression.
    websocket_compression_min_size: Bytes = "websocket.compression_min_size", "512B", from "0B" to "1GiB";

    /// The largest payload of a chat message; a larger one is answered with error 413.
    message_size_limit: Bytes = "message.size_limit", "32KiB", from "1B" to "64MiB";

    /// Upgrades a second on each core; beyond it HTTP 503 with Retry-After, so that a storm of clients does not slow those who are in. 0: any number.
    rate_handshakes: u32 = "rate.handshakes", "30000", from "0" to "1000000";
    /// TLS handshakes begun a second on each core, in place of rate.handshakes on wss://; beyond it clients wait to be accepted, and after two seconds of that are reset before any cryptography. 0: any number.
    rate_tls_handshakes: u32 = "rate.tls_handshakes", "5000", from "0" to "1000000";
    /// WebSocket messages, pings and pongs one connection may send a second; beyond it error 429, and 3013 for who does not wait. 0: any number.
    rate_connection_messages: u32 = "rate.connection_messages", "10000", from "0" to "1000000";
    /// Bytes of them, headers included, one connection may send a second. 0: any number.
    rate_connection_bytes: Bytes = "rate.connection_bytes", "64MiB", from "0B" to "64GiB";
    /// Messages one user may send a second on all connections, `history` and `members` counting 10, `sync` 20, joining and leaving 5; beyond it as above. 0: any number.
    rate_user_messages: u32 = "rate.user_messages", "20000", from "0" to "1000000";
    /// Bytes of content one user may send a second on all connections. 0: any number.
    rate_user_bytes: Bytes = "rate.user_bytes", "128MiB", from "0B" to "64GiB";
    /// Conversations one user may begin and groups one may make an hour; beyond it error 429. 0: any number.
    rate_user_new: u32 = "rate.user_new", "10000", from "0" to "1000000";

    /// Whether anyone may create and join groups by name; when not set, only with server.dev.
    group_open: Option<bool> = "group.open", "";
    /// The largest group whose members are told who joins and leaves.
    group_event_max_members: u32 = "group.event_max_members", "100", from "0" to "100000";
    /// Members one group may have; a further one is answered with error 403.
    group_max_members: u32 = "group.max_members", "100000", from "1" to "10000000";
    /// Groups one user may be in; a further one is answered with error 403.
    group_user_limit: u32 = "group.user_limit", "1000", from "1" to "100000";

    /// Sends of one fan-out before a shard turns to other work; a member that messages are brought to together gets all of them.
    chat_fanout_slice: u32 = "chat.fanout_slice", "128", from "1" to "65536";
    /// Conversations held active at a time, on all cores together.
    chat_active_conversations_max: u32 = "chat.active_conversations_max", "1000000", from "64" to "100000000";
    /// Users known at a time (with a session or a membership), on all cores together.
    chat_users_max: u32 = "chat.users_max", "4000000", from "64" to "100000000";

    /// Memory for recognising a message sent again by its `id`, on all cores together; past it the oldest are forgotten.
    idempotency_max_bytes: Bytes = "idempotency.max_bytes", "64MiB", from "64KiB" to "64GiB";
    /// How long a message sent again is recognised by its `id`.
    idempotency_window: Duration = "idempotency.window", "24h", from "1s" to "30d";

    /// How long at most an idle shard looks for work before it sleeps; 0 sleeps at once. 50us answers in a third of the time at a moderate
    /// load, and takes all of its core for that.
    shard_spin: Duration = "shard.spin", "0s", from "0s" to "10ms";
}
