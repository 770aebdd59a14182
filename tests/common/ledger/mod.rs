//! Clients from outside who note what they were told, and an audit of what a server still has after it was killed.
//!
//! The book ([`book`]) has every message that anyone sent, the crowd ([`crowd`]) sends and listens until its server is gone, the audit
//! ([`audit`]) reads all histories of the next server: what was acked or delivered is there, once, as it was said to be.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used)] // each test is a crate and uses its own part of it

mod audit;
mod book;
mod client;
mod crowd;
mod server;

pub use audit::audit;
pub use book::{Book, Place, Town};
pub use client::{Connection, Said};
pub use crowd::{Crowd, Heard, settle};
pub use server::{Durable, address, admin};

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}
