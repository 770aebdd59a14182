//! Longwire: an instant-messaging server for long-lived WebSocket connections on Linux bare metal.
//!
//! One pinned core, one executor, one *shard* of the connections; cores talk by mailboxes only. The path of a private
//! message through the folders, A to B:
//!
//! [`net`] (bytes to a message, on A's home shard) → [`wire`] (message to a command) → [`chat`] (may A do this?) → [`route`] (whose
//! conversation is it?) → [`shard::mailbox`] → [`chat`] (dedupe, `seq`) → [`log`] (append, commit) → [`view`] (apply) →
//! [`shard::mailbox`] → [`chat`] (B's sessions) → [`net`] (one send).
//!
//! Three invariants hold at every step, and the simulation checks them:
//! 1. a conversation has one sequencer;
//! 2. an ack implies the durability it names;
//! 3. within a conversation a session sees strictly growing `seq`.
//!
//! `ARCHITECTURE.md` has the map with what each part must not know.

pub mod admin;
pub mod auth;
pub mod chat;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod durability;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod log;
pub mod meter;
pub mod metrics;
pub mod net;
pub mod route;
pub mod settings;
pub mod shard;
pub mod slab;
pub mod store;
pub mod tune;
pub mod view;
pub mod wire;
