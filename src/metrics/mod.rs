//! Plain per-shard counters and histograms, merged when scraped. Knows nothing of what it counts.

mod histograms;
mod snapshot;
mod store;

pub use histograms::{Histogram, Histograms};
pub use snapshot::{Gauges, Snapshot};
pub use store::StoreLevels;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal { $($label:ident = $value:literal),* } $help:literal;)*) => {
        /// Every counter of a shard: one row here is one line in `/metrics`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        #[allow(missing_docs)]
        pub enum Counter { $($variant),* }

        impl Counter {
            /// Every counter, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its family's name without `_total`.
            pub fn family(self) -> &'static str {
                match self { $(Self::$variant => concat!("longwire_", $name)),* }
            }

            /// Its labels within the family.
            pub fn labels(self) -> &'static [(&'static str, &'static str)] {
                match self { $(Self::$variant => &[$((stringify!($label), $value)),*]),* }
            }

            /// What it counts.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

counters! {
    Accepted = "connections_accepted" {} "Connections accepted";
    AcceptFailed = "accepts_failed" {} "Accepts that failed for want of files or memory, and listeners that could not be opened again; tried again shortly after";
    Upgraded = "connections_upgraded" {} "WebSocket upgrades answered with 101";
    GrewQuiet = "connections_grew_quiet" {} "Connections that said nothing between two heartbeats and take less of the kernel's memory since";
    HttpAnswered = "connections_http" {} "Requests that were no upgrade, answered in plain HTTP";
    HandedOver = "connections_handed_over" {} "Connections moved to their user's home shard";
    HandOverFailed = "connections_hand_over_failed" {} "Connections that found no place on their home shard";
    Shed = "connections_shed" {} "Connections sent away since too many came at a time: upgrades answered with 503, and those over TLS reset before their handshake";
    Crowded = "connections_crowded" {} "Connections refused because their address has too many";
    ProxyUntrusted = "connections_proxy_refused" { why = "untrusted" } "Connections closed where a proxy must introduce them: it is none of those trusted, its header is wrong, or late";
    ProxyWrong = "connections_proxy_refused" { why = "wrong" } "Connections closed where a proxy must introduce them: it is none of those trusted, its header is wrong, or late";
    ProxyLate = "connections_proxy_refused" { why = "late" } "Connections closed where a proxy must introduce them: it is none of those trusted, its header is wrong, or late";
    HeadTimeouts = "connections_head_timeouts" {} "Connections closed because their request did not come in time";
    TlsFull = "tls_handshakes" { kind = "full" } "TLS handshakes finished, by kind; resumed ones have cost no signature";
    TlsResumed = "tls_handshakes" { kind = "resumed" } "TLS handshakes finished, by kind; resumed ones have cost no signature";
    TlsFailed = "tls_handshakes_failed" {} "Connections that spoke no TLS, or none that is supported, or did not finish its handshake in time";
    TlsBroken = "tls_broken" {} "Connections whose records were broken after the handshake";
    Refused = "connections_refused" {} "Connections closed because every table was full";
    ClosedNormal = "connections_closed" { code = "1000" } "Connections closed, by code";
    ClosedAway = "connections_closed" { code = "1001" } "Connections closed, by code";
    ClosedProtocol = "connections_closed" { code = "1002" } "Connections closed, by code";
    ClosedUnsupported = "connections_closed" { code = "1003" } "Connections closed, by code";
    ClosedInvalid = "connections_closed" { code = "1007" } "Connections closed, by code";
    ClosedTooBig = "connections_closed" { code = "1009" } "Connections closed, by code";
    ClosedDraining = "connections_closed" { code = "3000" } "Connections closed, by code";
    ClosedInternal = "connections_closed" { code = "3004" } "Connections closed, by code";
    ClosedExpired = "connections_closed" { code = "3005" } "Connections closed, by code";
    ClosedTooSlow = "connections_closed" { code = "3008" } "Connections closed, by code";
    ClosedNoPong = "connections_closed" { code = "3012" } "Connections closed, by code";
    ClosedTooMany = "connections_closed" { code = "3013" } "Connections closed, by code";
    ClosedBadToken = "connections_closed" { code = "3500" } "Connections closed, by code";
    ClosedBadRequest = "connections_closed" { code = "3501" } "Connections closed, by code";
    ClosedNeverSignedIn = "connections_closed" { code = "3502" } "Connections closed, by code";
    ClosedReplaced = "connections_closed" { code = "3503" } "Connections closed, by code";
    ClosedConnectionLimit = "connections_closed" { code = "3504" } "Connections closed, by code";
    ClosedDenied = "connections_closed" { code = "3507" } "Connections closed, by code";
    ClosedLost = "connections_closed" { code = "lost" } "Connections closed, by code";
    FloodedConnection = "connections_too_many" { cause = "connection_rate" } "Connections closed with 3013, by cause";
    FloodedUser = "connections_too_many" { cause = "user_rate" } "Connections closed with 3013, by cause";
    Unfinished = "connections_too_many" { cause = "half_received" } "Connections closed with 3013, by cause";
    UsersFull = "connections_too_many" { cause = "users" } "Connections closed with 3013, by cause";
    OverHead = "over_limit" { what = "head" } "Requests and messages refused for being larger than allowed, by what was";
    OverMessage = "over_limit" { what = "message" } "Requests and messages refused for being larger than allowed, by what was";
    OverFragments = "over_limit" { what = "fragments" } "Requests and messages refused for being larger than allowed, by what was";
    OverInflated = "over_limit" { what = "inflated" } "Requests and messages refused for being larger than allowed, by what was";
    PingsSent = "heartbeat_pings" {} "Heartbeat pings sent";
    FramesReceived = "frames_received" {} "WebSocket messages and control frames received";
    FramesInflated = "frames_inflated" {} "Compressed messages received";
    BytesReceived = "received_bytes" {} "Bytes received";
    FramesSent = "frames_sent" {} "Frames sent";
    FramesDeflated = "frames_deflated" {} "Times a frame was compressed: once a core and window, however many receive it";
    Sends = "sends" {} "Send operations; several frames may share one";
    BytesSent = "sent_bytes" {} "Bytes sent";
    RingEnters = "ring_enters" {} "System calls that entered a ring";
    RingOverflow = "ring_overflow" {} "Times a completion queue overflowed into the kernel";
    BuffersDry = "ring_buffers_dry" {} "Receives that found no buffer and waited for one";
    Parks = "loop_parks" {} "Times a shard went to sleep";
    Naps = "loop_naps" {} "Times a shard slept in its ring for up to 10 ms";
    Wakes = "mailbox_wakes" {} "Times a sleeping shard was woken for mail";
    MailSent = "mailbox_mails" {} "Mails sent to other shards";
    MailBatches = "mailbox_batches" {} "Batches they were sent in";
    MailSpilled = "mailbox_spilled" {} "Mails that found a full mailbox and waited at their sender";
    MailMissed = "mailbox_missed" {} "Deliveries dropped past the spill's bound and repaired by resync";
    MailDropped = "mailbox_dropped" {} "Ephemeral mails dropped at a full mailbox";
    ShedEphemeral = "outbox_shed" { class = "ephemeral" } "Frames dropped for slow connections, by class";
    ShedStored = "outbox_shed" { class = "stored" } "Frames dropped for slow connections, by class";
    Outdated = "outbox_outdated" {} "Ephemeral frames that a newer one of the same topic replaced in a queue";
    Reliefs = "outbox_reliefs" {} "Times slow connections held too much together, and those with the most gave way";
    AssemblyReliefs = "assembly_reliefs" {} "Times half-received messages held too much together, and those under way longest were given up";
    Resyncs = "outbox_resyncs" {} "Sessions told to resync";
    CommandAuth = "commands" { command = "auth" } "Commands received, by type";
    CommandMessage = "commands" { command = "message" } "Commands received, by type";
    CommandJoin = "commands" { command = "joinGroup" } "Commands received, by type";
    CommandLeave = "commands" { command = "leaveGroup" } "Commands received, by type";
    CommandMembers = "commands" { command = "members" } "Commands received, by type";
    CommandTyping = "commands" { command = "typing" } "Commands received, by type";
    CommandHistory = "commands" { command = "history" } "Commands received, by type";
    CommandSync = "commands" { command = "sync" } "Commands received, by type";
    CommandReceived = "commands" { command = "received" } "Commands received, by type";
    CommandRead = "commands" { command = "read" } "Commands received, by type";
    CommandPing = "commands" { command = "ping" } "Commands received, by type";
    CommandRefused = "commands_refused" {} "Commands answered with an error";
    LimitedConnection = "rate_limited" { by = "connection" } "What was refused for coming too fast, by whose limit";
    LimitedUser = "rate_limited" { by = "user" } "What was refused for coming too fast, by whose limit";
    LimitedBegun = "rate_limited" { by = "new" } "What was refused for coming too fast, by whose limit";
    ListsMissed = "lists_read" {} "Sign-ins of users whose conversations were not known and had to be read";
    HeadsHit = "heads" { found = "hit" } "Conversations of a sync of which it was known in memory how they stand, or not";
    HeadsMissed = "heads" { found = "miss" } "Conversations of a sync of which it was known in memory how they stand, or not";
    TailsHit = "tails" { found = "hit" } "Pages of messages that were all in memory, or not";
    TailsMissed = "tails" { found = "miss" } "Pages of messages that were all in memory, or not";
    SyncsCut = "syncs_cut" {} "Conversations told without their messages since too many syncs were under way";
    Receipts = "receipts" {} "Receipts told";
    ReceiptsDropped = "receipts_dropped" {} "Receipts not told since too many were waiting";
    Appended = "log_appended" {} "Records appended to the log";
    Acked = "acks" {} "Acks given to senders";
    Duplicates = "messages_duplicate" {} "Messages recognised by their id and not delivered again";
    Delivered = "messages_delivered" {} "Messages queued for a session";
    EncodedJson = "events_encoded" { encoding = "json" } "Events written as a frame, by encoding";
    EncodedProto = "events_encoded" { encoding = "proto" } "Events written as a frame, by encoding";
    Unencoded = "deliveries_unencoded" {} "Deliveries to a session whose encoding nobody spoke when the event was encoded";
    FanOuts = "fanouts" {} "Fan-out jobs begun on a shard";
}

