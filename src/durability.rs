//! What the log proves and an `ack` names. Knows nothing of either.

/// What was proved when an append is called committed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Durability {
    /// Kept in this process only.
    #[default]
    Memory,
}

impl Durability {
    /// Its name in an `ack`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
        }
    }
}
