//! What of the machine limits a server: every knob's present value, the one it should have, and how to set it. Knows `/proc` and
//! `/sys` and the bounds of a ring's table, no server and no connection.
//!
//! [`Facts`] reads files below a root, [`KNOBS`] judges them without touching anything, [`apply()`] sets what can be set at once.
//! `tuning.md` explains each knob; a test holds the two to each other.

mod apply;
mod facts;
mod finding;
mod goal;
mod keep;
mod knobs;
mod page;

pub use apply::{Applied, Outcome, apply};
pub use facts::Facts;
pub use finding::{Finding, Fix, Verdict};
pub use goal::Goal;
pub use keep::keep;
pub use knobs::{Group, KNOBS, Knob, Machine};
pub use page::{Page, Row, applied_text};
