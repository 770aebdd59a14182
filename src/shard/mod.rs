//! One core and what runs on it: loop, mailboxes, hosts, and the start of them all. Knows neither JSON nor HTTP.

pub mod chat;
mod configs;
pub mod control;
pub mod echo;
mod host;
mod keeping;
mod launch;
pub mod lobby;
pub mod mailbox;
mod seed;
pub mod spin;
mod spoken;
mod storage;
pub mod turn;
mod world;

pub use control::Control;
pub use launch::{AppKind, Plan, Server, StartError, launch};
