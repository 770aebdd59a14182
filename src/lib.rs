//! Longwire: an instant-messaging server for long-lived WebSocket connections on Linux.

pub mod admin;
pub mod auth;
pub mod chat;
pub mod claims;
pub mod clock;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod net;
pub mod route;
pub mod settings;
pub mod slab;
pub mod view;
pub mod wire;
