//! The log on a disk: one for all partitions of a server, written by a thread of its own. Knows no chat, no view, no shard's loop.
//!
//! [`segment`] has the files, [`commit`] what stands in them, [`super::record`] what stands in a commit; [`recover`] reads them when a server
//! starts and makes them whole, [`writer`] goes on. Each says above its format what makes a piece of it broken.

mod chunks;
mod commit;
#[cfg(test)]
pub(crate) mod faults;
mod health;
mod recover;
mod segment;
mod spare;
mod writer;

#[cfg(test)]
mod tests;

pub use health::{COMMIT_TIMES, Condition, Health, Work};
pub use recover::{Cut, Found, OpenError, Piece, Short, Tail, read};
pub use segment::{StoreId, free, sync_folder};
pub use writer::{Batch, End, Order, Plan, Sink, Writer};