macro_rules! gauges {
    ($($variant:ident = $name:literal { $($label:ident = $value:literal),* } $help:literal;)*) => {
        /// Levels of a shard, read when scraped.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        #[allow(missing_docs)]
        pub enum Gauge { $($variant),* }

        impl Gauge {
            /// Every gauge, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its family's name.
            pub fn family(self) -> &'static str {
                match self { $(Self::$variant => concat!("longwire_", $name)),* }
            }

            /// Its labels within the family, besides the shard.
            pub fn labels(self) -> &'static [(&'static str, &'static str)] {
                match self { $(Self::$variant => &[$((stringify!($label), $value)),*]),* }
            }

            /// What it tells.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

gauges! {
    Connections = "connections_active" {} "Open connections";
    TlsConnections = "tls_connections_active" {} "Open connections that have begun to speak TLS";
    JsonSessions = "sessions_active" { encoding = "json" } "Signed-in sessions, by encoding";
    ProtoSessions = "sessions_active" { encoding = "proto" } "Signed-in sessions, by encoding";
    Users = "users_known" {} "Users with a session or a membership";
    Conversations = "conversations_active" {} "Conversations active at their sequencer";
    FanOutJobs = "fanout_jobs" {} "Fan-out jobs under way";
    MailboxDepth = "mailbox_depth" {} "Batches waiting in the mailbox";
    SpillDepth = "mailbox_spill_depth" {} "Mails waiting at their sender for a full mailbox";
    OutboxBytes = "outbox_bytes" {} "Bytes queued for connections";
    SendingBytes = "sending_bytes" {} "Bytes of sends under way, that the kernel has not taken all of";
    AssemblyBytes = "assembly_bytes" {} "Bytes of half-received messages";
    RingSlots = "ring_slots_used" {} "Descriptors in the rings' tables, those on their way there included";
    RecvBuffers = "recv_buffers_taken" {} "Receive buffers taken from the rings and not given back yet";
    Outboxes = "outboxes_used" {} "Outboxes of connections, with something queued or under way";
    Moves = "moves_active" {} "Connections that wait to move to another shard, or are on their way";
    Places = "address_places" {} "Connections that count for their address";
    HeadsBytes = "heads_bytes" {} "Bytes of what is kept of how conversations stand";
    TailsBytes = "tails_bytes" {} "Bytes of conversations' newest messages kept in memory";
    ViewBytes = "view_bytes" {} "Bytes of messages kept in memory";
}

/// One shard's counters: plain numbers with a single writer.
#[derive(Clone, Debug)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// Adds one.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.0[counter as usize] += n;
    }

    /// The present value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }
}
