//! What the log proves and an `ack` names. Knows nothing of either.

/// What was proved when an append is called committed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Durability {
    /// Kept in this process only.
    #[default]
    Memory,
    /// Handed to the operating system: it outlives this process, not a loss of power.
    Os,
    /// On the disk (`fdatasync`).
    Fsync,
}

impl Durability {
    /// Its name in an `ack`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Os => "os",
            Self::Fsync => "fsync",
        }
    }
}
