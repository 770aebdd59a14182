//! The rules, rule by rule, over real JSON and the memory log.

mod cursors;
mod encodings;
mod failures;
mod groups;
mod private;
mod rates;
mod sessions;
mod sync;
mod trims;
mod world;
