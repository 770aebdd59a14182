//! What the rules are told once. Knows no settings file.

use crate::ids::{Seq, ShardId};
use crate::meter::Rate;
use crate::route::Router;
use crate::wire;

/// How fast users may go; without any limits unless they are set.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Commands by their cost, and bytes of content.
    pub commands: Rate,
    /// Conversations begun and groups made.
    pub begun: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { commands: Rate::NONE, begun: Rate::NONE }
    }
}

/// How one shard's rules behave.
#[derive(Clone, Debug)]
pub struct Config {
    /// The shard they run on.
    pub shard: ShardId,
    /// Where everything lives.
    pub router: Router,
    /// The limits told to clients.
    pub limits: wire::Limits,
    /// Between the server's pings (ms).
    pub heartbeat_ms: u64,
    /// Whether anyone may join or create a group by its name.
    pub group_open: bool,
    /// Groups with more members tell nobody who comes and goes (number).
    pub group_event_max_members: u32,
    /// Members of a group (number).
    pub group_max_members: u32,
    /// Groups a user is in (number).
    pub groups_per_user: u32,
    /// Sessions of one user (number).
    pub user_connection_limit: u32,
    /// Sends that fan-out makes in one turn (number).
    pub fanout_slice: u32,
    /// What remembered message ids may cost (bytes).
    pub idempotency_max_bytes: usize,
    /// How long they are remembered (ms).
    pub idempotency_window_ms: u64,
    /// Conversations sequenced at a time (number).
    pub active_conversations_max: usize,
    /// Users with a session or a membership (number).
    pub users_max: usize,
    /// The largest payload (bytes).
    pub message_size_limit: usize,
    /// Whether what is said and who is where is stored so that a later process reads it: only users with a session need to be known, and
    /// ids come with their conversations.
    pub memberships_stored: bool,
    /// Up to where numbers may have been given by an earlier process, and are reserved; none: they start from the clock.
    pub seqs_reserved: Option<Seq>,
    /// What a connection's queue holds (bytes).
    pub queue_max_size: usize,
    /// What it may cost to know how conversations stand, and which users have which (bytes).
    pub heads_max_bytes: usize,
    /// What conversations' newest messages may cost (bytes); none are kept where the view is in memory.
    pub tails_max_bytes: usize,
    /// How fast a user may go.
    pub rates: Rates,
}
