//! One core and what runs on it: loop, mailboxes, hosts, and the start of them all. Knows neither JSON nor HTTP.

pub mod chat;
pub mod control;
pub mod echo;
mod host;
mod launch;
pub mod lobby;
pub mod mailbox;
pub mod spin;
mod spoken;
pub mod turn;
mod world;

pub use control::Control;
pub use launch::{AppKind, Plan, Server, StartError, launch};
