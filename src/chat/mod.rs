//! The rules: events in, effects out. Knows no I/O, no clock, no lock, no `async`, no encoding.

pub mod effects;
pub mod mail;

pub use effects::{Effects, ReadId};
pub use mail::{Mail, MailClass};
